//! The browser's APIs, each behind a few functions. No rule of Keystead is in here.

pub(crate) mod clock;
pub(crate) mod database;
pub(crate) mod fetch;
pub(crate) mod later;
pub(crate) mod native;
pub(crate) mod vault;
pub(crate) mod webextension;

/// The same suites that the core's own implementations pass, in a real browser.
#[cfg(all(test, target_arch = "wasm32"))]
mod tests {
    use keystead_core::{
        ident::KeyId,
        recovery::{KeyVault, RecoveryKey, vault},
        store,
    };
    use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

    use super::{
        database::{Database, WRAPPING_KEYS},
        vault::WebVault,
    };

    wasm_bindgen_test_configure!(run_in_browser);

    #[wasm_bindgen_test]
    async fn the_database_is_a_store() {
        let database = Database::open().await.unwrap();
        assert_eq!(store::conforms(&database).await, Ok(()));
    }

    #[wasm_bindgen_test]
    async fn the_web_vault_is_a_vault() {
        let database = Database::open().await.unwrap();
        let scope = "https://chat.example.org|@ann:example.org".to_owned();
        assert_eq!(vault::conforms(&WebVault::new(database, scope)).await, Ok(()));
    }

    #[wasm_bindgen_test]
    async fn a_wrapping_key_cannot_be_exported() {
        let database = Database::open().await.unwrap();
        let vault = WebVault::new(database.clone(), "scope".to_owned());
        let id = KeyId::parse("k").unwrap();
        vault.admit(&id, RecoveryKey::make_random().unwrap()).await.unwrap();
        let key = database.read(WRAPPING_KEYS, "scope|k").await.unwrap();
        let key: web_sys::CryptoKey = wasm_bindgen::JsCast::dyn_into(key).unwrap();
        assert!(!key.extractable());
        vault.forget(&id).await.unwrap();
    }
}
