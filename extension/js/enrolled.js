// ISOLATED world, after outdated.js, in a tab whose page may have been there before its code was checked. Only the background
// knows whether it was: the page may be another one by now, and that one verified.
(() => {
  const { i18n, runtime } = globalThis.browser ?? chrome;
  const getMessage = (name) => i18n.getMessage(name);
  const [words, detail] = [getMessage("enrolled"), getMessage("enrolled_do")];
  const COMES_UP_WITHIN = 1000;

  const isKnown = async () => {
    const name = globalThis.keysteadDocument;
    const answer = name && (await runtime.sendMessage({ hold: { what: "known", document: name } }));
    return answer?.known === true;
  };
  const tell = async () => {
    if (await isKnown()) return;
    await new Promise((over) => setTimeout(over, COMES_UP_WITHIN));
    if (await isKnown()) return;
    globalThis.keysteadSayOutdated({ words, detail, reason: "enrolled", isOver: isKnown });
  };
  tell().catch(() => {});
})();
