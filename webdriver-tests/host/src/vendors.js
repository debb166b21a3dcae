// The chunk with the Matrix SDK, whole: everything else of the page imports the SDK from here.
export * from "matrix-js-sdk";
export { CryptoEvent, decodeRecoveryKey, deriveRecoveryKeyFromPassphrase } from "matrix-js-sdk/lib/crypto-api/index.js";
export { SlidingSync } from "matrix-js-sdk/lib/sliding-sync.js";
export { logger } from "matrix-js-sdk/lib/logger.js";
export { default as decryptSecretItem } from "matrix-js-sdk/lib/utils/decryptAESSecretStorageItem.js";
export { default as encryptSecretItem } from "matrix-js-sdk/lib/utils/encryptAESSecretStorageItem.js";
