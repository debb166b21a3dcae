// The bridge: whatever Element stores in, or reads from, secret storage goes to the background, which says what to do:
// `own` (Element's own function, unchanged), a value, done, or refused.
//
// No client is held here: the stores of one that has been left are deleted only when the browser has let go of it, and the
// next login waits for that.
const bridged = new WeakMap();
let current;

const normal = (url) => {
  try {
    const { origin, pathname } = new URL(url);
    return origin + pathname.replace(/\/+$/, "");
  } catch {
    return undefined;
  }
};

// Is this client logged in to the homeserver that this page is served for?
const isServed = (client) =>
  typeof served === "string" && !client.isGuest?.() && normal(client.getHomeserverUrl?.()) === normal(served);

const consult = async (client, message) => {
  if (served === undefined) await ask();
  if (!isServed(client)) return OWN;
  return ask({ ...message, user_id: client.getUserId(), device_id: client.getDeviceId() });
};

// What a restore is about to have the client read is asked for at once; each answer is handed on once, and soon or never.
const SOON = 60_000;
let awaited = create(null);
const askAhead = (client, names) => {
  const asked = create(null);
  for (const name of names) {
    const answer = consult(client, { ask: "get", name });
    caught(answer, () => {});
    asked[name] = { client, answer };
  }
  awaited = asked;
  const forget = () => {
    for (const name of names) delete asked[name];
  };
  setTimeout(forget, SOON);
  return forget;
};
const askedAhead = (client, name) => {
  if (typeof name !== "string" || awaited[name]?.client !== client) return undefined;
  const { answer } = awaited[name];
  delete awaited[name];
  return answer;
};

const bridge = (client) => {
  const storage = client?.secretStorage;
  if (!storage || known.has(bridged, storage)) return;
  const inherited = !hasOwn(storage, "get") && !hasOwn(storage, "store");
  const own = { get: storage.get, store: storage.store };
  known.set(bridged, storage, { inherited, own });
  current = new WeakRef(storage);
  const { call } = Function.prototype;
  const run = { get: call.bind(own.get, storage), store: call.bind(own.store, storage) };
  storage.get = async (name) => {
    const answer = await (askedAhead(client, name) ?? consult(client, { ask: "get", name }));
    return answer.own ? run.get(name) : answer.value;
  };
  storage.store = async (name, secret, keys) => {
    if (secret === null) {
      // The person resets: what was there is put aside, and nothing of that may stand in the way.
      await consult(client, { ask: "put_aside", name }).catch(() => {});
      return run.store(name, secret, keys);
    }
    const answer = await consult(client, { ask: "store", name, secret });
    return answer.own ? run.store(name, secret, keys) : undefined;
  };
};

// Gives the client its own functions back.
const unbridge = () => {
  const storage = current && deref(current);
  current = undefined;
  const before = storage && known.get(bridged, storage);
  if (!before) return;
  known.delete(bridged, storage);
  if (before.inherited) {
    delete storage.get;
    delete storage.store;
  } else Object.assign(storage, before.own);
};
