// Making a room and inviting to it.
import { dispatcher } from "../dispatcher.js";
import { showDialog } from "./dialogs.js";
import { h } from "./dom.js";

function form(close, fields) {
    const onsubmit = (event) => {
        event.preventDefault();
        close(Object.fromEntries(fields.map((field) => [field.name, field.value.trim()])));
    };
    return h("form", { onsubmit }, ...fields, h("button.mx_Dialog_primary", { type: "submit" }, "Continue"));
}

const field = (name, placeholder) => h("input", { name, placeholder, type: "text" });

/** Asks for a name and people, makes an encrypted room, and shows it. */
export async function createRoom(client) {
    const answer = await showDialog("mx_CreateRoomDialog", "Create a room", (close) => [
        form(close, [field("name", "Name"), field("invite", "@user:server, …")]),
    ]);
    if (!answer) return;
    const { room_id: roomId } = await client.createRoom({
        name: answer.name,
        preset: "private_chat",
        invite: answer.invite.split(/[\s,]+/).filter(Boolean),
        initial_state: [
            { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } },
        ],
    });
    dispatcher.dispatch({ action: "view_room", room_id: roomId });
}

/** Asks for a user ID and invites them. */
export async function inviteToRoom(client, roomId) {
    const answer = await showDialog("mx_InviteDialog", "Invite to room", (close) => [
        form(close, [field("invite", "@user:server")]),
    ]);
    if (answer?.invite) await client.invite(roomId, answer.invite);
}
