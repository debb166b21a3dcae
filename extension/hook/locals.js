// MAIN world, document_start, before any script of the page. The files of this folder are one closure (put together by
// `cargo xtask build`): they watch Element come up, tell the background who is logged in, and let the client's secret
// storage be served by it. They decide nothing and keep nothing.
//
// What the page's scripts could put something else in the place of is taken here, before any of them has run: who is
// handed the port, or an event of it, could speak for us.
const { Error, Promise, RegExp, Response, TextDecoder, TextEncoder, TypeError, URL, Uint8Array, WeakMap, WeakRef } = window;
const { create, defineProperty, entries, fromEntries, hasOwn, keys } = Object;
const { isArray } = Array;
const { now } = Date;
const { parse, stringify } = JSON;
const { fromCharCode: text } = String;
const encode = window.btoa.bind(window);
const digest = window.crypto.subtle?.digest.bind(window.crypto.subtle);
const unescaped = window.decodeURIComponent;
const [setTimeout, clearTimeout, setInterval, clearInterval] = [
  window.setTimeout,
  window.clearTimeout,
  window.setInterval,
  window.clearInterval,
].map((timer) => timer.bind(window));

// A method, or a getter, as a function of its object.
const free = (method) => Function.prototype.call.bind(method);
const getter = (type, name) => free(Object.getOwnPropertyDescriptor(type.prototype, name).get);
const post = free(MessagePort.prototype.postMessage);
const dataOf = getter(MessageEvent, "data");
const deref = free(WeakRef.prototype.deref);
const caught = free(Promise.prototype.catch);
const known = { get: free(WeakMap.prototype.get), has: free(WeakMap.prototype.has), set: free(WeakMap.prototype.set) };
known.delete = free(WeakMap.prototype.delete);
