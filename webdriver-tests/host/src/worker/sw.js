// The service worker: rewrites media GETs to the authenticated endpoints, and touches nothing else.
import { idbLoad } from "../app/storage.js";
import { loadAccessToken, loadPickleKey } from "../app/tokens.js";

const MEDIA = /^\/_matrix\/media\/v3\/(download|thumbnail)\//;
const ANSWER_WITHIN_MS = 1000;

self.addEventListener("install", (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
    const url = new URL(event.request.url);
    if (event.request.method === "GET" && MEDIA.test(url.pathname)) event.respondWith(fetchMedia(url, event.clientId));
});

async function fetchMedia(url, clientId) {
    try {
        const { userId, deviceId, homeserver } = await askPage(await self.clients.get(clientId));
        if (new URL(homeserver).origin !== url.origin) throw new Error("not a request to the homeserver");
        if (!(await idbLoad("account", "mx_access_token"))) throw new Error("no session");
        const token = await loadAccessToken(await loadPickleKey(userId, deviceId));
        url.pathname = url.pathname.replace("/media/v3/", "/client/v1/media/");
        return await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    } catch (error) {
        console.error("SW: Error in request rewrite.", error);
        return fetch(url);
    }
}

function askPage(page) {
    return new Promise((resolve, reject) => {
        const responseKey = crypto.randomUUID();
        const timer = setTimeout(() => reject(new Error("timeout in postMessage")), ANSWER_WITHIN_MS);
        self.addEventListener("message", function listener({ data }) {
            if (data?.responseKey !== responseKey) return;
            clearTimeout(timer);
            self.removeEventListener("message", listener);
            resolve(data);
        });
        page.postMessage({ responseKey, type: "userinfo" });
    });
}
