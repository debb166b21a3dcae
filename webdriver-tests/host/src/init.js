// What Element does before its app is loaded: service worker, config.json, language, theme, modules.

let loadedConfig = {};

/** The configuration as `loadConfig` found it. */
export const config = () => loadedConfig;

/** Registers the service worker; a failure is only logged. */
export function preparePlatform() {
    globalThis.hostServiceWorker = navigator.serviceWorker
        .register("sw.js")
        .then((registration) => {
            navigator.serviceWorker.addEventListener("message", answerServiceWorker);
            return registration.update();
        })
        .catch((error) => console.error("Error registering/updating service worker:", error));
}

function answerServiceWorker({ data, source }) {
    if (data?.type !== "userinfo" || !data.responseKey) return;
    source.postMessage({
        responseKey: data.responseKey,
        userId: localStorage.getItem("mx_user_id"),
        deviceId: localStorage.getItem("mx_device_id"),
        homeserver: window.mxMatrixClientPeg?.get()?.getHomeserverUrl(),
    });
}

async function fetchConfig(name) {
    const url = new URL(name, window.location.href);
    url.searchParams.set("cachebuster", String(Date.now()));
    const answer = await fetch(url, { cache: "no-cache", method: "GET" });
    if (answer.status === 404) return {};
    if (!answer.ok) throw new Error(`Unable to load config file: ${answer.status}`);
    return answer.json();
}

/** Loads `config.<host>.json` if there is one, else `config.json`. */
export async function loadConfig() {
    const general = fetchConfig("config.json");
    const specific = await fetchConfig(`config.${window.location.hostname}.json`).catch(() => ({}));
    loadedConfig = Object.keys(specific).length > 0 ? specific : await general;
    window.mxReactSdkConfig = loadedConfig;
}

/** Loads the texts. */
export async function loadLanguage() {
    const languages = await (await fetch(`i18n/${LANGUAGES}`)).json();
    window.hostTexts = await (await fetch(`i18n/${languages.en}`)).json();
}

/** Switches the one theme on. */
export function loadTheme() {
    for (const link of document.querySelectorAll("link[data-mx-theme]")) link.disabled = false;
}

/** Imports what `config.modules` names, with full page rights, as Element does. */
export async function loadModules() {
    for (const url of loadedConfig.modules ?? []) await import(url);
}

/** Shows a full-page error instead of the app. */
export function showError(title, text) {
    const box = document.createElement("div");
    box.className = "mx_ErrorView";
    const heading = document.createElement("h1");
    heading.textContent = title;
    box.append(heading, text);
    document.getElementById("matrixchat").replaceChildren(box);
}
