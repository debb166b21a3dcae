// Sessions without the form: the login token that single sign-on comes back with, and guests.
import { createClient } from "host:matrix-js-sdk";
import { sendLoginRequest, setLoggedIn } from "./lifecycle.js";

/** Trades `?loginToken=` of the address for credentials; null without one, or when the homeserver refuses. */
export async function attemptTokenLogin() {
    const url = new URL(window.location.href);
    const token = url.searchParams.get("loginToken");
    if (!token) return null;
    const homeserverUrl = localStorage.getItem("mx_sso_hs_url");
    url.searchParams.delete("loginToken");
    window.history.replaceState(null, "", url.href);
    if (!homeserverUrl) return null;
    try {
        return await sendLoginRequest(homeserverUrl, { type: "m.login.token", token });
    } catch (error) {
        console.error("Failed to log in with login token:", error);
        return null;
    }
}

/** Makes a guest session, where the homeserver allows guests. */
export async function registerAsGuest(homeserverUrl) {
    try {
        const guest = await createClient({ baseUrl: homeserverUrl }).registerGuest({ body: {} });
        await setLoggedIn({
            homeserverUrl,
            userId: guest.user_id,
            deviceId: guest.device_id,
            accessToken: guest.access_token,
            guest: true,
        });
        return true;
    } catch (error) {
        console.error("Failed to register as guest", error);
        return false;
    }
}
