// The port to the background, by way of the relay. The browser stops the background when it is idle, and starts it when the
// relay connects; what was asked meanwhile is asked again, or comes to nothing after a while.
const PATIENCE = 30_000;
const OWN = { own: true };

let port;
// The homeserver that this page is served for; `null` where Keystead has nothing to do here; `undefined` where the
// background has not said so yet.
let served;
const open = create(null);
let serial = 0;
let patience;

const tell = (message) => {
  if (port) post(port, message);
};

const settle = (id, how, value) => {
  const { [id]: waiting } = open;
  delete open[id];
  waiting?.[how](value);
};

const giveUp = () => {
  patience = undefined;
  for (const id in open) settle(id, "reject", new Error("Keystead does not answer"));
};

// Has the relay connect, if it is not connected.
const wake = () => {
  if (keys(open).length > 0) patience ??= setTimeout(giveUp, PATIENCE);
  tell({ tell: "wake" });
};

// Waits for the answer to a message; without one, for the background to say whether it serves this page.
const ask = (message) =>
  new Promise((resolve, reject) => {
    const id = (serial += 1);
    open[id] = { message: message && { ...message, id }, resolve, reject };
    if (served === undefined) wake();
    else if (message) tell(open[id].message);
    else settle(id, "resolve");
  });

const answered = ({ re, refused, ...answer }) => {
  if (refused) settle(re, "reject", new Error(refused));
  else settle(re, "resolve", answer);
};

const serve = ({ homeserver, gated: waits, pinned: looks }) => {
  clearTimeout(patience);
  patience = undefined;
  served = homeserver;
  orphan = false;
  gated = waits;
  pinned = looks;
  toldRoom = "";
  rewire();
  lookOut();
  introduce(true);
  for (const id in open) {
    if (open[id].message) tell(open[id].message);
    else settle(id, "resolve");
  }
};

// Element's own functions from now on.
const off = () => {
  clearTimeout(patience);
  patience = undefined;
  served = null;
  lookAway();
  for (const id in open) settle(id, "resolve", OWN);
};

const lost = () => {
  if (served === null) return;
  served = undefined;
  if (keys(open).length > 0) wake();
};

// The extension was updated, disabled or removed, or cannot start: nobody answers any more. What was to wait for an answer
// goes nowhere until the page is loaded again.
const orphaned = ({ gated: waits }) => {
  for (const id in open) settle(id, "reject", new Error("Keystead does not run"));
  gated = orphan = waits;
  off();
};

const orders = { serve, off, lost, orphaned, introduce: () => introduce(true), watch: (message) => watchUsers(message) };

const receive = (message) => {
  if (message.re !== undefined) answered(message);
  else if (hasOwn(orders, message.do)) orders[message.do](message);
  else if (hasOwn(commands, message.do)) perform(message);
};

const take = (event) => {
  document.removeEventListener("keystead:port", take, true);
  event.stopImmediatePropagation();
  event.preventDefault();
  [port] = event.ports;
  port.onmessage = (message) => receive(dataOf(message));
};
document.addEventListener("keystead:port", take, true);
