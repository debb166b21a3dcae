//! Whose identity it is that a recovery key opens.
//!
//! Threat: a sealed recovery is encrypted *to* a person, by anyone. [`MasterKeyBelieved`] can only be had from this
//! browser's own pin, from the roster, from a signature by the person's own certificate ([`super::witness`]), or from the
//! person, who was shown the security code.

use super::{find::Found, witness};
use crate::{
    bootstrap::{End, Scene, look::LookError, recipients, record::AccountRecord},
    error::Code,
    identity::{PublicKey, security_code},
    status::Question,
};

/// Somebody other than the homeserver vouches that this master key is the account's owner's.
pub struct MasterKeyBelieved(PublicKey);

impl MasterKeyBelieved {
    /// The master key.
    #[must_use]
    pub const fn master_key(&self) -> &PublicKey {
        &self.0
    }
}

/// Finds out who vouches for the master key; asks the person where nobody does.
pub(super) async fn believe(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    found: &Found,
) -> Result<MasterKeyBelieved, End> {
    let master_key = found.published.identity.master();
    if let Some(pinned) = &record.master_key {
        return if pinned == master_key {
            Ok(MasterKeyBelieved(*master_key))
        } else {
            Err(LookError::OtherIdentity.into())
        };
    }
    let in_roster = recipients::roster_entry(scene).await?.and_then(|person| person.master_key);
    if in_roster.as_ref().is_some_and(|named| named != master_key) {
        return Err(LookError::OtherIdentity.into());
    }
    if in_roster.is_some() || record.believed.as_ref() == Some(master_key) {
        return Ok(MasterKeyBelieved(*master_key));
    }
    if witness::vouches(scene, record, found).await? {
        return Ok(MasterKeyBelieved(*master_key));
    }
    let account = scene.setup.user_id.clone();
    let security_code = security_code(&account, master_key);
    Err(End::Ask(Code::RecBelieve, Box::new(Question::Believe { account, master_key: *master_key, security_code })))
}
