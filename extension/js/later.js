// The part of the core that an ordinary start of the background does not need (OpenPGP, pins): it is read when anything is
// asked that may need it, and made by its first call. It has memory, table and functions of the first part.
const file = new URL("../background/keystead_extension_later.wasm", import.meta.url);
let reading;
let code;
let module;
let first;

const read = async () => {
  code = await (await fetch(file)).arrayBuffer();
};

// Over when the second part may be called.
export const whole = () => {
  reading ??= read();
  reading.catch(() => (reading = undefined));
  return reading;
};
globalThis.keysteadWhole = whole;

// Keeps the exports of the first part.
export const prepare = async (loading) => {
  first = await loading;
};

// Compiles it beside other work, where it is likely to be called soon.
export const warm = () => {
  if (!code || module) return;
  WebAssembly.compile(code).then((compiled) => (module = compiled), () => {});
};

// Rejected where the first part called what was not there yet: what it was doing then never ends.
let fail;
export const failed = new Promise((_, reject) => (fail = reject));
failed.catch(() => {});

// Called by the first part, once: what it calls next is in the table then.
export const load = () => {
  try {
    new WebAssembly.Instance(module ?? new WebAssembly.Module(code), { first });
  } catch (error) {
    fail(error);
    throw error;
  }
  code = module = undefined;
};
