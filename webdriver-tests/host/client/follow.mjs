// `follow`: a device that stays, and says of every encrypted message in a room whether it can read it, and what was sent to
// the device itself.
import { createDecipheriv, createHash, randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { ClientEvent, MatrixEventEvent } from "matrix-js-sdk";
import { logIn, ownKeysPublished, start, withPassword } from "./session.mjs";
import { makeRoom } from "./commands.mjs";

const say = (line) => process.stdout.write(`${JSON.stringify({ ok: true, ...line })}\n`);

const sha256 = (bytes, encoding) => createHash("sha256").update(bytes).digest(encoding);

/** An attachment, downloaded and decrypted by OpenSSL and not by the SDK: its hash, its size, how it begins. */
async function attachment(client, { url, key, iv, hashes }) {
    const from = client.mxcUrlToHttp(url, undefined, undefined, undefined, false, true, true);
    const answer = await fetch(from, { headers: { Authorization: `Bearer ${client.getAccessToken()}` } });
    const sealed = Buffer.from(await answer.arrayBuffer());
    if (sha256(sealed, "base64").replace(/=+$/, "") !== hashes.sha256) throw new Error("not what was uploaded");
    const cipher = createDecipheriv("aes-256-ctr", Buffer.from(key.k, "base64url"), Buffer.from(iv, "base64"));
    const clear = Buffer.concat([cipher.update(sealed), cipher.final()]);
    return { sha256: sha256(clear, "hex"), size: clear.length, start: clear.toString("latin1", 0, 4) };
}

/** What a message says, and what is attached to it. */
async function read(client, { body, msgtype, info, file, ...more }) {
    if (!file) return { body };
    const waveform = more["org.matrix.msc1767.audio"]?.waveform;
    const of = async (one) => one && attachment(client, one).catch(({ message }) => ({ error: message }));
    return { body, msgtype, info, waveform, attachment: await of(file), thumbnail: await of(info?.thumbnail_file) };
}

/** Vouches for another device of the account. */
async function vouch(client, device) {
    const crypto = client.getCrypto();
    await crypto.getUserDeviceInfo([client.getSafeUserId()], true);
    await crypto.crossSignDevice(device);
}

/** Asks the account's other devices for something, as clients do: in clear. */
async function ask(client, type, content) {
    const request = { ...content, action: "request", requesting_device_id: client.getDeviceId(), request_id: randomUUID() };
    await client.sendToDevice(type, new Map([[client.getSafeUserId(), new Map([["*", request]])]]));
}

/** Does what stdin says, a line each, and says so. */
async function obey(client) {
    for await (const line of createInterface({ input: process.stdin })) {
        const { sign, ask: type, content } = JSON.parse(line);
        if (sign) await vouch(client, sign).then(() => say({ signed: sign }));
        if (type) await ask(client, type, content).then(() => say({ asked: type }));
    }
}

/** What came encrypted for this device, but for the keys of the room's messages: those tell of themselves. */
const came = ({ message: { type }, encryptionInfo }) => {
    if (encryptionInfo && !["m.room_key", "m.dummy"].includes(type)) say({ came: type });
};

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
    const told = async (event) => {
        if (event.getTs() < since) return;
        if (event.getRoomId() !== roomId || event.getWireType() !== "m.room.encrypted") return;
        const readable = !event.isDecryptionFailure();
        say({ eventId: event.getId(), readable, ...(readable ? await read(client, event.getContent()) : {}) });
    };
    client.on(MatrixEventEvent.Decrypted, told);
    client.on(ClientEvent.ReceivedToDeviceMessage, came);
    say({ roomId, userId: client.getUserId(), deviceId: client.getDeviceId() });
    await obey(client);
    await new Promise(() => {});
}
