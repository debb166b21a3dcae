//! The vault: recovery keys under non-extractable WebCrypto keys.
//!
//! Threat: whoever reads the disk, or makes the extension answer. A wrapping key (AES-256-GCM, non-extractable) lies in
//! IndexedDB; the recovery key, wrapped by it, lies elsewhere (the account's data). To use it, `unwrapKey` makes a
//! non-extractable HKDF key that is never stored: a stored HKDF key lies on the disk as its raw bytes, non-extractable or
//! not.

use js_sys::{Array, Object, Reflect, Uint8Array};
use keystead_core::{
    ident::KeyId,
    identity::PublicKey,
    recovery::{DerivedKeys, KeyVault, Passphrase, RecoveryKey, Signed, VaultError, WrappedRecoveryKey},
    secret::{SecretBytes, SecretText},
};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Crypto, CryptoKey, SubtleCrypto};
use zeroize::Zeroize;

use super::database::{Database, WRAPPING_KEYS};

const ED25519: &str = "Ed25519";

/// The vault of one account: its keys are filed under `scope`.
pub(crate) struct WebVault {
    database: Database,
    scope: String,
}

impl WebVault {
    /// The vault of the account that `scope` names (deployment and user).
    pub(crate) fn new(database: Database, scope: String) -> Self {
        Self { database, scope }
    }

    fn slot(&self, id: &KeyId) -> String {
        format!("{}|{}", self.scope, id.as_str())
    }

    /// No id of a key has such a name: there is no blank in any.
    fn signing_slot(&self) -> String {
        format!("{}|log key", self.scope)
    }

    async fn wrapping_key(&self, id: &KeyId) -> Result<CryptoKey, VaultError> {
        let key = self.database.read(WRAPPING_KEYS, &self.slot(id)).await.map_err(failed)?;
        key.dyn_into().map_err(|_| VaultError::Absent)
    }
}

impl KeyVault for WebVault {
    async fn admit(&self, id: &KeyId, key: RecoveryKey) -> Result<WrappedRecoveryKey, VaultError> {
        // A key that is admitted again keeps its wrapping key: copies wrapped earlier must go on opening.
        let (wrapping, new) = match self.wrapping_key(id).await {
            Ok(known) => (known, false),
            Err(VaultError::Absent) => (make_wrapping_key().await?, true),
            Err(other) => return Err(other),
        };
        let iv = *SecretBytes::<12>::make_random().map_err(|_| VaultError::Failed)?.expose("it is public");
        let clear = Uint8Array::from(key.bytes().expose("to be wrapped by the browser").as_slice());
        drop(key);
        let sealed =
            settle(subtle()?.encrypt_with_object_and_buffer_source(&gcm(&iv, id)?, &wrapping, &clear).map_err(failed)?)
                .await;
        clear.fill(0, 0, clear.length());
        let mut ciphertext = [0; 48];
        let sealed = Uint8Array::new(&sealed?);
        if sealed.length() as usize != ciphertext.len() {
            return Err(VaultError::Failed);
        }
        sealed.copy_to(&mut ciphertext);
        if new {
            self.database.write(WRAPPING_KEYS, &self.slot(id), Some(&wrapping)).await.map_err(failed)?;
        }
        Ok(WrappedRecoveryKey { iv, ciphertext })
    }

    async fn derive(&self, id: &KeyId, wrapped: &WrappedRecoveryKey, info: &str) -> Result<DerivedKeys, VaultError> {
        let wrapping = self.wrapping_key(id).await?;
        let unwrapped = JsFuture::from(
            subtle()?
                .unwrap_key_with_buffer_source_and_object_and_str(
                    "raw",
                    &Uint8Array::from(wrapped.ciphertext.as_slice()),
                    &wrapping,
                    &gcm(&wrapped.iv, id)?,
                    "HKDF",
                    false,
                    &Array::of1(&"deriveBits".into()),
                )
                .map_err(failed)?,
        );
        let base: CryptoKey = unwrapped.await.map_err(|_| VaultError::NotOpened)?.dyn_into().map_err(failed)?;
        let hkdf = object(&[
            ("name", "HKDF".into()),
            ("hash", "SHA-256".into()),
            ("salt", Uint8Array::new_with_length(32).into()),
            ("info", Uint8Array::from(info.as_bytes()).into()),
        ])?;
        let bits = settle(subtle()?.derive_bits_with_object(&hkdf, &base, 512).map_err(failed)?).await?;
        let bits = Uint8Array::new(&bits);
        let mut bytes = [0; 64];
        bits.copy_to(&mut bytes);
        bits.fill(0, 0, 64);
        let derived = DerivedKeys::from_bits(SecretBytes::new(bytes));
        bytes.zeroize();
        Ok(derived)
    }

    async fn holds(&self, id: &KeyId) -> Result<bool, VaultError> {
        match self.wrapping_key(id).await {
            Ok(_) => Ok(true),
            Err(VaultError::Absent) => Ok(false),
            Err(other) => Err(other),
        }
    }

