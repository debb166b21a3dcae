// The wire: what the homeserver says of people's keys goes to the background before Element acts on it; what Element sends
// encrypted to devices waits until the background has said what of it may go. Every other request is untouched.
const KEYS = /^(.*)\/_matrix\/client\/(?:v3|r0|unstable)\/keys\/query$/;
const SEND = /^(.*)\/_matrix\/client\/(?:v3|r0|unstable)\/sendToDevice\/m\.room\.encrypted\/[^/]+$/;
const MESSAGE = /^(.*)\/_matrix\/client\/(?:v3|r0|unstable)\/rooms\/([^/]+)\/send\/m\.room\.encrypted\/[^/]+$/;
const LOGIN = /^(.*)\/_matrix\/client\/(?:v3|r0|unstable)\/login$/;
const OLM = "m.olm.v1.curve25519-aes-sha2";
const JSON_TYPE = { "Content-Type": "application/json" };
const AGAIN = 1000;
// After that the person is told that something waits.
const LONG = 5000;

const ownFetch = window.fetch;
const send = ownFetch.bind(window);
const cloneOf = free(Response.prototype.clone);
const bytesOf = free(Response.prototype.arrayBuffer);
const decoded = free(TextDecoder.prototype.decode);
const encoded = free(TextEncoder.prototype.encode);
const matches = free(RegExp.prototype.exec);

// What goes to devices waits for the background; also when there is none any more, because it was updated.
let gated = true;
// What people's keys are said to be is looked at.
let pinned = true;
let orphan = false;

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

// Is it a request to the homeserver that this page is served for?
const isToServed = (base) => typeof served === "string" && normal(base) === normal(served);
// Is it one to its host, by whatever path?
const isToHost = (base) => typeof served === "string" && new URL(base).origin === new URL(served).origin;

const who = () => {
  const client = currentClient();
  return { user_id: client?.getUserId?.(), device_id: client?.getDeviceId?.() };
};

// So many bytes of an answer are handed over without asking whether they are known, and so long is asked, in milliseconds.
const SHORT = 1 << 16;
const KNOWN_WITHIN = 500;
// The background reads no answer that has more bytes: it is told how many, and the text stays here.
const LONGEST = 5 << 20;

const hashed = async (bytes) => encode(text(...new Uint8Array(await digest("SHA-256", bytes))));

// Element acts on an answer when the background has it. One that it has taken in before, byte for byte, it knows by its
// digest.
const handIn = async (asked, bytes, session) => {
  const message = { ask: "observe", asked, ...session };
  if (bytes.byteLength > LONGEST) {
    ask({ ...message, size: bytes.byteLength }).catch(() => {});
    return;
  }
  if (digest && bytes.byteLength > SHORT) {
    message.digest = (await Promise.all([encoded(new TextEncoder(), asked), bytes].map(hashed))).join();
    const isKnown = ask({ ask: "known", digest: message.digest, ...session }).then(({ known }) => known === true, () => false);
    if (await Promise.race([isKnown, pause(KNOWN_WITHIN)])) return;
  }
  ask({ ...message, long: decoded(new TextDecoder(), bytes) }).catch(() => {});
};

const observed = async (base, resource, init) => {
  const response = await send(resource, init);
  try {
    const { body: asked } = init;
    if (pinned && response.ok && typeof asked === "string" && served !== null && (served === undefined || isToServed(base))) {
      const bytes = await bytesOf(cloneOf(response));
      const session = who();
      if (session.user_id && session.device_id) await handIn(asked, bytes, session);
    }
  } catch {
    // Element hears of it by itself.
  }
  return response;
};

// The rooms that this page wrote to: the background keeps which are in use.
const usedRooms = create(null);
const sentTo = async (base, room, resource, init) => {
  const response = await send(resource, init);
  try {
    const { user_id, device_id } = who();
    if (pinned && response.ok && !usedRooms[room] && user_id && served !== null && (served === undefined || isToServed(base))) {
      usedRooms[room] = true;
      ask({ ask: "used", room: unescaped(room), user_id, device_id }).catch(() => delete usedRooms[room]);
    }
  } catch {
    // Element hears of it by itself.
  }
  return response;
};

