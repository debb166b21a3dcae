// Runs in Element's page, as WebDriver's scripts do. `page` is its window.
const page = window.wrappedJSObject ?? window;
const client = page.mxMatrixClientPeg.get();
const base = `${client.getHomeserverUrl()}/_matrix/client/v3`;
const request = (method, body) => ({
    method,
    headers: { "Authorization": `Bearer ${client.getAccessToken()}`, "Content-Type": "application/json" },
    body,
});

// A window of the page's origin, in which nobody listens: what a request takes without Keystead.
const alone = () => {
    let frame = page.document.querySelector("iframe.keystead-bench");
    if (!frame) {
        frame = page.document.createElement("iframe");
        frame.className = "keystead-bench";
        frame.hidden = true;
        page.document.body.append(frame);
    }
    return frame.contentWindow;
};

// The longest time for which nothing else could run in the page's main thread.
const watch = () => {
    const { port1, port2 } = new MessageChannel();
    let [longest, last, on] = [0, performance.now(), true];
    port1.onmessage = () => {
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
        if (on) port2.postMessage(0);
    };
    port2.postMessage(0);
    return () => {
        on = false;
        return longest;
    };
};
const rest = () => new Promise((resolve) => setTimeout(resolve, 30));

let serial = Date.now();
const send = (where, body) => where.fetch(`${base}/sendToDevice/m.room.encrypted/keystead-bench-${(serial += 1)}`, request("PUT", body));
const NOTHING = JSON.stringify({ messages: {} });

// One answer: how long the main thread was blocked with Keystead and without it; how long after the answer Keystead had taken
// it in (what is sent to devices waits for that); and how long what is sent takes when nothing is to be taken in.
const observed = async (number, query) => {
    const ask = (where) => where.fetch(`${base}/keys/query?bench=${number}`, request("POST", query));
    await rest();
    let blocked = watch();
    await ask(alone());
    await rest();
    const without = blocked();
    blocked = watch();
    const response = await ask(page);
    const came = performance.now();
    await send(page, NOTHING);
    const taken = performance.now() - came;
    await rest();
    const withIt = blocked();
    const began = performance.now();
    await send(page, NOTHING);
    const idle = performance.now() - began;
    return { text: await response.text(), with: withIt, without, taken, idle };
};

// The client's own crypto, another machine of it, in memory.
const machine = async () => {
    const own = client.getCrypto().olmMachine;
    const [User, Device] = [own.userId.constructor, own.deviceId.constructor];
    page.keysteadRival ??= await own.constructor.initialize(new User("@rival:example.org"), new Device("RIVAL"));
    return { User, rival: page.keysteadRival };
};
const KEYS_QUERY = 1;
const processed = async (query, text) => {
    const { User, rival } = await machine();
    const users = Object.keys(JSON.parse(query).device_keys).map((user) => new User(user));
    const asked = rival.queryKeysForUsers(users);
    const began = performance.now();
    await rival.markRequestAsSent(asked.id, KEYS_QUERY, text);
    return performance.now() - began;
};

// Requests as the client makes them for one message: with the gate, and without it.
const delayed = async (bodies) => {
    const time = async (where) => {
        await rest();
        const began = performance.now();
        for (const body of bodies) await send(where, body);
        return performance.now() - began;
    };
    return { without: await time(alone()), with: await time(page) };
};
