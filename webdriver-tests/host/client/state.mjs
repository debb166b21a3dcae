// `state`: what the homeserver stores for an account, asked for over plain HTTP.
import { randomUUID } from "node:crypto";

/** See client.mjs; with `accessToken` it logs nobody in or out. */
export async function readState({ homeserver, user, password, accessToken, logout = true }) {
    const login = accessToken ? null : await request(homeserver, null, "POST", "v3/login", loginBody(user, password));
    const token = accessToken ?? login.access_token;
    try {
        return await read(homeserver, token);
    } finally {
        if (login && logout) await request(homeserver, token, "POST", "v3/logout", {});
    }
}

const loginBody = (user, password) => ({ type: "m.login.password", identifier: { type: "m.id.user", user }, password });

async function request(homeserver, token, method, path, body) {
    const answer = await fetch(`${homeserver.replace(/\/$/, "")}/_matrix/client/${path}`, {
        method,
        headers: token ? { Authorization: `Bearer ${token}` } : {},
        body: body && JSON.stringify(body),
    });
    const json = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(json.error), { errcode: json.errcode });
    return json;
}

async function read(homeserver, token) {
    const get = (path) => request(homeserver, token, "GET", path);
    const { user_id: userId } = await get("v3/account/whoami");
    // Synapse answers the same first sync from a cache for two minutes: a filter of its own each time.
    const filter = { presence: { types: [] }, room: { rooms: [] }, account_data: { not_types: [randomUUID()] } };
    const { account_data: data } = await get(`v3/sync?timeout=0&filter=${encodeURIComponent(JSON.stringify(filter))}`);
    const keys = await request(homeserver, token, "POST", "v3/keys/query", { device_keys: { [userId]: [] } });
    const backup = await get("v3/room_keys/version").catch((error) => {
        if (error.errcode === "M_NOT_FOUND") return null;
        throw error;
    });
    return {
        userId,
        accountData: Object.fromEntries(data.events.map(({ type, content }) => [type, content])),
        identity: {
            master: keys.master_keys?.[userId] ?? null,
            selfSigning: keys.self_signing_keys?.[userId] ?? null,
            userSigning: keys.user_signing_keys?.[userId] ?? null,
        },
        deviceKeys: keys.device_keys?.[userId] ?? {},
        devices: (await get("v3/devices")).devices.map(({ device_id: id }) => id),
        backup,
    };
}