// A homeserver may tell a client at its login to use another address from then on: nobody would look at what goes there.
const loggedIn = async (base, resource, init) => {
  const response = await send(resource, init);
  try {
    if (served === undefined) await ask().catch(() => {});
    const { well_known: elsewhere, ...answer } = parse(decoded(new TextDecoder(), await bytesOf(cloneOf(response))));
    const stays = served === undefined || isToServed(base);
    if (elsewhere !== undefined && stays) return new Response(stringify(answer), { status: response.status, headers: JSON_TYPE });
  } catch {
    // Element hears of it by itself.
  }
  return response;
};

// How many requests have waited for long.
let late = 0;
const waits = (more) => {
  late += more;
  tell({ tell: "waits", on: late > 0 });
};

const guarded = async (base, resource, init) => {
  let told = 0;
  const timer = setTimeout(() => waits((told = 1)), LONG);
  try {
    init = await allowed(base, init);
  } finally {
    clearTimeout(timer);
    if (told) waits(-1);
  }
  return send(resource, init);
};

// To whom a body goes, and under which keys: where all of it may go, the background needs no more. Nothing of a body that
// says something twice, or in another way than the client writes it.
const outlineOf = (body) => {
  const parsed = parse(body);
  if (stringify(parsed) !== body) return undefined;
  const outline = create(null);
  for (const [user, devices] of entries(parsed.messages)) {
    outline[user] = create(null);
    for (const [device, { algorithm, ciphertext }] of entries(devices)) {
      const [key, another] = algorithm === OLM ? keys(ciphertext) : [];
      outline[user][device] = another === undefined ? (key ?? "") : "";
    }
  }
  return stringify(outline);
};

const inShort = (body) => {
  try {
    const outline = outlineOf(body);
    return outline && { ask: "outline", long: outline };
  } catch {
    return undefined;
  }
};

// What of a request may go, as soon as that is known.
const allowed = async (base, init) => {
  let short = inShort(init.body);
  while (!init.signal?.aborted) {
    if (orphan && gated) throw new TypeError("Keystead does not run: reload the page");
    try {
      if (served === undefined) await ask();
      if (served !== undefined) {
        if (!gated || !isToHost(base)) break;
        if (typeof init.body !== "string") throw new TypeError("nothing that can be checked");
        const { own, unclear, value } = await ask({ ...(short ?? { ask: "send", long: init.body }), ...who() });
        if (unclear) {
          short = undefined;
          continue;
        }
        if (own || value === undefined) break;
        return { ...init, body: value };
      }
    } catch {
      // Nothing goes unchecked: it is asked again, for as long as Element waits.
    }
    await pause(AGAIN);
  }
  return init;
};

function wired(resource, init) {
  try {
    const { origin, pathname } = new URL(typeof resource === "string" ? resource : resource.href, window.location.href);
    const [keys, sent, message, login] = [KEYS, SEND, MESSAGE, LOGIN].map((path) => matches(path, pathname));
    if (keys && init?.method === "POST") return observed(origin + keys[1], resource, init);
    if (sent && init?.method === "PUT") return guarded(origin + sent[1], resource, init);
    if (login && init?.method === "POST") return loggedIn(origin + login[1], resource, init);
    if (message && init?.method === "PUT") return sentTo(origin + message[1], message[2], resource, init);
  } catch {
    // No address that is ours to look at.
  }
  return send(resource, init);
}

const rewire = () => {
  if (window.fetch === ownFetch) window.fetch = wired;
};
const unwire = () => {
  if (window.fetch === wired && !(orphan && gated)) window.fetch = ownFetch;
};
rewire();

// Which of the people to look out for are in the room that is shown.
let watchedUsers = [];
let toldRoom = "";
const lookAtRoom = () => {
  const { currentRoomId } = window.matrixChat?.state ?? {};
  const room = watchedUsers.length > 0 && currentRoomId ? currentClient()?.getRoom?.(currentRoomId) : undefined;
  const isIn = (user) => ["join", "invite"].includes(room.getMember(user)?.membership);
  const users = room ? watchedUsers.filter(isIn) : [];
  if (stringify(users) === toldRoom) return;
  toldRoom = stringify(users);
  tell({ tell: "room", users });
};
const watchUsers = ({ users }) => {
  watchedUsers = users;
  lookAtRoom();
};
