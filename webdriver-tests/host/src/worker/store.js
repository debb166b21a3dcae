export { IndexedDBStoreWorker } from "matrix-js-sdk/lib/indexeddb-worker.js";
