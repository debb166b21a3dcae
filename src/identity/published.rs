//! An account's published identity, as the answer to a keys query has it.

use serde_json::Value;

use super::{PublicKey, SignatureError, Signatures, verify_json_with};
use crate::{
    error::{Code, Coded},
    ident::{DeviceId, UserId},
    matrix::{CrossSigningKey, DeviceKeys, KeysQueryResponse},
};

/// An account's cross-signing keys. Their names fit together, and the master key signed the others.
#[derive(Debug, Clone)]
pub struct PublishedIdentity {
    user: UserId,
    master: PublicKey,
    self_signing: PublicKey,
    user_signing: Option<PublicKey>,
    devices: Vec<DeviceKeys>,
}

/// A device's keys are signed by the device itself and by its owner's self-signing key.
#[derive(Debug)]
pub struct DeviceVouched {
    device_id: DeviceId,
    ed25519: PublicKey,
}

impl DeviceVouched {
    /// The device.
    #[must_use]
    pub const fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// What it signs with.
    #[must_use]
    pub const fn ed25519(&self) -> &PublicKey {
        &self.ed25519
    }
}

impl PublishedIdentity {
    /// Reads a user's identity out of the answer to a keys query; `None` where the user has none.
    ///
    /// The master key need not be signed by anything: it is what everything else hangs on. Whether it is the right one is
    /// not known here.
    ///
    /// # Errors
    /// [`IdentityError`]. A user whose server did not answer is an error, never a user without an identity.
    pub fn read(answer: &KeysQueryResponse, user: &UserId) -> Result<Option<Self>, IdentityError> {
        let identity = Self::read_keys(&Signatures::at_once(), answer, user)?;
        Ok(identity.map(|identity| Self { devices: answer.devices(user).collect(), ..identity }))
    }

    /// The same without the devices, its signatures verified at once or together with others.
    ///
    /// # Errors
    /// [`IdentityError`]
    pub fn read_keys(
        signatures: &Signatures,
        answer: &KeysQueryResponse,
        user: &UserId,
    ) -> Result<Option<Self>, IdentityError> {
        let Some(master) = answer.master_keys.get(user.as_str()) else {
            if answer.failures.contains_key(user.server_name()) {
                return Err(IdentityError::NotAnswered);
            }
            let parts = [&answer.self_signing_keys, &answer.user_signing_keys];
            if parts.iter().any(|keys| keys.contains_key(user.as_str())) {
                return Err(IdentityError::Malformed(Role::Master.path()));
            }
            return Ok(None);
        };
        let (_, master) = read_key(master, user, Role::Master)?;
        let subkey = |document, role: Role| {
            let (document, key) = read_key(document, user, role)?;
            verify_json_with(signatures, document.document(), user, &master.key_id(), &master)
                .map_err(|reason| IdentityError::Signature { path: role.path(), reason })?;
            Ok(key)
        };
        let self_signing = answer.self_signing_keys.get(user.as_str());
        let self_signing = self_signing.ok_or(IdentityError::Malformed(Role::SelfSigning.path()))?;
        let user_signing = answer.user_signing_keys.get(user.as_str());
        Ok(Some(Self {
            user: user.clone(),
            master,
            self_signing: subkey(self_signing, Role::SelfSigning)?,
            user_signing: user_signing.map(|key| subkey(key, Role::UserSigning)).transpose()?,
            devices: Vec::new(),
        }))
    }

    /// Whose identity it is.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// The master key.
    #[must_use]
    pub const fn master(&self) -> &PublicKey {
        &self.master
    }

    /// The self-signing key.
    #[must_use]
    pub const fn self_signing(&self) -> &PublicKey {
        &self.self_signing
    }

    /// The user-signing key; a homeserver gives it to its owner only.
    #[must_use]
    pub const fn user_signing(&self) -> Option<&PublicKey> {
        self.user_signing.as_ref()
    }

    pub(super) fn devices(&self) -> &[DeviceKeys] {
        &self.devices
    }

    /// Those of the answer's devices that the owner's identity vouches for.
    pub fn vouched_devices(&self) -> impl Iterator<Item = DeviceVouched> {
        self.devices.iter().filter_map(|device| self.vouches_for(device).ok())
    }

