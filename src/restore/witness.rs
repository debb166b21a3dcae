//! The witness: the account's owner has said, with their own OpenPGP certificate, which master key is theirs.
//!
//! Threat: a homeserver that seals a recovery key of its own making to the person, with an identity to match, or that shows
//! a true statement about another account, key or identity. So the statement itself is never read from it: the bytes are
//! made here, of what is to be believed, and only the signature over them comes from there. It counts where it is by the
//! certificate that the rule of recipients accepts for this person, without anybody being asked.

use serde_json::json;

use super::find::Found;
use crate::{
    bootstrap::{End, Scene, recipients::own_certificate, record::AccountRecord, seal::SealError},
    ident::{KeyId, UserId},
    identity::{CanonicalJsonError, PublicKey, canonical_json},
    matrix::account_data,
    openpgp::{Certificate, verify_detached},
    recovery::sealed::{self, SealedDocument},
    signed::CLOCK_SKEW,
};

/// What the statement's field `kind` says.
pub const KIND: &str = "io.keystead.witness";

/// *This master key is mine, and this recovery key opens it.*
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The account.
    pub user_id: &'a UserId,
    /// The secret storage key's id.
    pub key_id: &'a KeyId,
    /// The account's public master key.
    pub master_key: &'a PublicKey,
}

impl Statement<'_> {
    /// The text that is signed: canonical JSON, no line end behind it.
    ///
    /// # Errors
    /// [`CanonicalJsonError`], which these fields never cause.
    pub fn to_text(&self) -> Result<String, CanonicalJsonError> {
        canonical_json(&json!({
            "kind": KIND,
            "version": 1,
            "user_id": self.user_id.as_str(),
            "server": self.user_id.server_name(),
            "key_id": self.key_id.as_str(),
            "master_key": self.master_key.to_base64(),
        }))
    }
}

/// Does the account's entry have a witness for the identity that was found?
pub(super) async fn vouches(scene: &Scene<'_>, record: &mut AccountRecord, found: &Found) -> Result<bool, End> {
    let Some(signature) = found.witness() else { return Ok(false) };
    let statement = Statement {
        user_id: &scene.setup.user_id,
        key_id: &found.key_id,
        master_key: found.published.identity.master(),
    };
    match scene.setup.lately.owner(scene.io.now()) {
        Some(certificate) => Ok(is_by(scene, certificate, &statement, signature)),
        None => is_by_owner(scene, record, &statement, signature).await,
    }
}

/// Is this the signature of the account's owner over the statement?
pub(super) async fn is_by_owner(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    statement: &Statement<'_>,
    signature: &str,
) -> Result<bool, End> {
    let Some(certificate) = own_certificate(scene, record).await? else { return Ok(false) };
    Ok(is_by(scene, certificate, statement, signature))
}

fn is_by(scene: &Scene<'_>, certificate: Certificate, statement: &Statement<'_>, signature: &str) -> bool {
    let Ok(text) = statement.to_text() else { return false };
    // A signer whose clock is a little ahead has signed in our future.
    let at = scene.io.now().plus(CLOCK_SKEW);
    verify_detached(text.as_bytes(), signature, &[certificate], at).is_ok()
}

/// Puts a signature beside the sealed recovery, and reads it back.
pub(super) async fn publish(scene: &Scene<'_>, key_id: &KeyId, signature: &str) -> Result<(), End> {
    let mut document = read(scene).await?;
    let mut entry = document.entry(key_id).ok_or(SealError::ReadBack)?;
    entry.witness = Some(signature.to_owned());
    document.insert(key_id, &entry)?;
    let content = serde_json::to_value(&document).unwrap_or_default();
    let put = account_data::put(&scene.setup.user_id, sealed::ACCOUNT_DATA, &content);
    account_data::read_put(&scene.homeserver.send(put).await?)?;
    match read(scene).await?.entry(key_id).and_then(|entry| entry.witness) {
        Some(written) if written == signature => Ok(()),
        _ => Err(SealError::ReadBack.into()),
    }
}

/// The account's sealed recoveries.
pub(super) async fn read(scene: &Scene<'_>) -> Result<SealedDocument, End> {
    let request = account_data::get(&scene.setup.user_id, sealed::ACCOUNT_DATA);
    Ok(account_data::read_get(&scene.homeserver.send(request).await?)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_s_bytes_are_those_of_the_documentation() {
        let docs = include_str!("../../docs/witness.md");
        let user_id = UserId::parse("@ann:example.org:8448").unwrap();
        let key_id = KeyId::parse("bmV3IHNlY3JldCBzdG9yYWdlIGtleSBpZA").unwrap();
        let master_key = PublicKey::parse("nqOvzeuGWT/sRx3h7+MHoInYj3Uk2LD/unI9kDYcHwk").unwrap();
        let text = Statement { user_id: &user_id, key_id: &key_id, master_key: &master_key }.to_text().unwrap();
        assert!(docs.contains(&format!("```\n{text}\n```")), "{text}");
    }
}
