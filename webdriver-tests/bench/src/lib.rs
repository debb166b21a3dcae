//! Parts of the core as benches call them in a browser: compiled, optimised and loaded as the extension's background is.

pub mod pins;

use keystead_core::ident::{EmailAddress, KeyId, UserId};
use keystead_core::identity::PublicKey;
use keystead_core::openpgp::{self, AcceptanceRule, Certificate, RecipientAccepted};
use keystead_core::recovery::{RecoveryKey, sealed::SealedNames};
use keystead_core::secret::SecretText;
use keystead_core::time::UnixMillis;
use wasm_bindgen::prelude::*;

/// A public key of RFC 8032, section 7.1.
const MASTER_KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// The text of a sealed recovery, with a recovery key of its own.
///
/// # Errors
/// Where the browser has no random bytes.
#[wasm_bindgen]
pub fn recovery_message() -> Result<String, JsError> {
    let names = SealedNames {
        user_id: UserId::parse("@ann:example.org")?,
        key_id: KeyId::parse("bkH4cJ1yGZqX7eWmTn0uRs5vDa2fLo9P")?,
        master_key: PublicKey::parse(MASTER_KEY)?,
        pins: None,
    };
    let text = names.to_text(&RecoveryKey::make_random()?);
    Ok(text.expose("nobody's recovery key, to be sealed by two programs").to_owned())
}

/// A certificate that was accepted as a recipient.
#[wasm_bindgen]
pub struct Recipient(RecipientAccepted);

#[wasm_bindgen]
impl Recipient {
    /// Reads an armored certificate and checks it, for an address at a time, as first set-up does.
    ///
    /// # Errors
    /// Where it is not accepted.
    pub fn accept(certificate: &str, address: &str, now: f64) -> Result<Self, JsError> {
        let rule = AcceptanceRule { address: Some(EmailAddress::parse(address)?), ..AcceptanceRule::default() };
        let certificates = Certificate::parse_all(certificate.as_bytes())?;
        let certificate = certificates.first().ok_or(JsError::new("no certificate"))?;
        Ok(Self(rule.accept(certificate, UnixMillis(now as u64))?))
    }

    /// Seals a text to it; answers the armored message.
    ///
    /// # Errors
    /// Where it cannot be sealed.
    pub fn seal(&self, text: &str) -> Result<String, JsError> {
        Ok(openpgp::seal(&SecretText::new(text.to_owned()), std::slice::from_ref(&self.0))?)
    }
}
