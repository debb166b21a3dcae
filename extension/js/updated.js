// ISOLATED world, after outdated.js, in a tab whose page was there before this version of Keystead: nobody answers it any
// more, or ever did. A document that this version serves was only not there yet when it was looked for.
(() => {
  const { i18n } = globalThis.browser ?? chrome;
  const getMessage = (name) => i18n.getMessage(name);
  const [words, detail] = [getMessage("outdated"), getMessage("outdated_do")];
  if (!globalThis.keysteadDocument) globalThis.keysteadSayOutdated({ words, detail, reason: "updated", isOver: async () => false });
})();
