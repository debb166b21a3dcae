// The recovery key of secret storage: asked for once an operation, kept only while it runs.
import { decodeRecoveryKey, deriveRecoveryKeyFromPassphrase } from "host:matrix-js-sdk";
import { clientPeg } from "./client-peg.js";
import { askForRecoveryKey } from "./ui/dialogs.js";
import { interactiveAuth } from "./interactive-auth.js";

let held = {};
let inUse = false;

/** The person closed the dialog that asks for the recovery key. */
export class AccessCancelledError extends Error {
    constructor() {
        super("Secret storage access canceled");
    }
}

/** Whether an operation on secret storage is going on. */
export const isSecretStorageBeingAccessed = () => inUse;

async function keyFromInput({ text }, description) {
    const words = text.trim();
    if (!description.passphrase) return decodeRecoveryKey(words);
    const { salt, iterations } = description.passphrase;
    return deriveRecoveryKeyFromPassphrase(words, salt, iterations);
}

async function getSecretStorageKey({ keys }) {
    const secretStorage = clientPeg.safeGet().secretStorage;
    const defaultKeyId = await secretStorage.getDefaultKeyId();
    const usable = Object.keys(keys);
    const keyId = defaultKeyId && keys[defaultKeyId] ? defaultKeyId : usable[0];
    if (keyId !== defaultKeyId && usable.length > 1) throw new Error("Multiple storage key requests not implemented");
    if (inUse && held[keyId]) return [keyId, held[keyId]];
    if (keyId !== defaultKeyId) throw new Error("Request for non-default 4S key");

    const description = keys[keyId];
    const input = await askForRecoveryKey(async (text) => {
        try {
            return await secretStorage.checkKey(await keyFromInput({ text }, description), description);
        } catch {
            return false;
        }
    });
    if (input === null) throw new AccessCancelledError();
    const key = await keyFromInput({ text: input }, description);
    if (inUse) held[keyId] = key;
    return [keyId, key];
}

/** What the client asks when it needs the key, or has made one. */
export const secretStorageCallbacks = {
    getSecretStorageKey,
    cacheSecretStorageKey(keyId, _description, key) {
        if (inUse) held[keyId] = key;
    },
};

/** Runs `operation`; the person is asked for the key at most once meanwhile. */
export async function withSecretStorageKey(operation) {
    inUse = true;
    try {
        return await operation();
    } finally {
        inUse = false;
        held = {};
    }
}

/** Brings this device's secrets and secret storage in line, then runs `then`. */
export const accessSecretStorage = (then = async () => {}) =>
    withSecretStorageKey(async () => {
        const client = clientPeg.safeGet();
        const crypto = client.getCrypto();
        if (!(await client.secretStorage.hasKey())) throw new Error("Secret storage has not been created yet.");
        await crypto.bootstrapCrossSigning({
            authUploadDeviceSigningKeys: (makeRequest) => interactiveAuth(client, makeRequest),
        });
        await crypto.bootstrapSecretStorage({});
        await then();
    });
