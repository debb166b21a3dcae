// Turns events of the Matrix client into actions on the bus (`MatrixActions.*`).
import { ClientEvent, RoomEvent, RoomStateEvent } from "host:matrix-js-sdk";
import { dispatcher } from "./dispatcher.js";

let stop = () => {};

/** Starts to dispatch what happens in `client`. */
export function startClientActions(client) {
    stopClientActions();
    const listeners = [
        [ClientEvent.Sync, (state, prevState) => ({ action: "MatrixActions.sync", state, prevState })],
        [
            ClientEvent.AccountData,
            (event, previousEvent) => ({
                action: "MatrixActions.accountData",
                event,
                event_type: event.getType(),
                event_content: event.getContent(),
                previousEvent,
            }),
        ],
        [ClientEvent.Room, (room) => ({ action: "MatrixActions.Room", room })],
        [RoomEvent.Timeline, (event, room) => ({ action: "MatrixActions.Room.timeline", event, room })],
        [
            RoomEvent.MyMembership,
            (room, membership, oldMembership) => ({
                action: "MatrixActions.Room.myMembership",
                room,
                membership,
                oldMembership,
            }),
        ],
        [RoomStateEvent.Events, (event, state) => ({ action: "MatrixActions.RoomState.events", event, state })],
    ].map(([name, toAction]) => [name, (...args) => dispatcher.dispatch({ ...toAction(...args), matrixClient: client })]);
    for (const [name, listener] of listeners) client.on(name, listener);
    stop = () => listeners.forEach(([name, listener]) => client.off(name, listener));
}

/** Stops again. */
export function stopClientActions() {
    stop();
    stop = () => {};
}
