// The part of the core that an ordinary start of the background does not need (OpenPGP, pins) is read with the rest, and
// made by its first call. It has memory, table and functions of the first part.
const file = new URL("../background/keystead_extension_later.wasm", import.meta.url);
let code;
let module;
let first;

// Begins to read; over when the first part, here with its exports, may call.
export const prepare = async (loading) => {
  const reading = fetch(file).then((answer) => answer.arrayBuffer());
  [first, code] = await Promise.all([loading, reading]);
};

// Compiles it beside other work, where it is likely to be called soon.
export const warm = () => {
  if (!code || module) return;
  WebAssembly.compile(code).then((compiled) => (module = compiled), () => {});
};

// Called by the first part, once: what it calls next is in the table then.
export const load = () => {
  new WebAssembly.Instance(module ?? new WebAssembly.Module(code), { first });
  code = module = undefined;
};
