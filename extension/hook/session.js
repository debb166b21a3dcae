// Who is logged in. A session is introduced when the background asks, when Element's own set-up is over (view 8, logged
// in) or waits for the person, and whenever something of it has changed. Its token goes to the background of the homeserver
// it belongs to, and to no other.
const SOFT_LOGOUT = 9;
const LOCK_STOLEN = 10;

const currentClient = () => window.mxMatrixClientPeg?.get?.() ?? null;

// Somebody else's secret storage, and the person's wishes, as the account's data tell them: a change makes the background
// look again. Secret storage that is gone does not: a person who deletes it says so a moment later.
const WISHES = { "m.org.matrix.custom.backup_disabled": "disabled", "m.key_backup": "enabled", "io.element.recovery": "enabled" };
let ours;
const standing = (client) => {
  const content = (kind) => client.getAccountData(kind)?.getContent() ?? {};
  const { key = ours } = content("m.secret_storage.default_key");
  // No more than yes, no and nothing: every other value would be news.
  const wish = ([kind, field]) => ({ true: "yes", false: "no" })[stringify(content(kind)[field])];
  return stringify([key === ours ? "" : key, ...entries(WISHES).map(wish)]);
};

let seen = { view: undefined, since: 0 };
let last; // who was here last: so much is said when the person logs out
let introduced = "";

const sessionOf = (client) => {
  const view = window.matrixChat?.state?.view;
  if (view !== seen.view) seen = { view, since: now() };
  if (!client || view === undefined || client.isGuest?.()) return undefined;
  if (typeof served === "string" && !isServed(client)) return undefined;
  const who = { user_id: client.getUserId(), device_id: client.getDeviceId() };
  const token = client.getAccessToken?.();
  if (!who.user_id || !who.device_id || !token) return undefined;
  if (served) last = who;
  // Such a session is not this page's to use; it is not over either.
  if (view === SOFT_LOGOUT || view === LOCK_STOLEN) return undefined;
  return {
    tell: "session",
    ...who,
    homeserver: client.getHomeserverUrl(),
    token,
    ready: view === 8 && Boolean(client.getCrypto?.()),
    unverified: view === 6 && Boolean(client.getCrypto?.()),
    // Confirming the identity waits for the person; making one takes two seconds, or asks for somebody's recovery key.
    stuck: view === 6 || (view === 7 && now() - seen.since > 5000),
    standing: standing(client),
  };
};

const introduce = (again) => {
  if (served === null) return;
  const client = currentClient();
  bridge(client);
  const session = sessionOf(client);
  const said = session ? stringify(session) : "";
  if (said === introduced && !(again && session)) return;
  if (served === undefined) return wake();
  introduced = said;
  tell(session ?? { tell: "away" });
};

const look = () => {
  introduce(false);
  if (served) lookAtRoom();
};

// Element assigns its handles to `window` as it starts; each assignment is a moment to look.
let watched = [];
const watch = (name, then) => {
  let value = window[name];
  defineProperty(window, name, {
    configurable: true,
    enumerable: true,
    get: () => value,
    set(assigned) {
      value = assigned;
      then(assigned);
    },
  });
  watched.push(() => {
    if (value === undefined) delete window[name];
    else defineProperty(window, name, { configurable: true, enumerable: true, writable: true, value });
  });
  if (value) then(value);
};

const heard = ({ action }) => {
  if (served === null) return;
  if (action === "on_logged_out" && last) {
    tell({ tell: "signed_out", ...last });
    introduced = "";
    last = ours = undefined;
  }
  // The view changes after the action was handled.
  setTimeout(look);
};

// Neither before Element is there, nor at the login form, nor when all is done.
const isComingUp = () => ![undefined, 3, 8].includes(window.matrixChat?.state?.view);

let looking;
const dispatchers = new WeakMap();
const lookOut = () => {
  if (looking !== undefined) return;
  watch("mxMatrixClientPeg", look);
  watch("matrixChat", look);
  watch("mxDispatcher", (dispatcher) => {
    if (!dispatcher?.register || known.has(dispatchers, dispatcher)) return;
    known.set(dispatchers, dispatcher, true);
    dispatcher.register(heard);
  });
  // A refreshed token, or a view that changed without an action, is seen a second later; sooner while Element comes up.
  looking = [setInterval(look, 1000), setInterval(() => isComingUp() && look(), 16)];
};

// Leaves the page as it was found.
const lookAway = () => {
  looking?.forEach(clearInterval);
  looking = undefined;
  for (let index = 0; index < watched.length; index += 1) watched[index]();
  watched = [];
  unbridge();
  unwire();
  introduced = "";
};

lookOut();
