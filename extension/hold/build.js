// The document from the release's own text, under the policy that names its scripts by their hashes.
const make = (script, record) => {
  const made = document.createElement("script");
  if (script.type) made.type = script.type;
  made.nonce = nonce;
  made.async = script.async;
  made.defer = script.defer;
  made.noModule = script.nomodule;
  if (script.src) {
    made.integrity = record.hashes[script.src];
    made.src = script.src;
  } else made.text = script.text;
  return made;
};

const build = async (record) => {
  const wantsDoctype = /^\s*<!doctype/i.test(record.template);
  if (!isHtml || wantsDoctype !== (document.compatMode === "CSS1Compat")) {
    tell({ what: "unfit" });
    return;
  }
  watchFiles(record);
  watchWorklets();
  const workers = readWorkers(record);
  const parsed = new DOMParser().parseFromString(record.template, "text/html");
  for (const link of parsed.querySelectorAll("link[href]")) link.setAttribute("href", link.getAttribute("href"));
  const root = document.importNode(parsed.documentElement, true);
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = record.csp;
  root.querySelector("head").prepend(policy);
  const places = [...root.querySelectorAll("script[data-place]")];
  served.disconnect();
  document.documentElement.replaceWith(root);
  watchWorkers(record, await workers);
  if (record.import_map) places[0]?.before(make({ type: "importmap", text: record.import_map, async: false }, record));
  const loading = [];
  for (const place of places) {
    const script = record.scripts[place.dataset.place];
    if (!script) place.remove();
    else {
      const made = make(script, record);
      if (script.src) loading.push(new Promise((done) => (made.onload = made.onerror = done)));
      place.replaceWith(made);
    }
  }
  await Promise.all(loading);
  letGo();
};

const begin = async () => {
  const { record, reload } = await ask({ what: "record", opaque: window.origin === "null" });
  if (record) await build(record);
  else if (reload) window.location.reload();
};
