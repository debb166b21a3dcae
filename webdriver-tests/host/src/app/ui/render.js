// Draws the view that `matrixChat.state` names. A view that is still the right one stays in the document.
import { clientPeg } from "../client-peg.js";
import { Views } from "../views.js";
import { e2eSetupView, loginView, welcomeView } from "./auth.js";
import { completeSecurityView } from "./complete-security.js";
import { button, h, text } from "./dom.js";
import { loggedInView } from "./logged-in.js";

let shown = { key: null, element: null };

/** Draws; called after every change of the state. */
export function render(chat) {
    const { view, ready, page_type: page, currentRoomId } = chat.state;
    const isShell = view === Views.LOGGED_IN && ready && Boolean(page);
    const key = isShell ? `shell ${clientPeg.safeGet().getDeviceId()}` : `${view}`;
    if (shown.key !== key) {
        shown.element?.dispose?.();
        shown = { key, element: isShell ? loggedInView(clientPeg.safeGet()) : viewFor(chat, view) };
        document.getElementById("matrixchat").replaceChildren(shown.element);
    }
    if (isShell) shown.element.showPage({ page, roomId: currentRoomId });
}

function viewFor(chat, view) {
    const { base_url: homeserverUrl, server_name: serverName } = chat.config.default_server_config["m.homeserver"];
    const login = { homeserverUrl, serverName: serverName ?? new URL(homeserverUrl).host };
    switch (view) {
        case Views.WELCOME:
            return welcomeView();
        case Views.LOGIN:
            return loginView({
                ...login,
                deviceName: chat.config.default_device_display_name ?? `${window.location.host}: ${browserName()}`,
                onLoggedIn: (credentials) => chat.onCompletedLogin(credentials),
            });
        case Views.SOFT_LOGOUT:
            return loginView({
                ...login,
                deviceId: localStorage.getItem("mx_device_id"),
                onLoggedIn: (credentials) => chat.onRenewedLogin(credentials),
            });
        case Views.COMPLETE_SECURITY:
            return completeSecurityView({ onFinished: () => chat.onSetupFinished() });
        case Views.E2E_SETUP:
            return e2eSetupView({ onRetry: () => chat.startInitialSetup() });
        case Views.CONFIRM_LOCK_THEFT:
            return h(
                "div.mx_ConfirmSessionLockTheftView",
                {},
                h("p", {}, text("lock_taken")),
                button(".mx_ConfirmSessionLockTheftView_continue", "Continue", () => {
                    chat.setState({ view: Views.LOADING });
                    void chat.initSession();
                }),
            );
        case Views.LOCK_STOLEN:
            return h("div.mx_SessionLockStolenView", {}, text("lock_stolen"));
        default:
            return h("div.mx_MatrixChat_splash", {}, h("div.mx_Spinner", {}, "…"));
    }
}

const browserName = () => (navigator.userAgent.includes("Firefox") ? "Firefox" : "Chrome");
