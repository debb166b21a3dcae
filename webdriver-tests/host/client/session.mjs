// Logging in, syncing, and waiting.
import { ClientEvent, MatrixError, createClient } from "matrix-js-sdk";
import { until } from "../until.mjs";

const SYNC_TIMEOUT_MS = 30_000;

/** Logs in on a fresh device; `secretStorageKey` (bytes) opens secret storage when the SDK asks for it. */
export async function logIn({ homeserver, user, password, deviceName = "Independent client" }, secretStorageKey) {
    const { user_id, device_id, access_token } = await createClient({ baseUrl: homeserver }).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user },
        password,
        initial_device_display_name: deviceName,
    });
    const client = createClient({
        baseUrl: homeserver,
        userId: user_id,
        deviceId: device_id,
        accessToken: access_token,
        cryptoCallbacks: {
            async getSecretStorageKey({ keys }) {
                for (const [keyId, description] of Object.entries(secretStorageKey ? keys : {})) {
                    const fits = await client.secretStorage.checkKey(secretStorageKey, description);
                    if (fits) return [keyId, secretStorageKey];
                }
                return null;
            },
            cacheSecretStorageKey(_keyId, _description, key) {
                secretStorageKey = key;
            },
        },
    });
    return client;
}

/** Starts crypto (in memory) and syncing; resolves after the first sync. */
export async function start(client) {
    await client.initRustCrypto({ useIndexedDB: false });
    const prepared = waitFor(client, ClientEvent.Sync, SYNC_TIMEOUT_MS, (state) => state === "PREPARED");
    await client.startClient({ initialSyncLimit: 20 });
    await prepared;
    return client;
}

/** Resolves when `event` is emitted with arguments that `accept` likes. */
export function waitFor(client, event, timeoutMs, accept) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
            client.off(event, listener);
            reject(new Error(`waited ${timeoutMs} ms for ${event}`));
        }, timeoutMs);
        const listener = (...args) => {
            if (!accept(...args)) return;
            clearTimeout(timer);
            client.off(event, listener);
            resolve(args);
        };
        client.on(event, listener);
    });
}

/** Resolves once the homeserver shows the keys of this device. */
export const ownKeysPublished = (client) =>
    until("own device keys", SYNC_TIMEOUT_MS, async () => {
        const userId = client.getSafeUserId();
        const { device_keys: devices } = await client.downloadKeysForUsers([userId]);
        return Boolean(devices?.[userId]?.[client.getDeviceId()]);
    });

/** Answers user-interactive authentication with the password. */
export const withPassword = (client, password) => async (makeRequest) => {
    try {
        await makeRequest(null);
    } catch (error) {
        if (!(error instanceof MatrixError) || !error.data?.flows) throw error;
        await makeRequest({
            type: "m.login.password",
            identifier: { type: "m.id.user", user: client.getSafeUserId() },
            password,
            session: error.data.session,
        });
    }
};

/** Stops; and takes the device away if it is to go. */
export async function end(client, logout) {
    if (logout) await client.logout(true);
    else client.stopClient();
}
