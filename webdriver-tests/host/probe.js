// The contract between Keystead and the web client, as questions. Injected into the page at its login form (as the
// body of a WebDriver script), on a real Element Web and on the host page; both must answer the same.
// It sets `window.keysteadProbe`: `stage(name)` notes what is there now, `report()` gives all answers as JSON.
// Its argument is probe/contract.json: the globals with their methods, the selectors, the actions asked about, how
// request paths become templates, and which requests write keys.
if (window.keysteadProbe) return;
const contract = arguments[0];
const templates = contract.pathTemplates.map(([pattern, replacement]) => [new RegExp(pattern, "g"), replacement]);
const keyWrite = new RegExp(contract.keyWrites);

const views = [];
const actions = [];
const requests = [];
const keyWrites = [];
const secretStorage = [];
const stages = {};
const atLoggedIn = {};
const noteOnce = (list, value) => !list.includes(value) && list.push(value);
const noteChange = (list, value) => list.at(-1) !== value && list.push(value);

// Views: every assignment of `matrixChat.state`.
let state = window.matrixChat.state;
noteChange(views, state.view);
Object.defineProperty(window.matrixChat, "state", {
    configurable: true,
    get: () => state,
    set(next) {
        state = next;
        noteChange(views, next.view);
    },
});

// Actions, and what exists when the session does.
window.mxDispatcher.register((payload) => {
    if (payload.action === "MatrixActions.sync") noteOnce(actions, `sync ${payload.state}`);
    if (contract.actions.includes(payload.action)) noteOnce(actions, payload.action);
    if (payload.action !== "on_logged_in") return;
    const client = window.mxMatrixClientPeg.get();
    Object.assign(atLoggedIn, { client: Boolean(client), crypto: Boolean(client?.getCrypto()), view: state.view });
    for (const name of ["addKey", "setDefaultKeyId", "store", "get"]) watchSecretStorage(client.secretStorage, name);
});

// Secret storage: the page's crypto must go through this very object.
function watchSecretStorage(object, name) {
    const original = object[name];
    object[name] = function (...args) {
        const what = name === "store" && args[1] === null ? "store null" : name;
        const on = String(args[0]).startsWith("m.") ? args[0].replace(/(secret_storage\.key)\..*/, "$1.{keyId}") : "";
        noteChange(secretStorage, `${what} ${on}`.trim());
        return original.apply(this, args);
    };
}

// Workers, and how the crypto WASM starts: both come after the login form.
const workers = [];
const wasm = [];
const shorten = (url) => new URL(url, location.href).pathname.replace(/[0-9a-f]{20}/g, "{hash}");
const WorkerOfPage = window.Worker;
window.Worker = function Worker(url, options) {
    noteOnce(workers, shorten(url));
    return new WorkerOfPage(url, options);
};
// `window.`: a WebDriver script of Firefox runs in a sandbox, whose own globals are not the page's.
const instantiateStreaming = window.WebAssembly.instantiateStreaming;
window.WebAssembly.instantiateStreaming = function (...args) {
    noteOnce(wasm, "instantiateStreaming");
    return instantiateStreaming.apply(window.WebAssembly, args);
};

// Requests to the homeserver: method and path template, first occurrence only; those that write keys in their order.
const fetchOfPage = window.fetch;
window.fetch = function (input, init) {
    const url = new URL(input.url ?? input, location.href);
    if (url.pathname.endsWith(".wasm")) noteOnce(wasm, `fetch ${shorten(url)}`);
    if (url.pathname.startsWith("/_matrix/client/")) {
        const path = templates.reduce((text, [from, to]) => text.replace(from, to), decodeURIComponent(url.pathname));
        const request = `${init?.method ?? input.method ?? "GET"} ${path}`;
        noteOnce(requests, request);
        if (keyWrite.test(request)) noteOnce(keyWrites, request);
    }
    return fetchOfPage.call(window, input, init);
};

function globals() {
    const describe = ([name, methods]) => {
        const value = window[name];
        return [name, value ? ["object", ...methods.filter((method) => typeof value[method] === "function")] : typeof value];
    };
    return Object.fromEntries(Object.entries(contract.globals).map(describe));
}

function loading() {
    const inPage = (url) => url.startsWith(location.origin);
    const scripts = [...document.scripts].filter(({ src }) => src && inPage(src)); // chunks are gone again by now
    const resources = performance.getEntriesByType("resource").filter(({ name }) => inPage(name));
    const fetched = resources.filter(({ initiatorType }) => initiatorType === "fetch").map(({ name }) => new URL(name));
    const policy = document.querySelector("meta[http-equiv=Content-Security-Policy]").content;
    return {
        parserScripts: scripts.filter((script) => script.parentNode === document.body).map(({ src }) => shorten(src)),
        scriptsLeft: scripts.length,
        chunks: ["init", "element-web-app"].filter((chunk) =>
            resources.some(({ name }) => shorten(name) === `/bundles/{hash}/${chunk}.js`),
        ),
        integrityOrNonce: scripts.some((script) => script.integrity || script.nonce),
        stylesheets: document.querySelectorAll("link[rel=stylesheet]").length > 1,
        config: fetched
            .filter(({ pathname }) => /^\/config.*\.json$/.test(pathname))
            .map(({ pathname, searchParams }) => `${pathname}?${[...searchParams.keys()]}`)
            .sort(),
        languages: fetched.some(({ pathname }) => /^\/i18n\/languages\.[0-9a-f]+\.json$/.test(pathname)),
        workers,
        wasm,
        csp: Object.fromEntries(policy.split(";").flatMap((line) => {
            const [name, ...sources] = line.trim().split(/\s+/);
            return name ? [[name, sources.join(" ")]] : [];
        })),
    };
}

window.keysteadProbe = {
    stage(name) {
        stages[name] = {
            view: state.view,
            present: contract.selectors.filter((selector) => document.querySelector(selector)),
            toasts: window.mxToastStore?.getToasts().map(({ key, title }) => `${key}: ${title}`) ?? [],
        };
    },
    requested: (request) => requests.includes(request),
    /** What went through secret storage, and writes about keys, since the last call, or since the beginning. */
    since() {
        return { secretStorage: secretStorage.splice(0), keyWrites: keyWrites.splice(0) };
    },
    async report() {
        const crypto = window.mxMatrixClientPeg.get()?.getCrypto();
        return {
            loading: loading(),
            serviceWorker: (await navigator.serviceWorker.getRegistration())?.active?.scriptURL.slice(location.origin.length),
            globals: globals(),
            views,
            actions,
            atLoggedIn,
            stages,
            ...window.keysteadProbe.since(),
            requests: [...requests].sort(),
            initialCryptoStatus: window.mxInitialCryptoStore?.status ?? null,
            setupEncryptionPhase: window.mxSetupEncryptionStore?.phase ?? null,
            ready: crypto && {
                crossSigning: await crypto.isCrossSigningReady(),
                secretStorage: await crypto.isSecretStorageReady(),
                backup: (await crypto.getActiveSessionBackupVersion()) !== null,
            },
            localStorage: Object.keys(localStorage).filter((key) => /^mx_(hs_url|user_id|device_id|has_|crypto_init|is_guest)/.test(key)).sort(),
            databases: (await indexedDB.databases()).map(({ name }) => name).filter((name) => name.startsWith("matrix-")).sort(),
        };
    },
};
