// `follow`: a device that stays, and says of every encrypted message in a room whether it can read it.
import { createInterface } from "node:readline";
import { MatrixEventEvent } from "matrix-js-sdk";
import { logIn, ownKeysPublished, start, withPassword } from "./session.mjs";
import { makeRoom } from "./commands.mjs";

const say = (line) => process.stdout.write(`${JSON.stringify({ ok: true, ...line })}\n`);

/** Vouches for the account's devices that stdin names, a line each, and says so. */
async function vouch(client) {
    const crypto = client.getCrypto();
    for await (const line of createInterface({ input: process.stdin })) {
        const { sign } = JSON.parse(line);
        await crypto.getUserDeviceInfo([client.getSafeUserId()], true);
        await crypto.crossSignDevice(sign);
        say({ signed: sign });
    }
}

/** `identity`: "keep" (none is made, the device stays unsigned), "make", or "reset". */
export async function follow(input) {
    const { identity = "keep", invite = [] } = input;
    const client = await start(await logIn(input));
    if (identity !== "keep") {
        await client.getCrypto().bootstrapCrossSigning({
            setupNewCrossSigning: identity === "reset",
            authUploadDeviceSigningKeys: withPassword(client, input.password),
        });
    }
    await ownKeysPublished(client);
    const roomId = input.roomId ?? (await makeRoom(client, input.roomName, invite));
    const since = Date.now();
    const told = (event) => {
        if (event.getTs() < since) return;
        if (event.getRoomId() !== roomId || event.getWireType() !== "m.room.encrypted") return;
        const readable = !event.isDecryptionFailure();
        say({ eventId: event.getId(), readable, body: readable ? event.getContent().body : undefined });
    };
    client.on(MatrixEventEvent.Decrypted, told);
    say({ roomId, userId: client.getUserId(), deviceId: client.getDeviceId() });
    await vouch(client);
    await new Promise(() => {});
}
