// MAIN world, document_start, before any script of the page. Watches Element come up, tells the background who is logged
// in, and lets the client's secret storage be served by the background. It decides nothing and keeps nothing.
(() => {
  let port;
  const take = (event) => {
    document.removeEventListener("keystead:port", take, true);
    event.stopImmediatePropagation();
    event.preventDefault();
    [port] = event.ports;
    port.onmessage = ({ data }) => receive(data);
  };
  document.addEventListener("keystead:port", take, true);

  let serial = 0;
  const asked = new Map();
  // A background that was stopped meanwhile hears first whose page this is.
  let stopped = false;
  const tell = (message) => {
    if (stopped && message.tell !== "session" && message.tell !== "signed_out") introduce(true);
    stopped = false;
    port?.postMessage(message);
  };
  const ask = (question) =>
    new Promise((resolve, reject) => {
      serial += 1;
      const message = { ...question, id: serial };
      asked.set(serial, { message, resolve, reject });
      tell(message);
    });

  const canonical = (value) =>
    JSON.stringify(value, (_key, v) =>
      v && typeof v === "object" && !Array.isArray(v)
        ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
        : v,
    );

  const currentClient = () => window.mxMatrixClientPeg?.get?.() ?? null;

  // The bridge: whatever Element stores in, or reads from, secret storage goes to the background, which says what to do:
  // `own` (Element's own function, unchanged), a value, done, or refused.
  const bridged = new WeakSet();
  const bridge = (client) => {
    const storage = client?.secretStorage;
    if (!storage || bridged.has(storage)) return;
    bridged.add(storage);
    const own = { get: storage.get.bind(storage), store: storage.store.bind(storage) };
    storage.get = async (name) => {
      const answer = await ask({ ask: "get", name });
      return answer.own ? own.get(name) : answer.value;
    };
    storage.store = async (name, secret, keys) => {
      if (secret === null) {
        // The person resets: what was there is put aside, and nothing of that may stand in the way.
        await ask({ ask: "put_aside", name }).catch(() => {});
        return own.store(name, secret, keys);
      }
      const answer = await ask({ ask: "store", name, secret });
      return answer.own ? own.store(name, secret, keys) : undefined;
    };
  };

  // Somebody else's secret storage, and the person's wishes, as the account's data tell them: a change makes the background
  // look again. Secret storage that is gone does not: a person who deletes it says so a moment later.
  const WISHES = { "m.org.matrix.custom.backup_disabled": "disabled", "m.key_backup": "enabled", "io.element.recovery": "enabled" };
  let ours;
  const standing = (client) => {
    const content = (kind) => client.getAccountData(kind)?.getContent() ?? {};
    const { key = ours } = content("m.secret_storage.default_key");
    return [key === ours ? "" : key, ...Object.entries(WISHES).map(([kind, field]) => content(kind)[field])].join();
  };

  // A session is introduced when Element's own set-up is over (view 8, logged in) or waits for the person, and again when
  // the background asks.
  let introduced = "";
  let seen = { view: undefined, since: 0 };
  const introduce = (again) => {
    const client = currentClient();
    bridge(client);
    const view = window.matrixChat?.state?.view;
    if (!client?.getAccessToken?.() || client.isGuest?.() || view === undefined || view === 9 || view === 10) return;
    if (view !== seen.view) seen = { view, since: Date.now() };
    const session = {
      tell: "session",
      user_id: client.getUserId(),
      device_id: client.getDeviceId(),
      homeserver: client.getHomeserverUrl(),
      token: client.getAccessToken(),
      ready: view === 8 && Boolean(client.getCrypto?.()),
      unverified: view === 6 && Boolean(client.getCrypto?.()),
      // Confirming the identity waits for the person; making one takes two seconds, or asks for somebody's recovery key.
      stuck: view === 6 || (view === 7 && Date.now() - seen.since > 5000),
      standing: standing(client),
    };
    const key = JSON.stringify(session);
    if (!again && key === introduced) return;
    introduced = key;
    tell(session);
  };

  // Element's own set-up at a first login ran, or runs, in this document.
  const ownSetup = () => window.mxInitialCryptoStore?.status !== undefined;

  const commands = {
    async await_account_data({ kind, content }) {
      const client = currentClient();
      if (kind === "m.secret_storage.default_key") ours = content.key;
      const wanted = canonical(content);
      const there = () => canonical(client.getAccountData(kind)?.getContent() ?? null) === wanted;
      if (there()) return;
      await new Promise((resolve, reject) => {
        const done = () => {
          clearTimeout(timer);
          client.off("accountData", look);
        };
        const look = () => there() && (done(), resolve());
        const timer = setTimeout(() => (done(), reject(new Error("no echo"))), 30_000);
        client.on("accountData", look);
      });
    },
    async make_identity({ anew }) {
      const crypto = currentClient().getCrypto();
      const upload = (request) => request(null);
      const { privateKeysCachedLocally: own } = await crypto.getCrossSigningStatus();
      if (own.masterKey && own.selfSigningKey && own.userSigningKey) {
        // The client's own second try publishes nothing.
        const requests = await crypto.olmMachine.bootstrapCrossSigning(false);
        for (const kind of ["uploadKeysRequest", "uploadSigningKeysRequest", "uploadSignaturesRequest"]) {
          if (requests[kind]) await crypto.outgoingRequestProcessor.makeOutgoingRequest(requests[kind], upload);
        }
      } else if (anew && !ownSetup() && !(await crypto.userHasCrossSigningKeys(undefined, true))) {
        await crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: upload });
      } else {
        throw new Error("no keys to publish");
      }
    },
    async store_secrets() {
      const client = currentClient();
      const [user, device] = [client.getUserId(), client.getDeviceId()];
      const crypto = client.getCrypto();
      // Element's own set-up, if it was interrupted, may have come no further than to publish the identity.
      const signed = ownSetup() || (await crypto.getDeviceVerificationStatus(user, device))?.signedByOwner;
      if (!signed) await crypto.crossSignDevice(device);
      await crypto.bootstrapSecretStorage({});
    },
    make_backup: () => currentClient().getCrypto().resetKeyBackup(),
    // What Element itself does after "use recovery key", with secret storage served by the background.
    async restore() {
      const crypto = currentClient().getCrypto();
      await crypto.userHasCrossSigningKeys(undefined, true);
      await crypto.bootstrapCrossSigning({});
      await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
      await crypto.checkKeyBackupAndEnable();
      window.mxSetupEncryptionStore?.done?.();
    },
    async renew_token() {
      await currentClient().whoami();
      introduce(true);
    },
    async readiness() {
      const crypto = currentClient().getCrypto();
      const [{ privateKeysCachedLocally: own }, backup] = await Promise.all([
        crypto.getCrossSigningStatus(),
        crypto.getSessionBackupPrivateKey(),
      ]);
      return { holds_secrets: Boolean(own.masterKey && own.selfSigningKey && own.userSigningKey && backup) };
    },
  };

  const receive = async (message) => {
    if (message.re !== undefined) {
      const waiting = asked.get(message.re);
      asked.delete(message.re);
      if (message.refused) waiting?.reject(new Error(message.refused));
      else waiting?.resolve(message);
    } else if (message.do === "introduce") {
      introduce(true);
    } else if (message.do === "lost") {
      stopped = true;
      const open = [...asked];
      for (const [id, question] of open) {
        // Once more: Element knows nothing of backgrounds that are stopped.
        if (!question.again) tell(question.message);
        else if (asked.delete(id)) question.reject(new Error("the extension was stopped"));
        question.again = true;
      }
    } else if (Object.hasOwn(commands, message.do)) {
      try {
        const ready = await commands[message.do](message);
        tell({ tell: "done", id: message.id, answer: ready ? { page: "ready", ...ready } : { page: "done" } });
      } catch {
        tell({ tell: "done", id: message.id, answer: { page: "failed" } });
      }
    }
  };

  // Element assigns its handles to `window` as it starts; each assignment is a moment to look.
  const watch = (name, seen) => {
    let value = window[name];
    Object.defineProperty(window, name, {
      configurable: true,
      enumerable: true,
      get: () => value,
      set(assigned) {
        value = assigned;
        seen(assigned);
      },
    });
    if (value) seen(value);
  };
  const look = () => introduce(false);
  watch("mxMatrixClientPeg", look);
  watch("matrixChat", look);
  watch("mxDispatcher", (dispatcher) => {
    dispatcher?.register?.(({ action }) => {
      if (action === "on_logged_out" && introduced) {
        const { user_id } = JSON.parse(introduced);
        introduced = "";
        ours = undefined;
        tell({ tell: "signed_out", user_id });
      }
      // The view changes after the action was handled.
      setTimeout(look);
    });
  });
  // A refreshed token, or a view that changed without an action, is seen a second later; sooner while Element comes up.
  setInterval(look, 1000);
  setInterval(() => ![undefined, 3, 8].includes(window.matrixChat?.state?.view) && look(), 50);
})();
