// The session: login, restoration from storage, soft logout, logout. Key names and order of events are Element's.
import { createClient } from "host:matrix-js-sdk";
import { clientPeg, createStoredClient } from "./client-peg.js";
import { deviceListener } from "./device-listener.js";
import { dispatcher } from "./dispatcher.js";
import { idbClear } from "./storage.js";
import { createPickleKey, destroyPickleKey, loadAccessToken, loadPickleKey, saveAccessToken } from "./tokens.js";
import { toastStore } from "./toasts.js";

let loggingOut = false;

export const isLoggingOut = () => loggingOut;
export const isSoftLogout = () => localStorage.getItem("mx_soft_logout") === "true";

/** Asks the homeserver for a session; the answer is what `setLoggedIn` takes. */
export async function sendLoginRequest(homeserverUrl, request) {
    const data = await createClient({ baseUrl: homeserverUrl }).loginRequest(request);
    return {
        homeserverUrl: data.well_known?.["m.homeserver"]?.base_url ?? homeserverUrl,
        userId: data.user_id,
        deviceId: data.device_id,
        accessToken: data.access_token,
    };
}

/** Starts a new session, over whatever was stored. */
export async function setLoggedIn(credentials) {
    stopClient();
    const pickleKey = await createPickleKey(credentials.userId, credentials.deviceId);
    await clearStorage();
    await begin({ ...credentials, pickleKey });
    localStorage.setItem("must_verify_device", "true");
}

/** Takes the stored session up again; false if there is none. */
export async function restoreSession() {
    const userId = localStorage.getItem("mx_user_id");
    const deviceId = localStorage.getItem("mx_device_id");
    const homeserverUrl = localStorage.getItem("mx_hs_url");
    if (!userId || !homeserverUrl) return false;
    const pickleKey = await loadPickleKey(userId, deviceId);
    const accessToken = await loadAccessToken(pickleKey);
    if (!accessToken) return false;
    const guest = localStorage.getItem("mx_is_guest") === "true";
    await begin({ userId, deviceId, homeserverUrl, accessToken, pickleKey, guest });
    return true;
}

/** Renews a soft-logged-out session with the credentials of a login for the same device. */
export async function hydrateSession(credentials) {
    stopClient();
    localStorage.removeItem("mx_soft_logout");
    loggingOut = false;
    await begin({ ...credentials, pickleKey: await loadPickleKey(credentials.userId, credentials.deviceId) });
}

async function begin(credentials) {
    const soft = isSoftLogout();
    clientPeg.replaceUsingCreds(credentials);
    localStorage.setItem("mx_hs_url", credentials.homeserverUrl);
    localStorage.setItem("mx_user_id", credentials.userId);
    localStorage.setItem("mx_is_guest", JSON.stringify(Boolean(credentials.guest)));
    await saveAccessToken(credentials.accessToken, credentials.pickleKey);
    localStorage.setItem("mx_has_pickle_key", "true");
    localStorage.setItem("mx_device_id", credentials.deviceId);
    dispatcher.fire("on_logged_in");

    dispatcher.dispatch({ action: "will_start_client" }, true);
    toastStore().reset();
    if (soft) await clientPeg.assign();
    else await clientPeg.start();
    deviceListener().start(clientPeg.safeGet());
    dispatcher.dispatch({ action: "client_started" });
    if (soft) softLogout();
}

/** Stops the client, and lets go of it unless told otherwise. */
export function stopClient(unset = true) {
    window.mxDeviceListener?.stop();
    const client = clientPeg.get();
    if (!client) return;
    client.stopClient();
    client.removeAllListeners();
    if (unset) {
        clientPeg.unset();
        client.store.destroy();
    }
}

/** Keeps everything stored, but goes on only after a new login. */
export function softLogout() {
    if (!clientPeg.get()) return;
    localStorage.setItem("mx_soft_logout", "true");
    loggingOut = true;
    dispatcher.dispatch({ action: "on_client_not_viable" });
    stopClient(false);
}

/** Ends the session at the homeserver and here. */
export async function logout() {
    const client = clientPeg.get();
    if (!client) return;
    loggingOut = true;
    await destroyPickleKey(client.getSafeUserId(), client.getDeviceId());
    await client.logout(true).catch((error) => console.warn("Failed to call logout API", error));
    dispatcher.fire("on_logged_out", true);
    stopClient();
    await clearStorage();
    localStorage.clear();
    loggingOut = false;
}

async function clearStorage() {
    localStorage.clear();
    sessionStorage.clear();
    await idbClear("account");
    await createStoredClient({ baseUrl: "" }).clearStores();
}
