// What the probe does inside the page, through the handles the contract names. Bodies of WebDriver scripts.

/** Wraps a promise-returning function body (of client, crypto, given) for an asynchronous WebDriver script. */
const async = (body) => `
    const done = arguments[arguments.length - 1];
    const client = window.mxMatrixClientPeg.get();
    (async (crypto, given) => { ${body} })(client.getCrypto(), arguments[0])
        .then((value) => done({ value }), (error) => done({ error: String(error) }));`;

export const makeEncryptedRoom = async(`
    const { room_id: roomId } = await client.createRoom({
        name: "Probe",
        preset: "private_chat",
        initial_state: [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }],
    });
    window.mxDispatcher.dispatch({ action: "view_room", room_id: roomId });
    return roomId;`);

/** Secret storage from outside Element's own dialogs, with the recovery key given through the client's callback. */
export const setUpRecovery = async(`
    const made = await crypto.createRecoveryKeyFromPassphrase();
    const own = client.cryptoCallbacks.getSecretStorageKey;
    client.cryptoCallbacks.getSecretStorageKey = async ({ keys }) => [Object.keys(keys)[0], made.privateKey];
    await crypto.bootstrapSecretStorage({ setupNewSecretStorage: true, createSecretStorageKey: async () => made });
    client.cryptoCallbacks.getSecretStorageKey = own;
    return Array.from(made.privateKey);`);

/** A second device, the same way. */
export const restore = async(`
    const key = Uint8Array.from(given);
    const own = client.cryptoCallbacks.getSecretStorageKey;
    client.cryptoCallbacks.getSecretStorageKey = async ({ keys }) => [Object.keys(keys)[0], key];
    await crypto.userHasCrossSigningKeys(undefined, true);
    await crypto.bootstrapCrossSigning({});
    await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    client.cryptoCallbacks.getSecretStorageKey = own;
    return Boolean(await crypto.checkKeyBackupAndEnable());`);

export const setupPromptIs = (title) => `
    const toast = window.mxToastStore.getToasts().find(({ key }) => key === "setupencryption");
    return (toast?.title ?? null) === ${JSON.stringify(title)}`;
export const requested = (request) => `return window.keysteadProbe.requested("${request}")`;
export const accessToken = "return window.mxMatrixClientPeg.get().getAccessToken()";
export const isAtView = (view) => `return window.matrixChat?.state.view === ${view}`;
export const has = (selector) => `return Boolean(document.querySelector(${JSON.stringify(selector)}))`;
export const logout = 'window.mxDispatcher.dispatch({ action: "logout" })';
export const leftBehind = `
    const done = arguments[0];
    indexedDB.databases().then((databases) => done({
        localStorage: Object.keys(localStorage).filter((key) => key.startsWith("mx_")),
        databases: databases.map(({ name }) => name).filter((name) => name.startsWith("matrix-")).sort(),
    }));`;

const TAB = ".mx_EncryptionUserSettingsTab";
export const openSettings =
    'window.mxDispatcher.dispatch({ action: "view_user_settings", initialTabId: "USER_ENCRYPTION_TAB" })';
export const hasButton = (label) => `
    return [...document.querySelectorAll("${TAB} button")].some(({ textContent }) => textContent.trim() === "${label}")`;
export const clickButton = (label) => `
    [...document.querySelectorAll("${TAB} button")].find(({ textContent }) => textContent.trim() === "${label}").click()`;
export const keyStorageIs = (on) => `
    const toggle = document.querySelector("${TAB} input[name=keyStorage]");
    return Boolean(toggle) && toggle.checked === ${on}`;
export const clickKeyStorage = `document.querySelector("${TAB} input[name=keyStorage]").click()`;
export const shownKey = 'return document.querySelector(".mx_KeyPanel_key").textContent.trim()';