    /// Checks that a device belongs to the account by its owner's word: its keys name the owner and the device, are
    /// signed by the device, and by the self-signing key.
    ///
    /// # Errors
    /// [`VouchError`]
    pub fn vouches_for(&self, device: &DeviceKeys) -> Result<DeviceVouched, VouchError> {
        self.vouches_for_with(&Signatures::at_once(), device)
    }

    /// The same, its signatures verified at once or together with others.
    ///
    /// # Errors
    /// [`VouchError`]
    pub fn vouches_for_with(&self, signatures: &Signatures, device: &DeviceKeys) -> Result<DeviceVouched, VouchError> {
        let fields = device.fields();
        if fields.user_id != self.user {
            return Err(VouchError::OtherUser);
        }
        let device_id = fields.device_id.clone();
        let key_id = format!("ed25519:{}", device_id.as_str());
        let ed25519 = fields.keys.get(&key_id).and_then(|key| PublicKey::parse(key).ok());
        let ed25519 = ed25519.ok_or(VouchError::Keys)?;
        let signed_by = |key_id: &str, key| verify_json_with(signatures, device.document(), &self.user, key_id, key);
        signed_by(&key_id, &ed25519).map_err(|_| VouchError::Keys)?;
        match signed_by(&self.self_signing.key_id(), &self.self_signing) {
            Ok(()) => Ok(DeviceVouched { device_id, ed25519 }),
            Err(SignatureError::Absent) => Err(VouchError::Unsigned),
            Err(SignatureError::Invalid | SignatureError::Canonical(_)) => Err(VouchError::Signature),
        }
    }
}

/// The three cross-signing keys.
#[derive(Clone, Copy)]
enum Role {
    Master,
    SelfSigning,
    UserSigning,
}

impl Role {
    const fn usage(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::SelfSigning => "self_signing",
            Self::UserSigning => "user_signing",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Master => "master_keys",
            Self::SelfSigning => "self_signing_keys",
            Self::UserSigning => "user_signing_keys",
        }
    }
}

/// Reads a cross-signing key: of this user, of this usage and no other, one key that is named after itself.
fn read_key(document: &Value, user: &UserId, role: Role) -> Result<(CrossSigningKey, PublicKey), IdentityError> {
    let malformed = IdentityError::Malformed(role.path());
    let document = CrossSigningKey::read(document).map_err(|_| malformed)?;
    let fields = document.fields();
    if fields.user_id != *user {
        return Err(IdentityError::OtherUser(role.path()));
    }
    if fields.usage != [role.usage()] {
        return Err(IdentityError::Usage(role.path()));
    }
    let mut keys = fields.keys.iter();
    let (Some((id, key)), None) = (keys.next(), keys.next()) else { return Err(malformed) };
    let key = PublicKey::parse(key).map_err(|_| malformed)?;
    if *id != key.key_id() {
        return Err(malformed);
    }
    Ok((document, key))
}

/// Why an identity cannot be read. The path says in which part of the answer, without naming anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The user's server did not answer: nothing is known.
    #[error("the user's server did not answer")]
    NotAnswered,
    /// A key is missing, or is not one Ed25519 key named after itself.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// A key is another user's.
    #[error("another user's key: {0}")]
    OtherUser(&'static str),
    /// A key is for something else, or for something unknown.
    #[error("a key with another usage: {0}")]
    Usage(&'static str),
    /// A key is not signed by the master key.
    #[error("{path}: {reason}")]
    Signature {
        /// Which key.
        path: &'static str,
        /// Why.
        reason: SignatureError,
    },
}

impl Coded for IdentityError {
    fn code(&self) -> Code {
        match self {
            Self::NotAnswered => Code::NetUnreachable,
            Self::Malformed(_) | Self::OtherUser(_) | Self::Usage(_) | Self::Signature { .. } => Code::NetAnswer,
        }
    }
}

/// Why an identity does not vouch for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VouchError {
    /// The device is another user's.
    #[error("the device is another user's")]
    OtherUser,
    /// The device's keys are not signed by the device itself.
    #[error("the device's keys contradict themselves")]
    Keys,
    /// The self-signing key did not sign it: an ordinary thing for a device that is seconds old.
    #[error("the device is not signed by its owner")]
    Unsigned,
    /// There is a signature of the self-signing key, but it does not fit.
    #[error("the owner's signature does not fit the device")]
    Signature,
}

impl Coded for VouchError {
    fn code(&self) -> Code {
        match self {
            Self::OtherUser | Self::Keys | Self::Unsigned | Self::Signature => Code::RecDevice,
        }
    }
}
