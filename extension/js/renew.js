// Part of the background. The page of a tab was there before this version, or before its code was checked, and nothing is
// under way in it as far as it shows: it may load itself again, once for each of these reasons. What its tab shows by then may
// be another document.
const api = globalThis.browser ?? chrome;

// Runs in the page: is Element at its login form or in use, with every message sent? Those of encrypted rooms that are not
// are nowhere but in the page; and in its other views it waits for the person or for a server. Another page of the host has
// nothing to lose.
const isIdle = (mayBeOther) => {
  if (mayBeOther && !window.matrixChat) return true;
  const { view } = window.matrixChat?.state ?? {};
  const rooms = window.mxMatrixClientPeg?.get?.()?.getRooms?.() ?? [];
  return [2, 3, 8].includes(view) && rooms.every((room) => room.getPendingEvents().length === 0);
};

// Says whether the document that asks may do that `now`, `later`, or `never`.
export const renew = async ({ tab, documentId }, reason) => {
  const isEnrolled = reason === "enrolled";
  // `integrity::enrol` forgets the one of these when the tab's document is verified.
  const key = `${isEnrolled ? "enrolled" : "reloaded"} ${tab.id}`;
  if ((await api.storage.session.get(key))[key]) return "never";
  // Where a browser names no documents, the answer still goes to the one that asked.
  const target = documentId ? { tabId: tab.id, documentIds: [documentId] } : { tabId: tab.id };
  const [{ result }] = await api.scripting.executeScript({ target, world: "MAIN", func: isIdle, args: [isEnrolled] });
  if (result !== true) return "later";
  await api.storage.session.set({ [key]: true });
  return "now";
};
