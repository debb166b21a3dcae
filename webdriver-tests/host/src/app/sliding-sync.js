// Sliding sync (MSC4186), where the configuration switches Element's feature of that name on. Of a room's members those come
// who wrote something, and who come and go; the client asks for all of them when it encrypts.
import { SlidingSync } from "host:matrix-js-sdk";

const TIMEOUT_MS = 20_000;
const MOST_ROOMS = 100;
const MEMBERS = ["$ME", "$LAZY"].map((who) => ["m.room.member", who]);
const STATE = ["create", "encryption", "name"].map((name) => [`m.room.${name}`, ""]);

/** What the client is to sync with; nothing where it syncs as ever. */
export function slidingSyncFor(client) {
    if (!window.mxReactSdkConfig?.features?.feature_simplified_sliding_sync) return undefined;
    const rooms = { timeline_limit: 20, required_state: [...MEMBERS, ...STATE] };
    const lists = new Map([["rooms", { ...rooms, ranges: [[0, MOST_ROOMS - 1]] }]]);
    return new SlidingSync(client.baseUrl, lists, rooms, client, TIMEOUT_MS);
}
