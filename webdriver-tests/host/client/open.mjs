// `open`: a device that never saw the account's keys gets everything from the recovery key alone.
import { createPrivateKey, createPublicKey } from "node:crypto";
import { MatrixEvent } from "matrix-js-sdk";
import { decodeRecoveryKey } from "matrix-js-sdk/lib/crypto-api/index.js";
import { until } from "../until.mjs";
import { end, logIn, start } from "./session.mjs";

const SIGNATURE_TIMEOUT_MS = 20_000;

const SEEDS = { master: "master_keys", self_signing: "self_signing_keys", user_signing: "user_signing_keys" };
const PKCS8 = { ed25519: "302e020100300506032b657004220420", x25519: "302e020100300506032b656e04220420" };

/** The public half of a secret's 32 bytes, by OpenSSL and not by the SDK: unpadded base64. */
function publicOf(curve, secret) {
    const der = Buffer.concat([Buffer.from(PKCS8[curve], "hex"), Buffer.from(secret, "base64")]);
    const key = createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
    return key.export({ format: "der", type: "spki" }).subarray(-32).toString("base64").replace(/=+$/, "");
}

/** Reads every secret first: an SDK that finds one missing would make a new identity over the old one. */
async function readSecrets(client) {
    const secrets = {};
    for (const name of [...Object.keys(SEEDS).map((seed) => `m.cross_signing.${seed}`), "m.megolm_backup.v1"]) {
        secrets[name] = await client.secretStorage.get(name);
        if (!secrets[name]) throw new Error(`not in secret storage: ${name}`);
    }
    return secrets;
}

async function publicKeysMatch(client, secrets, backup) {
    const userId = client.getSafeUserId();
    const published = await client.downloadKeysForUsers([userId]);
    return (
        Object.entries(SEEDS).every(([seed, field]) => {
            const [key] = Object.values(published[field][userId].keys);
            return key === publicOf("ed25519", secrets[`m.cross_signing.${seed}`]);
        }) && backup.auth_data.public_key === publicOf("x25519", secrets["m.megolm_backup.v1"])
    );
}

async function decrypt(client, { roomId, eventId }) {
    const event = new MatrixEvent(await client.fetchRoomEvent(roomId, eventId));
    await event.attemptDecryption(client.getCrypto());
    const { body } = event.getContent();
    return event.isDecryptionFailure() ? { eventId, error: body } : { eventId, plaintext: body };
}

/** See client.mjs. */
export async function open(input) {
    const client = await start(await logIn(input, decodeRecoveryKey(input.recoveryKey)));
    try {
        return await openWith(client, input.events ?? []);
    } finally {
        await end(client, input.logout ?? true);
    }
}

async function openWith(client, events) {
    const crypto = client.getCrypto();
    const userId = client.getSafeUserId();
    const secrets = await readSecrets(client);
    const backup = await crypto.getKeyBackupInfo();
    if (!backup) throw new Error("no key backup");
    if (!(await crypto.userHasCrossSigningKeys(userId, true))) throw new Error("no published identity");

    await crypto.bootstrapCrossSigning({
        authUploadDeviceSigningKeys: () => Promise.reject(new Error("the SDK wants to replace the identity")),
    });
    await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    await crypto.checkKeyBackupAndEnable();
    const { imported } = await crypto.restoreKeyBackup();
    const deviceVerified = async () => {
        const device = await crypto.getDeviceVerificationStatus(userId, client.getDeviceId());
        return Boolean(device?.signedByOwner && device.crossSigningVerified);
    };
    // The SDK believes its own signature when it comes back from the homeserver.
    await until("this device's signature", SIGNATURE_TIMEOUT_MS, deviceVerified).catch(() => {});
    return {
        userId,
        deviceId: client.getDeviceId(),
        keyId: await client.secretStorage.getDefaultKeyId(),
        secretStorageReady: await crypto.isSecretStorageReady(),
        crossSigningReady: await crypto.isCrossSigningReady(),
        deviceVerified: await deviceVerified(),
        backupActive: (await crypto.getActiveSessionBackupVersion()) === backup.version,
        publicKeysMatch: await publicKeysMatch(client, secrets, backup),
        restoredKeys: imported,
        events: await Promise.all(events.map((event) => decrypt(client, event))),
    };
}
