// View 8: the shell with the room list, and the page beside it (home or a room).
import { ClientEvent, RoomEvent } from "host:matrix-js-sdk";
import { dispatcher } from "../dispatcher.js";
import { openSetupEncryption } from "./complete-security.js";
import { button, h, text } from "./dom.js";
import { createRoom, inviteToRoom } from "./room-dialogs.js";
import { roomView } from "./room.js";
import { openSettings } from "./settings.js";
import { toastPlace } from "./toast-container.js";

/** The shell for `client`; `showPage({page, roomId})` changes what is beside the room list. */
export function loggedInView(client) {
    const list = h("div.mx_RoomList", { role: "navigation" });
    const page = h("div.mx_RoomView_wrapper");
    const toasts = toastPlace();
    let current = null;

    const drawList = () => list.replaceChildren(...client.getRooms().map((room) => roomTile(room)));
    const events = [ClientEvent.Room, RoomEvent.Name, RoomEvent.MyMembership];
    events.forEach((name) => client.on(name, drawList));
    drawList();

    const view = h(
        "div.mx_MatrixChat_wrapper",
        { "aria-hidden": "false" },
        toasts,
        h(
            "div.mx_MatrixChat",
            {},
            h(
                "div.mx_LeftPanel_outerWrapper",
                {},
                h("nav.mx_SpacePanel", {}, userMenu(client)),
                h(
                    "div.mx_LeftPanel_wrapper",
                    {},
                    h("div.mx_LeftPanel", {}, button(".mx_RoomListHeader_create", "New room", () => createRoom(client)), list),
                ),
            ),
            page,
        ),
    );
    view.showPage = ({ page: name, roomId }) => {
        if (current?.roomId === roomId && current?.name === name) return;
        current?.content.dispose?.();
        const content = name === "room_view" ? roomView(client, roomId) : homePage(client);
        current = { name, roomId, content };
        page.replaceChildren(content);
    };
    view.dispose = () => {
        events.forEach((name) => client.off(name, drawList));
        current?.content.dispose?.();
        toasts.dispose();
    };
    return view;
}

function roomTile(room) {
    const open = () => dispatcher.dispatch({ action: "view_room", room_id: room.roomId });
    return h(
        "div.mx_RoomTile",
        { "role": "treeitem", "data-room-id": room.roomId, "tabindex": "0", "onclick": open },
        h("div.mx_RoomTile_title", {}, room.name),
    );
}

function userMenu(client) {
    return h(
        "div.mx_UserMenu",
        {},
        h("span.mx_UserMenu_name", {}, client.getSafeUserId()),
        button(".mx_UserMenu_settings", "Settings", () => dispatcher.dispatch({ action: "view_user_settings" })),
        button(".mx_UserMenu_signOut", "Sign out", () => dispatcher.dispatch({ action: "logout" })),
    );
}

function homePage(client) {
    return h(
        "main.mx_HomePage.mx_HomePage_default",
        {},
        h(
            "div.mx_HomePage_default_wrapper",
            {},
            h("h1", {}, `${text("welcome")} ${client.getSafeUserId()}`),
            h(
                "div.mx_HomePage_default_buttons",
                {},
                button(".mx_HomePage_button_createGroup", "Create a group chat", () => createRoom(client)),
            ),
        ),
    );
}

/** Handles the actions that open something over the shell. */
export function onShellAction(client, { action, roomId }) {
    if (action === "view_user_settings") void openSettings(client);
    else if (action === "view_create_room") void createRoom(client);
    else if (action === "view_invite") void inviteToRoom(client, roomId);
    else if (action === "host_verify_session") void openSetupEncryption();
}
