// MAIN world, document_start, before any script of the page, in browsers that hold nothing back themselves (Chromium). The
// files of this folder are one closure (put together by `cargo xtask build`): they keep what the host served from running,
// and build the document from the release's own text instead. The judgement is the background's.
//
// The first thing that happens to a document. From here on a script runs only with a number that nobody else knows; that
// cannot be taken back, and what the host serves is parsed and does nothing.
const nonce = window.btoa(window.String.fromCharCode(...window.crypto.getRandomValues(new Uint8Array(18))));
const isHtml = document.contentType === "text/html";
if (isHtml) {
  const head = document.createElement("head");
  const meta = document.createElement("meta");
  meta.httpEquiv = "Content-Security-Policy";
  meta.content = `script-src 'nonce-${nonce}' 'wasm-unsafe-eval'; worker-src blob:; object-src 'none'; base-uri 'none'`;
  head.append(meta);
  document.documentElement.prepend(head);
  head.remove();
} else window.stop();
// It is not shown either while the record is on its way, nor where there is none.
const served = new window.MutationObserver(() => document.documentElement?.replaceChildren());
if (isHtml) served.observe(document, { childList: true, subtree: true });

const { Blob, DOMException, DOMParser, Map, MessageEvent, Promise, Proxy, Request, Response, String, TypeError, URL } = window;
const { defineProperty, getOwnPropertyDescriptor, hasOwn } = Object;
const { construct } = Reflect;
const { stringify } = JSON;
const origin = window.location.origin;
const bare = window.fetch.bind(window);
const blobUrl = URL.createObjectURL.bind(URL);

// The path of a URL, where it is one of this host.
const pathOf = (url) => {
  try {
    const parsed = new URL(url, document.baseURI);
    return parsed.origin === origin ? parsed.pathname : undefined;
  } catch {
    return undefined;
  }
};
