// Part of the background, for browsers in which an extension can hold back what was served until it has judged it (Firefox).
// Nothing goes on before the verdict, and whatever goes wrong on the way to it ends the request.
import { BROKEN, WHOLE, begins, begun, completed, documentOf, ended, failed, forget } from "./ends.js";
import { isKnown, modeOf, purged, wasOn } from "./guard.js";

const api = globalThis.browser ?? chrome;
export const filters = typeof api.webRequest?.filterResponseData === "function";

const EVERYWHERE = { urls: ["http://*/*", "https://*/*"] };
const OWN = api.runtime.getURL("");
const FRAMES = ["main_frame", "sub_frame"];
// What the core reads itself is small; all else it knows by its hash.
const MOST_READ = 1 << 18;
// How many answers are remembered: those of requests that came to nothing go by and by.
const MOST_OPEN = 1000;
// No text that ends so is a script, whatever stands before it.
const NO_SCRIPT = new TextEncoder().encode("\n@@");
const POLICY = "worker-src 'self' blob:; object-src 'none'; base-uri 'none'";
// With a disposition of its own a document is saved, and what was there stays.
const DROPPED = /^(content-disposition|content-security-policy-report-only|content-type|link|refresh)$/i;
const PACKED = /^content-encoding$/i;

let background;
export const expect = (all) => {
  background = all;
};

const answers = new Map();
// What was asked for while nothing was held back stays so, whatever the mode is when it is judged.
const tell = ({ url, type, tabId, frameId, parentFrameId }, status = 0, enforced = false) => ({
  url,
  type,
  tabId,
  frameId,
  parentFrameId,
  status,
  enforced,
});

const judge = async (filter, details, parts, enforced, asker) => {
  const { url, type, requestId } = details;
  const core = await background();
  const body = new Uint8Array(await new Blob(parts).arrayBuffer());
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  const { status, headers } = answers.get(requestId) ?? { status: 0, headers: [] };
  const read = body.length <= MOST_READ ? body : body.subarray(0, 0);
  const verdict = await core.judge(tell(details, status, enforced), hash, read);
  // What has no answer was never served; what is an error is not used, but for documents.
  const isAnswer = FRAMES.includes(type) || ((status > 0 || body.length > 0) && status < 400);
  const over = verdict.refused && isAnswer && ended(requestId);
  if (enforced) {
    if (verdict.pass) filter.write(verdict.instead === undefined ? body : new TextEncoder().encode(verdict.instead));
    else if (type === "script") filter.write(NO_SCRIPT);
  }
  filter.close();
  answers.delete(requestId);
  const end = over ? await over : BROKEN;
  forget(requestId);
  // What was broken off is no other file; nor is that of which nothing came, which is told in the same way now and then. Of
  // what says that it is packed, and is not, nothing comes either.
  const packed = headers.some(({ name }) => PACKED.test(name));
  const nothing = body.length === 0 && end === WHOLE && !packed;
  if (end === BROKEN || (nothing && (!FRAMES.includes(type) || documentOf(details.tabId) !== asker))) return;
  await core.note_refused(tell(details, status), hash, read);
  await core.keep_evidence(url, status, headers, body);
};

const hold = async (details, enforced) => {
  const asker = documentOf(details.tabId);
  const core = await background();
  if (enforced && details.type === "main_frame") await purged(new URL(details.url).origin);
  if (!(await core.is_judged(tell(details)))) return {};
  const filter = api.webRequest.filterResponseData(details.requestId);
  const parts = [];
  if (answers.size >= MOST_OPEN) answers.delete(answers.keys().next().value);
  answers.set(details.requestId, { status: 0, headers: [] });
  begun(details.requestId);
  filter.ondata = ({ data }) => {
    parts.push(data);
    if (!enforced) filter.write(data);
  };
  // Closed without a word written, it is an empty answer.
  filter.onstop = () => judge(filter, details, parts, enforced, asker).catch(() => filter.close());
  return {};
};

// What the background itself asks for is no part of a page. Where a page of ours leads to, is.
const isOwn = ({ originUrl, type }) => !FRAMES.includes(type) && Boolean(originUrl?.startsWith(OWN));

const before = (details) => {
  begins(details);
  return asked(details);
};
const asked = (details) => {
  if (isOwn(details)) return {};
  if (!isKnown()) {
    return background().then(
      () => asked(details),
      () => ({ cancel: wasOn() }),
    );
  }
  const mode = modeOf(details.url);
  if (!mode) return {};
  return hold(details, mode === "enforce").catch(() => ({ cancel: mode === "enforce" }));
};

const headersOf = (details, inline) => {
  const headers = details.responseHeaders.filter(({ name }) => !DROPPED.test(name));
  const type = FRAMES.includes(details.type) ? "text/html" : "text/javascript";
  headers.push({ name: "Content-Type", value: `${type}; charset=utf-8` });
  const scripts = ["script-src 'self' 'wasm-unsafe-eval'", ...inline].join(" ");
  headers.push({ name: "Content-Security-Policy", value: `${scripts}; ${POLICY}` });
  return { responseHeaders: headers };
};

const received = async (details) => {
  const mode = isOwn(details) ? undefined : modeOf(details.url);
  const { requestId, statusCode, type } = details;
  const shown = FRAMES.includes(type) || type === "script";
  if (!mode || !(shown || answers.has(requestId))) return {};
  answers.set(requestId, { status: statusCode, headers: details.responseHeaders });
  if (mode !== "enforce") return {};
  const core = await background();
  if (statusCode >= 300 && statusCode < 400 && statusCode !== 304 && !FRAMES.includes(type)) {
    await core.redirected(tell(details, statusCode));
    return { cancel: true };
  }
  const inline = core.inline_sources(details.url);
  if (!inline || !shown) return {};
  return headersOf(details, inline);
};
const checked = (details) => received(details).catch(() => ({ cancel: modeOf(details.url) === "enforce" }));

// A host that says "as before" chooses how the browser reads the bytes that it has: documents are had anew.
const asking = (details) => {
  if (isOwn(details) || modeOf(details.url) !== "enforce") return {};
  // With a condition of its own a request does not get the browser's.
  const requestHeaders = [...details.requestHeaders, { name: "If-Modified-Since", value: "Thu, 01 Jan 1970 00:00:00 GMT" }];
  return { requestHeaders };
};

const gone = (details) => {
  failed(details);
  if (details.type === "main_frame" && modeOf(details.url) === "enforce") background().then((core) => core.not_shown(details.tabId), () => {});
};

let watching = false;
export const watch = () => {
  if (!filters || watching) return;
  watching = true;
  api.webRequest.onBeforeRequest.addListener(before, EVERYWHERE, ["blocking"]);
  api.webRequest.onHeadersReceived.addListener(checked, EVERYWHERE, ["blocking", "responseHeaders"]);
  api.webRequest.onBeforeSendHeaders.addListener(asking, { ...EVERYWHERE, types: FRAMES }, ["blocking", "requestHeaders"]);
  api.webRequest.onCompleted.addListener(completed, EVERYWHERE);
  api.webRequest.onErrorOccurred.addListener(gone, EVERYWHERE);
};
export const unwatch = () => {
  if (!watching) return;
  watching = false;
  api.webRequest.onBeforeRequest.removeListener(before);
  api.webRequest.onHeadersReceived.removeListener(checked);
  api.webRequest.onBeforeSendHeaders.removeListener(asking);
  api.webRequest.onCompleted.removeListener(completed);
  api.webRequest.onErrorOccurred.removeListener(gone);
};
