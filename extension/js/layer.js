// Part of the background, for browsers in which nothing that was served can be held back (Chromium): a second layer under
// what happens in the documents themselves.
const api = globalThis.browser ?? chrome;

const rules = (origin, first) => {
  const here = { urlFilter: `|${origin}/` };
  const drop = (header) => ({ header, operation: "remove" });
  const put = (header, value) => ({ header, operation: "set", value });
  return [
    {
      id: first,
      condition: { ...here, resourceTypes: ["main_frame", "sub_frame"] },
      action: {
        type: "modifyHeaders",
        responseHeaders: [...["refresh", "link"].map(drop), put("content-type", "text/html; charset=utf-8")],
      },
    },
    {
      id: first + 1,
      condition: { ...here, resourceTypes: ["script"] },
      action: {
        type: "modifyHeaders",
        responseHeaders: [put("content-type", "text/javascript; charset=utf-8")],
      },
    },
    // What no tab asks for is the script of a service worker.
    { id: first + 2, priority: 2, condition: { ...here, resourceTypes: ["script"], tabIds: [-1] }, action: { type: "block" } },
  ];
};

// Pictures of rooms need the session's token, which the service worker of Element would put to them.
const pictures = (origin, homeserver, token, first) => {
  const resourceTypes = ["image", "media", "xmlhttprequest", "other"];
  const here = { initiatorDomains: [new URL(origin).hostname], resourceTypes };
  const literal = homeserver.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const old = `^${literal}/_matrix/media/v3/(download|thumbnail)/(.*)$`;
  const redirect = { regexSubstitution: `${homeserver}/_matrix/client/v1/media/\\1/\\2` };
  const header = { header: "authorization", operation: "set", value: `Bearer ${token}` };
  return [
    { id: first, condition: { ...here, regexFilter: old }, action: { type: "redirect", redirect } },
    {
      id: first + 1,
      condition: { ...here, urlFilter: `|${homeserver}/_matrix/client/v1/media/` },
      action: { type: "modifyHeaders", requestHeaders: [header] },
    },
  ];
};

// The background calls it with the session of a guarded deployment, and with no token where there is none any more.
globalThis.keysteadPictures = async (origin, homeserver, token) => {
  const { declarativeNetRequest: net } = api;
  const at = guarded.indexOf(origin);
  if (at < 0 || !net) return;
  const first = at * 10 + 5;
  const addRules = token ? pictures(origin, homeserver.replace(/\/+$/, ""), token, first) : [];
  await net.updateSessionRules({ removeRuleIds: [first, first + 1], addRules });
};

let guarded = [];
export const layer = async (origins) => {
  const { declarativeNetRequest: net } = api;
  if (!net?.updateSessionRules || typeof api.webRequest?.filterResponseData === "function") return;
  guarded = origins;
  const present = await net.getSessionRules();
  const addRules = origins.flatMap((origin, index) => rules(origin, index * 10 + 1));
  // What pictures need stays: a background that was stopped is not told again who is logged in.
  const stays = ({ id }) => id % 10 >= 5 && id < origins.length * 10;
  const removeRuleIds = present.filter((rule) => !stays(rule)).map(({ id }) => id);
  // The browser is left alone where nobody is guarded.
  if (removeRuleIds.length + addRules.length === 0) return;
  await net.updateSessionRules({ removeRuleIds, addRules });
};
