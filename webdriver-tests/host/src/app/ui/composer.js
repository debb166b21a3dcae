// The composer, with Element's own warning about reset identities as its first child.
import { CryptoEvent, RoomStateEvent } from "host:matrix-js-sdk";
import { button, h } from "./dom.js";

/** The composer of `room`. */
export function composer(client, room) {
    const input = h("div.mx_BasicMessageComposer_input", {
        "contenteditable": "true",
        "role": "textbox",
        "aria-label": "Send a message…",
        "onkeydown": (event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
        },
    });
    // What was begun is kept until it is sent, under Element's key.
    const key = `mx_cider_state_${room.roomId}`;
    const keep = () => {
        const text = input.innerText.trim();
        if (text) localStorage.setItem(key, JSON.stringify({ parts: [{ type: "plain", text }] }));
        else localStorage.removeItem(key);
    };
    const { parts = [] } = JSON.parse(localStorage.getItem(key) ?? "{}");
    input.append(...parts.map(({ text }) => text));
    window.addEventListener("beforeunload", keep);
    const send = () => {
        const body = input.innerText.trim();
        if (!body) return;
        input.replaceChildren();
        localStorage.removeItem(key);
        client.sendTextMessage(room.roomId, body).catch((error) => console.error("Failed to send", error));
    };
    const wrapper = h(
        "div.mx_MessageComposer_wrapper",
        {},
        h(
            "div.mx_MessageComposer_row",
            {},
            h("div.mx_SendMessageComposer", {}, h("div.mx_BasicMessageComposer", {}, input)),
            h("div.mx_MessageComposer_actions", {}, button(".mx_MessageComposer_sendMessage", "Send", send)),
        ),
    );
    const view = h("div.mx_MessageComposer", {}, wrapper);
    const unwatch = watchIdentities(client, room, wrapper);
    view.dispose = () => {
        keep();
        window.removeEventListener("beforeunload", keep);
        unwatch();
    };
    return view;
}

/** Shows a line while a member's identity is not the one pinned; *Dismiss* pins the new one. */
function watchIdentities(client, room, wrapper) {
    const crypto = client.getCrypto();
    const show = async () => {
        const members = await room.getEncryptionTargetMembers();
        let line = null;
        for (const { userId } of members) {
            if (userId === client.getSafeUserId()) continue;
            if ((await crypto.getUserVerificationStatus(userId)).needsUserApproval) line = warning(userId);
        }
        const old = wrapper.querySelector(".mx_UserIdentityWarning");
        if (old?.dataset.userId === line?.dataset.userId) return;
        old?.remove();
        if (line) wrapper.prepend(line);
    };
    const warning = (userId) =>
        h(
            "div.mx_UserIdentityWarning",
            { "data-user-id": userId },
            h(
                "div.mx_UserIdentityWarning_row",
                {},
                h("span.mx_UserIdentityWarning_main", {}, `${userId}'s digital identity was reset.`),
                button(".mx_UserIdentityWarning_dismiss", "Dismiss", async () => {
                    await crypto.pinCurrentUserIdentity(userId);
                    await show();
                }),
            ),
        );
    const onChange = () => void show().catch((error) => console.error(error));
    client.on(CryptoEvent.UserTrustStatusChanged, onChange);
    client.on(RoomStateEvent.Members, onChange);
    onChange();
    return () => {
        client.off(CryptoEvent.UserTrustStatusChanged, onChange);
        client.off(RoomStateEvent.Members, onChange);
    };
}
