// An independent client for tests, on the real matrix-js-sdk: `node client.mjs COMMAND [--json]`.
//
// It reads its parameters as one JSON object on stdin and prints one JSON object: {ok: true, …} or
// {ok: false, error: {name, message, errcode}} with exit status 1. The SDK's own logs go nowhere.
//
// Every command takes {homeserver, user, password}; `logout: true|false` says whether the device it made goes again.
//   login-only    {deviceName?, keys?}      a device; with `keys` it uploads its device keys (it stays unsigned)
//   own-recovery  {passphrase?, anew?}      identity (anew: whatever there is), secret storage and backup by this client
//   open          {recoveryKey, events?}    a fresh device opens secret storage; events: [{roomId, eventId}]
//   store-secret  {recoveryKey, name, secret}   one more secret in secret storage
//   send          {messages, roomId? | roomName?, invite?, awaitJoin?, crossSign?}   an encrypted room
//   follow        {roomId? | invite?, identity?}   goes on until it is ended: a line for its start, one for each message with
//                 what it says, and of what is attached, decrypted, the hash, the size and the first bytes; one with the type
//                 of what is sent to the device, other than keys of rooms; on stdin, a line {sign: DEVICE} for each device of
//                 the account that it is to vouch for, or {ask: TYPE, content} to ask all of them for something
//   state         {accessToken?}            what the server stores for the account; changes nothing
import { commands } from "./client/commands.mjs";
import { silence } from "./client/silence.mjs";

const [, , name, ...flags] = process.argv;

async function readInput() {
    let text = "";
    // Whoever follows goes on reading.
    for await (const part of process.stdin.iterator({ destroyOnReturn: false })) {
        text += part;
        if (name === "follow" && text.includes("\n")) break; // its stdin stays open for as long as it is wanted
    }
    try {
        return JSON.parse(text);
    } catch {
        throw new TypeError("stdin is not JSON"); // the parser's own message would quote it
    }
}

async function main() {
    const command = commands[name];
    if (!command) throw new TypeError(`commands: ${Object.keys(commands).join(", ")}`);
    const input = await readInput();
    for (const field of ["homeserver", "user"]) {
        if (typeof input[field] !== "string") throw new TypeError(`missing on stdin: ${field}`);
    }
    return { ok: true, ...(await command(input)) };
}

const print = (value) =>
    new Promise((resolve) => {
        const text = flags.includes("--json") ? JSON.stringify(value) : JSON.stringify(value, null, 4);
        process.stdout.write(`${text}\n`, resolve);
    });

silence();
try {
    await print(await main());
    process.exit(0);
} catch (error) {
    const { name: kind, message, errcode } = error;
    await print({ ok: false, error: { name: kind, message, errcode } });
    process.exit(1);
}
