// The private way to the background, by way of the content script. It is offered once, before anybody else has run.
let port;
let serial = 0;
const open = new Map();

const tell = (message) => port?.postMessage(message);

// Asks the background, and waits for its answer.
const ask = (message) =>
  new Promise((resolve) => {
    serial += 1;
    open.set(serial, resolve);
    tell({ ...message, id: serial });
  });

// Something of the host could not be used: the background looks at it itself.
const suspect = (url, kind) => tell({ what: "suspect", url: new URL(url, document.baseURI).href, kind });

const take = (event) => {
  document.removeEventListener("keystead:hold", take, true);
  event.stopImmediatePropagation();
  event.preventDefault();
  [port] = event.ports;
  port.onmessage = ({ data }) => {
    const { id, answer } = data;
    const waiting = open.get(id);
    open.delete(id);
    waiting?.(answer);
  };
  begin();
};
document.addEventListener("keystead:hold", take, true);

// Where a parent speaks to a frame as soon as that is loaded, nobody listens yet.
const early = [];
const keepEarly = (event) => {
  event.stopImmediatePropagation();
  early.push(event);
};
if (window !== window.top) window.addEventListener("message", keepEarly, true);
const letGo = () => {
  window.removeEventListener("message", keepEarly, true);
  for (const { data, origin: from, source, ports } of early.splice(0)) {
    window.dispatchEvent(new MessageEvent("message", { data, origin: from, source, ports: [...ports] }));
  }
};
