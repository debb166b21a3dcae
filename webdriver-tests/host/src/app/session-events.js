// What a starting client tells the app: its first sync, and the end of its session.
import { ClientEvent, HttpApiEvent } from "host:matrix-js-sdk";
import { dispatcher } from "./dispatcher.js";
import { isLoggingOut, softLogout } from "./lifecycle.js";
import { offerNotifications } from "./notifications.js";

/** Watches `client`; `onFirstSync` is called when it is prepared. */
export function watchSession(client, onFirstSync) {
    client.on(ClientEvent.Sync, (state) => {
        if (state !== "PREPARED") return;
        onFirstSync();
        offerNotifications();
        dispatcher.fire("focus_send_message_composer");
    });
    client.on(HttpApiEvent.SessionLoggedOut, (error) => {
        if (isLoggingOut()) return;
        if (error.httpStatus === 401 && error.data?.soft_logout) softLogout();
        else dispatcher.dispatch({ action: "logout" }, true);
    });
}
