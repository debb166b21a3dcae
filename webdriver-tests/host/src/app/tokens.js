// The access token at rest: encrypted under a key derived from the pickle key, which itself lies in IndexedDB,
// encrypted with a non-extractable key. The same scheme as Element's, so that what is on disk looks the same.
import decryptSecretItem from "matrix-js-sdk/lib/utils/decryptAESSecretStorageItem.js";
import encryptSecretItem from "matrix-js-sdk/lib/utils/encryptAESSecretStorageItem.js";
import { encodeUnpaddedBase64 } from "matrix-js-sdk/lib/base64.js";
import { idbDelete, idbLoad, idbSave } from "./storage.js";

const TOKEN_NAME = "access_token";
const TOKEN_KEY = "mx_access_token";

const ownerOf = (userId, deviceId) => new TextEncoder().encode(`${userId}|${deviceId}`);

/** Makes, saves and returns the pickle key of a new session. */
export async function createPickleKey(userId, deviceId) {
    const pickleKey = crypto.getRandomValues(new Uint8Array(32));
    const iv = crypto.getRandomValues(new Uint8Array(32));
    const cryptoKey = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    const algorithm = { name: "AES-GCM", iv, additionalData: ownerOf(userId, deviceId) };
    const encrypted = await crypto.subtle.encrypt(algorithm, cryptoKey, pickleKey);
    await idbSave("pickleKey", [userId, deviceId], { encrypted, iv, cryptoKey });
    return encodeUnpaddedBase64(pickleKey);
}

/** The pickle key of a stored session, or undefined. */
export async function loadPickleKey(userId, deviceId) {
    const saved = await idbLoad("pickleKey", [userId, deviceId]);
    if (!saved) return undefined;
    const algorithm = { name: "AES-GCM", iv: saved.iv, additionalData: ownerOf(userId, deviceId) };
    return encodeUnpaddedBase64(
        new Uint8Array(await crypto.subtle.decrypt(algorithm, saved.cryptoKey, saved.encrypted)),
    );
}

/** Forgets the pickle key of a session. */
export const destroyPickleKey = (userId, deviceId) => idbDelete("pickleKey", [userId, deviceId]);

async function tokenKey(pickleKey) {
    const material = await crypto.subtle.importKey("raw", new TextEncoder().encode(pickleKey), "HKDF", false, [
        "deriveBits",
    ]);
    const algorithm = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(32), info: new Uint8Array(0) };
    return new Uint8Array(await crypto.subtle.deriveBits(algorithm, material, 256));
}

/** Saves the access token. */
export async function saveAccessToken(accessToken, pickleKey) {
    localStorage.setItem("mx_has_access_token", "true");
    const encrypted = await encryptSecretItem(accessToken, await tokenKey(pickleKey), TOKEN_NAME);
    await idbSave("account", TOKEN_KEY, encrypted);
}

/** Reads the access token of a stored session, or undefined. */
export async function loadAccessToken(pickleKey) {
    const saved = await idbLoad("account", TOKEN_KEY);
    if (!saved || !pickleKey) return undefined;
    return decryptSecretItem(saved, await tokenKey(pickleKey), TOKEN_NAME);
}
