// What the background asks of the client. None of it returns a secret.
const canonical = (value) =>
  stringify(value, (_key, v) =>
    v && typeof v === "object" && !isArray(v) ? fromEntries(entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v,
  );

// Element's own set-up at a first login ran, or runs, in this document.
const ownSetup = () => window.mxInitialCryptoStore?.status !== undefined;

// Everything that the client has goes into secret storage, as it is. The client's own way there asks for one after the other.
const handOver = async (client, how) => {
  const crypto = client.getCrypto();
  const [own, backup] = await Promise.all([crypto.olmMachine.exportCrossSigningKeys(), crypto.getSessionBackupPrivateKey()]);
  const secrets = {
    "m.cross_signing.master": own.masterKey,
    "m.cross_signing.self_signing": own.self_signing_key,
    "m.cross_signing.user_signing": own.userSigningKey,
    "m.megolm_backup.v1": encode(text(...backup)),
  };
  const answer = await consult(client, { ask: how, secrets });
  if (answer.own) throw new Error("not stored");
};

// In the order in which a restore has the client read them.
const SECRETS = ["m.megolm_backup.v1", "m.cross_signing.master", "m.cross_signing.self_signing", "m.cross_signing.user_signing"];

let renewing = false;

const commands = {
  expect_key({ key }) {
    ours = key;
  },
  async await_account_data({ kind, content }) {
    const client = currentClient();
    const wanted = canonical(content);
    const there = () => canonical(client.getAccountData(kind)?.getContent() ?? null) === wanted;
    if (there()) return;
    await new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        client.off("accountData", arrived);
      };
      const arrived = () => there() && (done(), resolve());
      const timer = setTimeout(() => (done(), reject(new Error("no echo"))), 30_000);
      client.on("accountData", arrived);
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
    await handOver(client, "hand_over");
  },
  store_beside: () => handOver(currentClient(), "hand_over_beside"),
  async renew_backup() {
    // With many keys it takes longer than the background waits.
    if (renewing) throw new Error("already under way");
    renewing = true;
    try {
      const crypto = currentClient().getCrypto();
      // A new backup removes the old one: what only that has would be lost.
      const { total, imported } = await crypto.restoreKeyBackup();
      if (imported !== total) throw new Error("the backup cannot be read");
      await crypto.resetKeyBackup();
    } finally {
      renewing = false;
    }
  },
  make_backup: () => currentClient().getCrypto().resetKeyBackup(),
  // What Element itself does after "use recovery key", with secret storage served by the background. The signature comes
  // last: a device that is vouched for has everything, wherever a tab is closed.
  async restore() {
    const client = currentClient();
    const crypto = client.getCrypto();
    const forgetAhead = askAhead(client, SECRETS);
    try {
      const [{ privateKeysCachedLocally: own }] = await Promise.all([
        crypto.getCrossSigningStatus(),
        crypto.userHasCrossSigningKeys(undefined, true),
        crypto.loadSessionBackupPrivateKeyFromSecretStorage(),
      ]);
      await crypto.bootstrapCrossSigning({});
      // A restore that was cut off may have come as far as the keys: with these the client signs nothing by itself.
      if (own.selfSigningKey) await crypto.crossSignDevice(client.getDeviceId());
    } finally {
      forgetAhead();
    }
    await crypto.checkKeyBackupAndEnable();
    window.mxSetupEncryptionStore?.done?.();
  },
  async renew_token() {
    await currentClient().whoami();
    introduce(true);
  },
  async discard_sessions() {
    const client = currentClient();
    const crypto = client.getCrypto();
    await Promise.all(client.getRooms().map(({ roomId }) => crypto.forceDiscardSession(roomId)));
  },
  async who_is_in({ users, rooms }) {
    const client = currentClient();
    const here = rooms.map((roomId) => client.getRoom(roomId)).filter(Boolean);
    const isIn = (user) => here.some((room) => ["join", "invite"].includes(room.getMember(user)?.membership));
    return { page: "in", users: users.filter(isIn) };
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

const perform = async (message) => {
  const { id } = message;
  try {
    const ready = await commands[message.do](message);
    tell({ tell: "done", id, answer: ready ? { page: "ready", ...ready } : { page: "done" } });
  } catch {
    tell({ tell: "done", id, answer: { page: "failed" } });
  }
};
