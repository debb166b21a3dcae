// Keystead and OpenPGP.js seal the same message to the same certificate, by turns. A sample is the mean of a few calls:
// pages are told the time coarsely.
import init, { Recipient, recovery_message } from "./seal/keystead_bench.js";
import { createMessage, encrypt, readKey } from "./openpgp.min.mjs";

const CALLS = 10;

const time = async (call) => {
  let result;
  const began = performance.now();
  for (let calls = 0; calls < CALLS; calls += 1) result = await call();
  return { time: (performance.now() - began) / CALLS, result };
};

// The certificate is read, and what is known of it remembered, before: both programs check it once and keep the result.
const keystead = async (certificate, address, text) => {
  const recipient = Recipient.accept(certificate, address, Date.now());
  return () => recipient.seal(text);
};
const openpgp = async (certificate, _address, text) => {
  const key = await readKey({ armoredKey: certificate });
  return async () => encrypt({ message: await createMessage({ text }), encryptionKeys: key });
};

const run = async ({ certificate, address, runs }) => {
  await init({ module_or_path: new URL("seal/keystead_bench_bg.wasm", import.meta.url) });
  const text = recovery_message();
  const rivals = { keystead: await keystead(certificate, address, text), openpgp: await openpgp(certificate, address, text) };
  const samples = [];
  for (let run = 0; run < runs; run += 1) {
    for (const [who, seal] of Object.entries(rivals)) samples.push({ who, ...(await time(seal)) });
  }
  return { text, samples };
};

globalThis.sealing = (job) => run(JSON.parse(job)).then(JSON.stringify);
