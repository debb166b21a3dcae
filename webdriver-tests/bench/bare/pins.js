// Opens the store of the extension that this page is in with the core, as its background does at its first need.
import init, { open_pins } from "./seal/keystead_bench.js";

const ready = init({ module_or_path: new URL("seal/keystead_bench_bg.wasm", import.meta.url) });
const answered = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

globalThis.openTimes = async (origin, owner, runs) => {
  await ready;
  const database = await answered(indexedDB.open("keystead"));
  const read = (keys) => {
    const records = database.transaction("records").objectStore("records");
    return Promise.all(keys.map((key) => answered(records.get(key))));
  };
  const times = [];
  // The first has the code compiled.
  for (let run = 0; run <= runs; run += 1) {
    const began = performance.now();
    const bytes = await open_pins(origin, owner, read);
    if (run > 0) times.push(performance.now() - began);
    if (bytes === 0) throw new Error("nothing is kept");
  }
  database.close();
  return JSON.stringify(times);
};
