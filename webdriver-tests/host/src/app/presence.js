// Tells the homeserver that the person is here.
import { dispatcher } from "./dispatcher.js";

const UNAVAILABLE_AFTER_MS = 3 * 60 * 1000;

let registration = null;
let timer = null;

/** Starts to tell `client`'s homeserver, once something happens. */
export function startPresence(client) {
    const tell = (presence) => client.setPresence({ presence }).catch(() => {});
    const active = () => {
        if (timer === null) void tell("online");
        clearTimeout(timer);
        timer = setTimeout(() => {
            timer = null;
            void tell("unavailable");
        }, UNAVAILABLE_AFTER_MS);
    };
    registration = dispatcher.register(({ action }) => {
        if (action === "user_activity") active();
    });
    active();
}

/** Stops it. */
export function stopPresence() {
    if (registration) dispatcher.unregister(registration);
    clearTimeout(timer);
    registration = null;
    timer = null;
}
