// What the independent client can do.
import { RoomStateEvent } from "matrix-js-sdk";
import { decodeRecoveryKey } from "matrix-js-sdk/lib/crypto-api/index.js";
import { follow } from "./follow.mjs";
import { open } from "./open.mjs";
import { end, logIn, ownKeysPublished, start, waitFor, withPassword } from "./session.mjs";
import { readState } from "./state.mjs";

const JOIN_TIMEOUT_MS = 60_000;

async function loginOnly(input) {
    const client = await logIn(input);
    if (input.keys) {
        await start(client);
        await ownKeysPublished(client);
    }
    await end(client, input.logout ?? false);
    return { userId: client.getUserId(), deviceId: client.getDeviceId(), accessToken: client.getAccessToken() };
}

async function ownRecovery(input) {
    const client = await start(await logIn(input));
    const crypto = client.getCrypto();
    const recoveryKey = await crypto.createRecoveryKeyFromPassphrase(input.passphrase);
    if (input.anew) {
        // The SDK would put the new identity into the secret storage that is there, and drops it for one that it sees late.
        await client.secretStorage.setDefaultKeyId(null);
        await crypto.userHasCrossSigningKeys(undefined, true);
    }
    await crypto.bootstrapCrossSigning({
        setupNewCrossSigning: input.anew ?? false,
        authUploadDeviceSigningKeys: withPassword(client, input.password),
    });
    await crypto.bootstrapSecretStorage({
        createSecretStorageKey: async () => recoveryKey,
        setupNewSecretStorage: true,
        setupNewKeyBackup: true,
    });
    const answer = {
        userId: client.getUserId(),
        deviceId: client.getDeviceId(),
        recoveryKey: recoveryKey.encodedPrivateKey,
        keyId: await client.secretStorage.getDefaultKeyId(),
        secretStorageReady: await crypto.isSecretStorageReady(),
    };
    await end(client, input.logout ?? false);
    return answer;
}

async function storeSecret(input) {
    const client = await start(await logIn(input, decodeRecoveryKey(input.recoveryKey)));
    await client.secretStorage.store(input.name, input.secret);
    await end(client, input.logout ?? true);
    return {};
}

async function send(input) {
    const { invite = [], awaitJoin = [], messages = [] } = input;
    const client = await start(await logIn(input));
    if (input.crossSign) {
        await client
            .getCrypto()
            .bootstrapCrossSigning({ authUploadDeviceSigningKeys: withPassword(client, input.password) });
    }
    const roomId = input.roomId ?? (await makeRoom(client, input.roomName, invite));
    for (const userId of awaitJoin) await joined(client, roomId, userId);
    const eventIds = [];
    for (const body of messages) {
        const { event_id } = await client.sendMessage(roomId, { msgtype: "m.text", body });
        eventIds.push(event_id);
    }
    await end(client, input.logout ?? false);
    return { userId: client.getUserId(), deviceId: client.getDeviceId(), roomId, eventIds };
}

export async function makeRoom(client, name = "Keystead", invite) {
    const here = (roomId) => client.getRoom(roomId)?.hasEncryptionStateEvent();
    const { room_id: roomId } = await client.createRoom({
        name,
        invite,
        preset: "private_chat",
        initial_state: [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }],
    });
    if (!here(roomId)) await waitFor(client, RoomStateEvent.Events, JOIN_TIMEOUT_MS, () => here(roomId));
    return roomId;
}

async function joined(client, roomId, userId) {
    const here = () => client.getRoom(roomId)?.getMember(userId)?.membership === "join";
    if (!here()) await waitFor(client, RoomStateEvent.Members, JOIN_TIMEOUT_MS, here);
}

export const commands = {
    "store-secret": storeSecret,
    "login-only": loginOnly,
    follow,
    "own-recovery": ownRecovery,
    open,
    send,
    "state": readState,
};
