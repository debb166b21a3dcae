// Part of the background. Knows which deployments are guarded, and does for it what must be JavaScript. The background calls
// `keysteadGuard` with their modes, by origin, whenever these may have changed; with nothing where there is no policy.
import { filters, watch, unwatch } from "./filter.js";
import { layer } from "./layer.js";

const api = globalThis.browser ?? chrome;

// What the last background knew, for the listeners that must be there before this one knows: `on`, `off`, or nothing yet.
const FLAG = "keystead-guard";
const flag = (value) => {
  try {
    if (value) localStorage.setItem(FLAG, value);
    return localStorage.getItem(FLAG);
  } catch {
    return null;
  }
};

// A service worker makes up what it likes for a page, and a browser may have one from a time when nobody looked; and files
// that the host served then.
const purges = new Map();
const clearWorkers = (origin) => {
  const where = filters ? { hostnames: [new URL(origin).hostname] } : { origins: [origin] };
  return api.browsingData.remove(where, filters ? { serviceWorkers: true } : { serviceWorkers: true, cacheStorage: true });
};
// Firefox knows no cache of one host.
const clearCache = (origin) => api.browsingData.remove(filters ? {} : { origins: [origin] }, { cache: true }).catch(() => {});
const noted = (origin) => `purged ${origin}`;
let forgotten = Promise.resolve();
const purge = async (origin, isLast) => {
  await forgotten;
  const key = noted(origin);
  if ((await api.storage.session.get(key))[key]) return;
  await clearWorkers(origin);
  const { [key]: before } = await api.storage.local.get(key);
  if (!before) await clearCache(origin);
  // Who is not guarded any more by now begins anew the next time.
  if (modeOf(origin) !== "enforce" || !isLast()) return;
  await api.storage.local.set({ [key]: true });
  await api.storage.session.set({ [key]: true });
};
export const purged = (origin) => {
  const known = purges.get(origin);
  if (known) return known;
  const done = purge(origin, () => purges.get(origin) === done);
  purges.set(origin, done);
  done.catch(() => purges.get(origin) === done && purges.delete(origin));
  return done;
};

// Who is guarded again begins anew: what the host left meanwhile was looked at by nobody.
const forget = async (enforced) => {
  for (const origin of purges.keys()) {
    if (!enforced.includes(origin)) purges.delete(origin);
  }
  const stays = new Set(enforced.map(noted));
  for (const area of [api.storage.local, api.storage.session]) {
    const gone = Object.keys(await area.get(null)).filter((key) => key.startsWith(noted("")) && !stays.has(key));
    if (gone.length > 0) await area.remove(gone);
  }
};

// Nothing is held back in a deployment for now.
globalThis.keysteadUnplaced = async (origin) => {
  purges.delete(origin);
  await Promise.all([api.storage.local, api.storage.session].map((area) => area.remove(noted(origin))));
};

let modes;
export const modeOf = (url) => {
  try {
    return modes?.get(new URL(url).origin);
  } catch {
    return undefined;
  }
};
export const isKnown = () => modes !== undefined;
export const wasOn = () => flag() === "on";

globalThis.keysteadFilters = filters;
// A person tries again: not with what the browser kept of what was refused.
globalThis.keysteadClear = async (origin) => {
  await clearWorkers(origin);
  await clearCache(origin);
};
globalThis.keysteadGuard = async (wanted) => {
  modes = new Map(Object.entries(wanted ?? {}));
  if (modes.size > 0) watch();
  else unwatch();
  const late = wanted && modes.size > 0 && flag() === "off";
  if (wanted) flag(modes.size > 0 ? "on" : "off");
  // A browser that stops the background keeps only the listeners that were there as it started.
  if (late && filters) return api.runtime.reload();
  const enforced = [...modes].filter(([, mode]) => mode === "enforce").map(([origin]) => origin);
  const layered = layer(enforced);
  forgotten = forgotten.then(() => forget(enforced)).catch(() => {});
  // Where nobody is guarded, the start of the background waits for nothing.
  if (enforced.length === 0) {
    layered.catch(() => {});
    return;
  }
  await layered;
  await Promise.all(enforced.map(purged));
};

// At the start, before anything is known, unless it is known that nothing is guarded.
export const begin = () => {
  if (flag() !== "off") watch();
};
