// A chunk loader that behaves as webpack's does with Element's retry plugin: script elements appended to head,
// three retries half a second apart, each with a time stamp as query.

const CHUNK_ARRAY = "webpackChunkkeystead_host";
const RETRIES = 3;
const RETRY_DELAY_MS = 500;

/** Installs the runtime for chunks that lie beside the script at `scriptUrl`. */
export function installRuntime(scriptUrl) {
    const publicPath = new URL(".", scriptUrl).href;
    const factories = {};
    const cache = {};

    function require(id) {
        if (cache[id]) return cache[id].exports;
        if (!factories[id]) throw new Error(`Module ${id} is not loaded`);
        const module = (cache[id] = { exports: {} });
        factories[id](module, module.exports, require);
        return module.exports;
    }

    const register = ([, modules]) => Object.assign(factories, modules);
    const loaded = (self[CHUNK_ARRAY] ??= []);
    loaded.forEach(register);
    loaded.push = register;

    function insert(name, query) {
        return new Promise((resolve, reject) => {
            const script = document.createElement("script");
            script.charset = "utf-8";
            script.src = `${publicPath}${name}.js${query}`;
            script.onload = () => {
                script.remove();
                resolve();
            };
            script.onerror = () => {
                script.remove();
                reject(new Error(`Loading chunk ${name} failed.\n(error: ${script.src})`));
            };
            document.head.appendChild(script);
        });
    }

    async function load(name) {
        for (let attempt = 0; !factories[name]; attempt++) {
            try {
                await insert(name, attempt ? `?${Date.now()}` : "");
            } catch (error) {
                if (attempt === RETRIES) throw error;
                await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS));
            }
        }
        return require(name);
    }

    return { load, publicPath };
}
