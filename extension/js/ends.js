// Part of the background (Firefox). How a request came to its end: the browser tells of a body that was broken off as of one
// that is whole. It may say so before the body is judged, or never.
export const WHOLE = "whole";
export const BROKEN = "broken";
// What says that it is packed, and is not, was served so.
export const UNREADABLE = "unreadable";
const NOT_PACKED = "NS_ERROR_INVALID_CONTENT_ENCODING";
const LONGEST_END = 5000;
const MOST_OPEN = 1000;

// Nothing yet, how it ended, or who waits to hear it.
const ends = new Map();

export const begun = (requestId) => {
  if (ends.size >= MOST_OPEN) ends.delete(ends.keys().next().value);
  ends.set(requestId, undefined);
};
export const forget = (requestId) => ends.delete(requestId);

// Nothing, where the browser does not say so.
export const ended = (requestId) =>
  new Promise((resolve) => {
    const known = ends.get(requestId);
    if (known !== undefined) return resolve(known);
    ends.set(requestId, resolve);
    setTimeout(resolve, LONGEST_END);
  });

const settle = ({ requestId }, how) => {
  if (!ends.has(requestId)) return;
  const waiting = ends.get(requestId);
  if (typeof waiting === "function") waiting(how);
  else ends.set(requestId, how);
};
export const completed = (details) => settle(details, WHOLE);
export const failed = (details) => settle(details, details.error === NOT_PACKED ? UNREADABLE : BROKEN);