    async fn ids(&self) -> Result<Vec<KeyId>, VaultError> {
        let slots = self.database.keys(WRAPPING_KEYS).await.map_err(failed)?;
        let ids = slots.iter().filter_map(|slot| slot.strip_prefix(&self.scope)?.strip_prefix('|'));
        Ok(ids.filter_map(|id| KeyId::parse(id).ok()).collect())
    }

    async fn forget(&self, id: &KeyId) -> Result<(), VaultError> {
        self.database.write(WRAPPING_KEYS, &self.slot(id), None).await.map_err(failed)
    }

    async fn sign(&self, text: &str) -> Result<Signed, VaultError> {
        let pair = match self.database.read(WRAPPING_KEYS, &self.signing_slot()).await.map_err(failed)? {
            // Somebody else may be making one as well: the first that is there is the one.
            pair if pair.is_undefined() => {
                let pair = make_signing_pair().await?;
                self.database.write_first(WRAPPING_KEYS, &self.signing_slot(), &pair).await.map_err(failed)?
            }
            pair => pair,
        };
        let half =
            |name: &str| Reflect::get(&pair, &name.into()).and_then(JsCast::dyn_into::<CryptoKey>).map_err(failed);
        let (private, public) = (half("privateKey")?, half("publicKey")?);
        let text = Uint8Array::from(text.as_bytes());
        let signature = subtle()?.sign_with_str_and_buffer_source(ED25519, &private, &text).map_err(failed)?;
        let signature: [u8; 64] = bytes(settle(signature).await?)?;
        let key: [u8; 32] = bytes(settle(subtle()?.export_key("raw", &public).map_err(failed)?).await?)?;
        Ok(Signed { key: PublicKey::try_from(key).map_err(failed)?, signature })
    }

    /// The browser does the work on a thread of its own.
    async fn stretch(&self, passphrase: &Passphrase, typed: &SecretText) -> Result<RecoveryKey, VaultError> {
        let typed = Uint8Array::from(typed.expose("to be stretched by the browser").as_bytes());
        let usages = Array::of1(&"deriveBits".into());
        let algorithm = object(&[("name", "PBKDF2".into())])?;
        let imported = subtle()?.import_key_with_object("raw", &typed, &algorithm, false, &usages).map_err(failed)?;
        let base = settle(imported).await;
        typed.fill(0, 0, typed.length());
        let base: CryptoKey = base?.dyn_into().map_err(failed)?;
        let pbkdf2 = object(&[
            ("name", "PBKDF2".into()),
            ("hash", "SHA-512".into()),
            ("salt", Uint8Array::from(passphrase.salt().as_bytes()).into()),
            ("iterations", passphrase.iterations().into()),
        ])?;
        let bits = settle(subtle()?.derive_bits_with_object(&pbkdf2, &base, 256).map_err(failed)?).await?;
        let bits = Uint8Array::new(&bits);
        let mut bytes = [0; 32];
        bits.copy_to(&mut bytes);
        bits.fill(0, 0, 32);
        let key = RecoveryKey::from_bytes(SecretBytes::new(bytes));
        bytes.zeroize();
        Ok(key)
    }
}

async fn make_wrapping_key() -> Result<CryptoKey, VaultError> {
    let algorithm = object(&[("name", "AES-GCM".into()), ("length", 256.into())])?;
    let usages = Array::of2(&"encrypt".into(), &"unwrapKey".into());
    let made = subtle()?.generate_key_with_object(&algorithm, false, &usages).map_err(failed)?;
    settle(made).await?.dyn_into().map_err(failed)
}

/// A pair of keys of which the private one stays in the browser.
async fn make_signing_pair() -> Result<JsValue, VaultError> {
    let algorithm = object(&[("name", ED25519.into())])?;
    let usages = Array::of2(&"sign".into(), &"verify".into());
    settle(subtle()?.generate_key_with_object(&algorithm, false, &usages).map_err(failed)?).await
}

/// The bytes of an answer, of which there must be so many.
fn bytes<const N: usize>(buffer: JsValue) -> Result<[u8; N], VaultError> {
    Uint8Array::new(&buffer).to_vec().try_into().map_err(failed)
}

fn gcm(iv: &[u8; 12], id: &KeyId) -> Result<Object, VaultError> {
    object(&[
        ("name", "AES-GCM".into()),
        ("iv", Uint8Array::from(iv.as_slice()).into()),
        ("additionalData", Uint8Array::from(id.as_str().as_bytes()).into()),
    ])
}

fn object(entries: &[(&str, JsValue)]) -> Result<Object, VaultError> {
    let object = Object::new();
    for (name, value) in entries {
        Reflect::set(&object, &(*name).into(), value).map_err(failed)?;
    }
    Ok(object)
}

fn subtle() -> Result<SubtleCrypto, VaultError> {
    let crypto: Crypto = Reflect::get(&js_sys::global(), &"crypto".into()).map_err(failed)?.unchecked_into();
    Ok(crypto.subtle())
}

async fn settle(promise: js_sys::Promise) -> Result<JsValue, VaultError> {
    JsFuture::from(promise).await.map_err(failed)
}

fn failed<E>(_: E) -> VaultError {
    VaultError::Failed
}
