// Dedicated worker of the sync store: it fetches its code with importScripts, as webpack's worker runtime does.
const base = new URL(".", self.location.href).href;
const factories = {};
const cache = {};

function require(id) {
    if (cache[id]) return cache[id].exports;
    const module = (cache[id] = { exports: {} });
    factories[id](module, module.exports, require);
    return module.exports;
}

self.webpackChunkkeystead_host = { push: ([, modules]) => Object.assign(factories, modules) };
for (const chunk of ["unhomoglyph_data", "store-worker"]) importScripts(`${base}${chunk}.js`);

const { IndexedDBStoreWorker } = require("store-worker");
const remote = new IndexedDBStoreWorker((message) => self.postMessage(message));
self.onmessage = remote.onMessage;
