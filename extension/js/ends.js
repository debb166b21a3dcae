// Part of the background (Firefox). Whether a request came to its end: the browser tells of a body that was broken off as of
// one that is whole. It may say so before the body is judged. What says that it is packed, and is not, was served so.
const UNREADABLE = "NS_ERROR_INVALID_CONTENT_ENCODING";
const LONGEST_END = 5000;
const MOST_OPEN = 1000;

export const WHOLE = "whole";
export const BROKEN = "broken off";

// Nothing yet, how it ended, or who waits to hear it.
const ends = new Map();

export const begun = (requestId) => {
  if (ends.size >= MOST_OPEN) ends.delete(ends.keys().next().value);
  ends.set(requestId, undefined);
};
export const forget = (requestId) => ends.delete(requestId);

export const ended = (requestId) =>
  new Promise((resolve) => {
    const known = ends.get(requestId);
    if (known !== undefined) return resolve(known);
    ends.set(requestId, resolve);
    setTimeout(resolve, LONGEST_END, WHOLE);
  });

const settle = ({ requestId }, end) => {
  if (!ends.has(requestId)) return;
  const waiting = ends.get(requestId);
  if (typeof waiting === "function") waiting(end);
  else ends.set(requestId, end);
};
export const completed = (details) => settle(details, WHOLE);
export const failed = (details) => settle(details, details.error === UNREADABLE ? UNREADABLE : BROKEN);

// The documents that tabs have begun, as they are counted: what is on its way to the one before is given up without a word.
const begunIn = new Map();
export const begins = ({ type, tabId }) => {
  if (type === "main_frame") begunIn.set(tabId, documentOf(tabId) + 1);
};
export const documentOf = (tabId) => begunIn.get(tabId) ?? 0;
