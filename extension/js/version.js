// ISOLATED world. Right after an update a browser may run what is meant for a tab among the scripts of the version before:
// whose this is.
(globalThis.browser ?? chrome).runtime.getManifest().version;
