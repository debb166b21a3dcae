// Each file of which code, or what steers it, is made is asked for with its hash.
const SETTINGS = /^config(\.[^/]*)?\.json$/;

const watchFiles = (record) => {
  const hash = (url) => {
    const path = pathOf(url);
    return path !== undefined && hasOwn(record.hashes, path) ? record.hashes[path] : undefined;
  };

  const mark = (element, url) => {
    const integrity = hash(url);
    if (!integrity) return;
    element.integrity = integrity;
    element.nonce = nonce;
  };
  for (const [type, name] of [[window.HTMLScriptElement, "src"], [window.HTMLLinkElement, "href"]]) {
    const own = getOwnPropertyDescriptor(type.prototype, name);
    defineProperty(type.prototype, name, {
      ...own,
      set(url) {
        mark(this, url);
        own.set.call(this, url);
      },
    });
  }
  const { setAttribute } = window.Element.prototype;
  window.Element.prototype.setAttribute = function (name, value) {
    const wanted = String(name).toLowerCase();
    if (this instanceof window.HTMLScriptElement && wanted === "src") mark(this, value);
    if (this instanceof window.HTMLLinkElement && wanted === "href") mark(this, value);
    return setAttribute.call(this, name, value);
  };
  const failed = ({ target }) => {
    const url = target?.src || target?.href;
    if (url && hash(url)) suspect(url, target instanceof window.HTMLScriptElement ? "script" : "stylesheet");
    else if (url && target instanceof window.HTMLScriptElement && pathOf(url)) suspect(url, "script");
  };
  window.addEventListener("error", failed, true);

  // What is served has the signed values, or is refused; the signed ones are used.
  const settings = async (url, options) => {
    const served = await bare(url, options);
    if (!served.ok) return new Response("", { status: served.status });
    const { status, headers } = served;
    const { pass, instead } = await ask({ what: "settings", url, text: await served.text(), status, headers: [...headers] });
    if (!pass) throw new TypeError("not the settings of this deployment");
    return new Response(instead, { headers: { "Content-Type": "application/json" } });
  };
  const isSettings = (path) => path.startsWith(record.base) && SETTINGS.test(path.slice(record.base.length));
  window.fetch = (resource, options) => {
    const url = resource instanceof Request ? resource.url : new URL(resource, document.baseURI).href;
    const path = pathOf(url);
    if (path === undefined) return bare(resource, options);
    if (isSettings(path)) return settings(url, options);
    const integrity = hash(url);
    if (!integrity) return path.endsWith(".wasm") ? refused(url) : bare(resource, options);
    return bare(resource, { ...options, integrity }).catch((error) => {
      suspect(url, "xmlhttprequest");
      throw error;
    });
  };
  const refused = (url) => {
    suspect(url, "script");
    return Promise.reject(new TypeError("not listed"));
  };
};
