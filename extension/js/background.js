// The entry of the background: registers every listener at once (a listener registered later misses the event that
// woke us) and hands each event to the core when it has started, in order.
import { begin } from "./guard.js";
import { expect } from "./filter.js";
import init, { Background } from "../background/keystead_extension.js";
import { failed, prepare, warm, whole } from "./later.js";
import { renew } from "./renew.js";

const wasm = new URL("../background/keystead_extension_bg.wasm", import.meta.url);
const ready = Promise.race([prepare(init({ module_or_path: wasm })).then(() => Background.start()), failed]);
const api = globalThis.browser ?? chrome;
// What may need any part of the core. The popup's look at how it stands does not, and is what most starts are for.
let known;
const both = async () => {
  const [background] = await Promise.all([ready, whole()]);
  await Promise.race([background.ready(), failed]);
  return background;
};
const all = () => {
  known ??= both();
  known.catch(() => (known = undefined));
  return known;
};
expect(all);
begin();

// The extension's own pages; content scripts have the URL of their page.
const isOwn = (sender) => Boolean(sender?.url?.startsWith(api.runtime.getURL("")));

let pages = 0;
api.runtime.onConnect.addListener((port) => {
  if (isOwn(port.sender)) {
    // A page that must not lose its background says a word now and then: that is all that it takes.
    port.onMessage.addListener(() => {});
    return;
  }
  const page = (pages += 1);
  const { sender } = port;
  // Where the background cannot start, Element has to do without it, but for what must wait for it.
  all().then((background) => background.page_connected(page, sender?.url ?? "", port)).then(warm).catch(() => port.postMessage({ do: "broken" }));
  // What is long is text: the rest is read as JSON.
  port.onMessage.addListener(({ long, ...message }) => all().then((background) => background.page_message(page, message, long), () => {}));
  port.onDisconnect.addListener(() => all().then((background) => background.page_gone(page), () => {}));
});

api.runtime.onMessage.addListener((message, sender, reply) => {
  if (message?.hold && sender.id === api.runtime.id) {
    all().then((background) => background.hold(message.hold, sender)).then(reply, () => reply({}));
    return true;
  }
  if (message?.outdated && sender.id === api.runtime.id && sender.tab) {
    renew(sender, message.outdated).then(reply, () => reply("later"));
    return true;
  }
  if (!isOwn(sender)) return false;
  (message?.ask === "status" ? ready : all()).then((background) => background.request(message, sender.tab?.id)).then(reply, () => reply({ Err: "not_started" }));
  return true;
});

const tell = (event) => all().then(event, () => {});
// What is in force is changed by one at a time: who asks last finds what is so by then.
let changes = Promise.resolve();
const change = (event) => (changes = changes.then(() => tell(event)).catch(() => {}));
api.alarms.onAlarm.addListener(({ name }) => tell((background) => background.alarm(name)));
api.storage.onChanged.addListener((_, area) => {
  if (area === "managed") change((background) => background.policy_changed());
});
api.permissions.onAdded.addListener(() => change((background) => background.permission_granted()));
api.permissions.onRemoved.addListener(({ origins }) => {
  change((background) => (origins?.length > 0 ? background.hosts_withdrawn() : background.policy_changed()));
});
api.runtime.onInstalled.addListener(() => tell(() => {}));
api.runtime.onStartup.addListener(() => tell(() => {}));
