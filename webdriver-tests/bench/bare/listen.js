// An own page that hears what the background tells the popup, and asks it as little as it can.
const api = globalThis.browser ?? chrome;
const QUIET = 250;

let changed = 0;
api.runtime.onMessage.addListener(() => {
  changed = Date.now();
});

const ask = async () => {
  const { Ok: status, Err: refusal } = await api.runtime.sendMessage({ ask: "status" });
  if (status) return status;
  throw new Error(`the background refuses: ${refusal}`);
};
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// When the background told of the state in which the only deployment now is, if that is `wanted`; milliseconds since 1970.
globalThis.toldOf = async (wanted, limit) => {
  const until = Date.now() + limit;
  let asked = 0;
  while (Date.now() < until) {
    // Nobody asks while the background is at work.
    if (changed > asked && Date.now() - changed >= QUIET) {
      asked = changed;
      const [{ progress }] = (await ask()).deployments;
      if (progress.state === wanted) return asked;
    }
    await pause(QUIET / 5);
  }
  throw new Error(`the popup shows ${JSON.stringify((await ask()).deployments.map(({ progress }) => progress))}`);
};

// How long the background takes to answer, in milliseconds.
globalThis.answerTime = async () => {
  const began = performance.now();
  await ask();
  return performance.now() - began;
};
