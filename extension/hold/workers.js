// Workers start from texts whose hashes were checked before the page's first script ran.
const PRELUDE = (url, parts, hashes) => `(() => {
  const here = new URL(${stringify(url)});
  Object.defineProperty(self, "location", { value: here });
  const parts = {${parts.map(([path, text]) => `${stringify(path)}: function () {\n${text}\n}`).join(",")}};
  self.importScripts = (...urls) => {
    for (const url of urls) {
      const { [new URL(url, here).pathname]: part } = parts;
      if (!part) throw new DOMException("not listed", "NetworkError");
      part.call(self);
    }
  };
  const hashes = ${stringify(hashes)};
  const own = self.fetch.bind(self);
  self.fetch = (resource, options) => {
    const url = new URL(resource instanceof Request ? resource.url : resource, here);
    const { [url.origin === here.origin ? url.pathname : ""]: integrity } = hashes;
    return own(resource instanceof Request ? resource : url, integrity ? { ...options, integrity } : options);
  };
})();
`;

const readWorkers = async (record) => {
  const texts = new Map();
  const paths = Object.keys(record.workers).flatMap((path) => [path, ...record.workers[path]]);
  const read = async (path) => {
    try {
      texts.set(path, await (await bare(path, { integrity: record.hashes[path] })).text());
    } catch {
      suspect(path, "script");
    }
  };
  await Promise.all([...new window.Set(paths)].map(read));
  return texts;
};

const watchWorkers = (record, texts) => {
  const wasm = {};
  for (const path of record.wasm) wasm[path] = record.hashes[path];
  const source = (url) => {
    const path = pathOf(url);
    const text = path !== undefined && hasOwn(record.workers, path) ? texts.get(path) : undefined;
    const parts = text === undefined ? [] : record.workers[path].map((part) => [part, texts.get(part)]);
    if (text === undefined || parts.some(([, part]) => part === undefined)) {
      suspect(url, "script");
      throw new DOMException("not listed", "SecurityError");
    }
    return PRELUDE(new URL(url, document.baseURI).href, parts, wasm) + text;
  };
  window.Worker = new Proxy(window.Worker, {
    construct(type, [url, options], self) {
      const wanted = String(url);
      if (wanted.startsWith("blob:")) return construct(type, [wanted, options], self);
      return construct(type, [blobUrl(new Blob([source(wanted)], { type: "text/javascript" })), options], self);
    },
  });
  delete window.SharedWorker;
  if (!window.ServiceWorkerContainer) return;
  // No hash can be asked of a service worker. What Element's does for pictures, the background does.
  const registration = new window.EventTarget();
  const none = { active: null, installing: null, waiting: null, scope: `${origin}/` };
  Object.assign(registration, none, { update: async () => registration, unregister: async () => true });
  window.ServiceWorkerContainer.prototype.register = async () => registration;
};
