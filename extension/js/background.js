// The entry of the background: registers every listener at once (a listener registered later misses the event that
// woke us) and hands each event to the core when it has started, in order.
import init, { Background } from "../background/keystead_extension.js";

const wasm = new URL("../background/keystead_extension_bg.wasm", import.meta.url);
const ready = init({ module_or_path: wasm }).then(() => Background.start());
const api = globalThis.browser ?? chrome;

let pages = 0;
api.runtime.onConnect.addListener((port) => {
  const page = (pages += 1);
  const { sender } = port;
  ready.then((background) => background.page_connected(page, sender?.url ?? "", port));
  port.onMessage.addListener((message) => ready.then((background) => background.page_message(page, message)));
  port.onDisconnect.addListener(() => ready.then((background) => background.page_gone(page)));
});

// Only the extension's own pages are answered; content scripts have the port.
api.runtime.onMessage.addListener((message, sender, reply) => {
  if (!sender.url?.startsWith(api.runtime.getURL(""))) return false;
  ready.then((background) => background.request(message)).then(reply, () => reply(null));
  return true;
});

api.alarms.onAlarm.addListener(({ name }) => ready.then((background) => background.alarm(name)));
api.storage.onChanged.addListener((_, area) => {
  if (area === "managed") ready.then((background) => background.policy_changed());
});
api.permissions.onAdded.addListener(() => ready.then((background) => background.permission_granted()));
api.permissions.onRemoved.addListener(() => ready.then((background) => background.policy_changed()));
api.runtime.onInstalled.addListener(() => ready);
api.runtime.onStartup.addListener(() => ready);
