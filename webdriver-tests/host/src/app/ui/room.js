// A room: header, timeline, composer, with the class names Element has in production.
import { MatrixEventEvent, RoomEvent } from "host:matrix-js-sdk";
import { dispatcher } from "../dispatcher.js";
import { composer } from "./composer.js";
import { button, h } from "./dom.js";
import { memberPanel } from "./members.js";

/** The view of one room; while the room is unknown or not joined, a preview. */
export function roomView(client, roomId) {
    const view = h("div.mx_RoomView", { "data-room-id": roomId });
    let content = null;
    const show = () => {
        const room = client.getRoom(roomId);
        const joined = room?.getMyMembership() === "join";
        if (content?.joined === joined && content.known === Boolean(room)) return;
        content?.dispose?.();
        content = joined ? joinedRoom(client, room) : previewBar(client, roomId, room);
        content.joined = joined;
        content.known = Boolean(room);
        view.replaceChildren(...content.elements);
    };
    const registration = dispatcher.register(({ action }) => {
        if (action === "MatrixActions.Room" || action === "MatrixActions.Room.myMembership") show();
    });
    show();
    view.dispose = () => {
        dispatcher.unregister(registration);
        content?.dispose?.();
    };
    return view;
}

function previewBar(client, roomId, room) {
    const join = () => void client.joinRoom(roomId);
    return {
        elements: [
            h(
                "div.mx_RoomPreviewBar",
                {},
                h("h2", {}, room ? `Do you want to join ${room.name}?` : "Loading…"),
                button(".mx_RoomPreviewBar_accept", "Accept", join),
            ),
        ],
    };
}

function joinedRoom(client, room) {
    const list = h("ol.mx_RoomView_MessageList", { "aria-live": "polite" });
    const tiles = new Map();
    const draw = (event) => {
        if (!event.isState() && !["m.room.message", "m.room.encrypted"].includes(event.getType())) return;
        const key = event.getTxnId() ?? event.getId();
        const tile = eventTile(event);
        const old = tiles.get(key) ?? tiles.get(event.getId());
        if (old) old.replaceWith(tile);
        else list.append(tile);
        tiles.set(key, tile);
        tiles.set(event.getId(), tile);
    };
    const onTimeline = (event, eventRoom) => eventRoom?.roomId === room.roomId && draw(event);
    const onDecrypted = (event) => event.getRoomId() === room.roomId && tiles.has(event.getId()) && draw(event);
    const onEcho = (event, eventRoom) => eventRoom.roomId === room.roomId && draw(event);
    client.on(RoomEvent.Timeline, onTimeline);
    client.on(RoomEvent.LocalEchoUpdated, onEcho);
    client.on(MatrixEventEvent.Decrypted, onDecrypted);
    room.getLiveTimeline().getEvents().forEach(draw);
    void room.decryptAllEvents();
    void room.loadMembersIfNeeded();

    const split = h("div.mx_MainSplit");
    const toggleMembers = () => split.querySelector(".mx_RightPanel")?.remove() ?? split.append(memberPanel(client, room));
    const header = h(
        "header.mx_RoomHeader",
        {},
        h(
            "button.mx_RoomHeader_infoWrapper",
            { type: "button" },
            h("div.mx_RoomHeader_info", {}, h("div.mx_RoomHeader_heading", {}, h("span.mx_RoomHeader_truncated", {}, room.name))),
        ),
        button(".mx_RoomHeader_invite", "Invite", () => dispatcher.dispatch({ action: "view_invite", roomId: room.roomId })),
        button(".mx_RoomHeader_members", "People", toggleMembers),
    );
    const input = composer(client, room);
    split.append(
        h(
            "div.mx_MainSplit_timeline",
            {},
            h(
                "div.mx_RoomView_body",
                {},
                header,
                h("main.mx_RoomView_timeline", {}, h("div.mx_RoomView_messagePanel", {}, list)),
                input,
            ),
        ),
    );
    return {
        elements: [split],
        dispose() {
            client.off(RoomEvent.Timeline, onTimeline);
            client.off(RoomEvent.LocalEchoUpdated, onEcho);
            client.off(MatrixEventEvent.Decrypted, onDecrypted);
            input.dispose();
        },
    };
}

function eventTile(event) {
    return event.isState() ? infoTile(event) : messageTile(event);
}

function infoTile(event) {
    const what = h("div.mx_TextualEvent.mx_EventTile_content", {}, `${event.getSender()}: ${event.getType()}`);
    return h(
        "li.mx_EventTile.mx_EventTile_info",
        { "data-event-id": event.getId() },
        h("div.mx_EventTile_line", {}, what),
    );
}

function messageTile(event) {
    const failed = event.isDecryptionFailure();
    const body = failed ? "Unable to decrypt message" : (event.getContent().body ?? "");
    const kind = failed ? "span.mx_DecryptionFailureBody.mx_EventTile_content" : "span.mx_EventTile_body";
    return h(
        "li.mx_EventTile",
        { "data-event-id": event.getId(), "data-status": event.status ?? "sent" },
        h("div.mx_DisambiguatedProfile", { title: event.getSender() }, event.getSender()),
        h("div.mx_EventTile_line", {}, h("div.mx_MTextBody.mx_EventTile_content", {}, h(kind, { dir: "auto" }, body))),
    );
}
