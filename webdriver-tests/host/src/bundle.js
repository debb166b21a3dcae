// The parser-inserted entry script: the chunk runtime and the start-up order (config, language, theme, then the app).
import { installRuntime } from "./runtime.js";

const { load, publicPath } = installRuntime(document.currentScript.src);
globalThis.hostAssets = { cryptoWasm: new URL(CRYPTO_WASM, publicPath).href, publicPath };

async function start() {
    const init = await load("init");
    try {
        init.preparePlatform();
        await init.loadConfig();
        await Promise.all([init.loadLanguage(), init.loadTheme()]);
        await init.loadModules();
        await load("vendors");
        const { loadApp } = await load("element-web-app");
        await loadApp(init.config());
    } catch (error) {
        console.error(error);
        init.showError("Your Element is misconfigured", String(error.message ?? error));
    }
}

start().catch((error) => {
    console.error(error);
    const frame = document.createElement("iframe");
    frame.sandbox = "";
    frame.src = "static/unable-to-load.html";
    frame.style.cssText = "width:100%;height:100%;position:absolute;top:0;left:0;border:0";
    document.getElementById("matrixchat").appendChild(frame);
});
