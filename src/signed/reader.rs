//! The one reader of signed documents.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    envelope::{Body, Envelope, MAX_BYTES, MAX_SERIAL},
    json::parse_json,
};
use crate::{
    error::{Code, Coded},
    ident::{Fingerprint, Origin},
    openpgp::{Certificate, VerifyError, verify_detached},
    time::UnixMillis,
};

/// How far the clocks of signer and reader may be apart.
pub const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Document or signature is larger than allowed.
    #[error("the document is too large")]
    TooLarge,
    /// It is signed by nobody whom the policy names, or by one who is no longer valid.
    #[error("the document is not signed by one of its signers")]
    Signer,
    /// The signature does not fit the document.
    #[error("the signature does not fit the document")]
    Signature,
    /// It is of another kind.
    #[error("the document is of another kind")]
    Kind,
    /// It is for another deployment.
    #[error("the document is for another deployment")]
    Deployment,
    /// It is older than one that was seen before.
    #[error("the document is older than one that was seen before")]
    Serial,
    /// It is issued in the future.
    #[error("the document is issued in the future")]
    NotYet,
    /// It has expired.
    #[error("the document has expired")]
    Expired,
    /// It is not of the documented form, or the signature is none.
    #[error("the document is not of the documented form{}", if field.is_empty() { String::new() } else { format!(": {field}") })]
    Format {
        /// Where, such as `people[3]`; empty for the document as a whole. Holds no value of the document.
        field: String,
    },
}

impl Coded for SignedError {
    fn code(&self) -> Code {
        match self {
            Self::TooLarge => Code::SgnTooLarge,
            Self::Signer => Code::SgnSigner,
            Self::Signature => Code::SgnSignature,
            Self::Kind => Code::SgnKind,
            Self::Deployment => Code::SgnDeployment,
            Self::Serial => Code::SgnSerial,
            Self::NotYet => Code::SgnNotYet,
            Self::Expired => Code::SgnExpired,
            Self::Format { .. } => Code::SgnFormat,
        }
    }
}

fn format(field: impl Into<String>) -> SignedError {
    SignedError::Format { field: field.into() }
}

/// Proof that a document's bytes are signed by one of the certificates that were given.
#[derive(Debug)]
pub struct SignatureValid {
    signer: Fingerprint,
}

impl SignatureValid {
    /// Whose signature it was.
    #[must_use]
    pub fn signer(&self) -> &Fingerprint {
        &self.signer
    }
}

/// A document that passed every check.
#[derive(Debug)]
pub struct SignedDocument<T> {
    /// What it says of itself.
    pub envelope: Envelope,
    /// What it holds.
    pub body: T,
    signature: SignatureValid,
}

impl<T> SignedDocument<T> {
    /// The proof that it is signed.
    #[must_use]
    pub fn signature(&self) -> &SignatureValid {
        &self.signature
    }
}

/// What a document must be to be believed.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The certificates of the policy; any of them may have signed.
    pub signers: &'a [Certificate],
    /// The deployment that it is read for.
    pub deployment: &'a Origin,
    /// The greatest serial number of this kind and deployment that was ever believed here; 0: none.
    pub newest_serial_seen: u64,
    /// The time.
    pub now: UnixMillis,
}

impl Reader<'_> {
    /// Reads a document: its bytes and the armored signature that lies beside it.
    ///
    /// Afterwards the caller keeps the greatest serial number, durably, for the next time.
    ///
    /// # Errors
    /// [`SignedError`]: the first check that fails, in the order of its variants but `Format`.
    pub fn read<T: Body>(&self, bytes: &[u8], signature: &str) -> Result<SignedDocument<T>, SignedError> {
        if bytes.len() > MAX_BYTES {
            return Err(SignedError::TooLarge);
        }
        let signature = self.verify(bytes, signature)?;
        let Ok(Value::Object(fields)) = parse_json(bytes) else { return Err(format("")) };
        let (envelope, body) = split(fields);
        if envelope.get("kind") != serde_json::to_value(T::KIND).ok().as_ref() {
            return Err(SignedError::Kind);
        }
        let envelope = read_envelope(envelope)?;
        if envelope.version != T::VERSION {
            return Err(format("version"));
        }
        self.admit(&envelope)?;
        let body = T::read(body).map_err(format)?;
        Ok(SignedDocument { envelope, body, signature })
    }

    fn verify(&self, bytes: &[u8], signature: &str) -> Result<SignatureValid, SignedError> {
        // A signer whose clock is a little ahead has signed in our future.
        match verify_detached(bytes, signature, self.signers, self.now.plus(CLOCK_SKEW)) {
            Ok(signer) => Ok(SignatureValid { signer }),
            Err(VerifyError::Signer) => Err(SignedError::Signer),
            Err(VerifyError::Signature) => Err(SignedError::Signature),
            Err(VerifyError::Format) => Err(format("the signature")),
        }
    }

    fn admit(&self, envelope: &Envelope) -> Result<(), SignedError> {
        if &envelope.deployment != self.deployment {
            return Err(SignedError::Deployment);
        }
        if !(1..=MAX_SERIAL).contains(&envelope.serial) {
            return Err(format("serial"));
        }
        if envelope.serial < self.newest_serial_seen {
            return Err(SignedError::Serial);
        }
        if envelope.expires <= envelope.issued {
            return Err(format("expires"));
        }
        if envelope.issued > self.now.plus(CLOCK_SKEW) {
            return Err(SignedError::NotYet);
        }
        if envelope.expires <= self.now {
            return Err(SignedError::Expired);
        }
        Ok(())
    }
}

fn split(fields: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    fields.into_iter().partition(|(name, _)| Envelope::FIELDS.contains(&name.as_str()))
}

fn read_envelope(fields: Map<String, Value>) -> Result<Envelope, SignedError> {
    if let Some(missing) = Envelope::FIELDS.iter().find(|name| !fields.contains_key(**name)) {
        return Err(format(*missing));
    }
    serde_json::from_value(Value::Object(fields)).map_err(|_| format("the envelope"))
}
