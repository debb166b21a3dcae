//! A certificate as it was found: parsed and of public parts only, but nothing else is known of it.

use std::fmt;

use sequoia_openpgp::{
    Cert, Packet,
    cert::CertParser,
    parse::Parse,
    serialize::{Marshal, MarshalInto},
};

use super::{
    same_mailbox, user_id_address,
    validity::{is_revoked, is_revoked_softly},
};
use crate::{
    error::{Code, Coded},
    ident::{EmailAddress, Fingerprint},
    time::UnixMillis,
};

/// The most bytes of input that are read as certificates. Sources may answer less (1 MiB): what is stored is merged.
pub const MAX_INPUT: usize = 4 << 20;

/// The most bytes of a merged certificate; as armor it is still below [`MAX_INPUT`].
const MAX_MERGED: usize = 2 << 20;

/// The most certificates that one input may hold.
pub const MAX_CERTIFICATES: usize = 64;

/// Why an input holds no certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Neither armored nor binary OpenPGP certificates: a web page, a message, a damaged key.
    #[error("not an OpenPGP certificate")]
    NotAKey,
    /// More than [`MAX_INPUT`] bytes or [`MAX_CERTIFICATES`] certificates.
    #[error("too large for OpenPGP certificates")]
    TooLarge,
}

impl Coded for ParseError {
    fn code(&self) -> Code {
        match self {
            Self::NotAKey => Code::DirNotAKey,
            Self::TooLarge => Code::DirTooLarge,
        }
    }
}

/// An OpenPGP certificate (RFC 9580, section 10.1): public parts only, checked by nothing yet.
///
/// To encrypt to it, have [`super::AcceptanceRule::accept`] look at it first.
#[derive(Clone, PartialEq)]
pub struct Certificate {
    cert: Cert,
}

impl Certificate {
    /// Reads one or more certificates, armored (several blocks are fine) or binary. Secret key material is dropped.
    ///
    /// Copies of one certificate in the input are merged; the order is that of first appearance.
    ///
    /// # Errors
    /// [`ParseError`] where any part of the input is something else: nothing is skipped in silence.
    pub fn parse_all(input: &[u8]) -> Result<Vec<Self>, ParseError> {
        let mut found: Vec<Self> = Vec::new();
        for cert in parse_certs(input)? {
            let copy = Self::from_cert(cert).ok_or(ParseError::NotAKey)?;
            match found.iter_mut().find(|known| known.cert.fingerprint() == copy.cert.fingerprint()) {
                Some(known) => *known = known.merge(&copy).unwrap_or(copy),
                None => found.push(copy),
            }
        }
        Ok(found)
    }

    /// The public parts, as far as they can be written again: not everything that is read can be, and whoever puts such a
    /// thing behind a certificate on a server must not make it one that cannot be kept.
    pub(super) fn from_cert(cert: Cert) -> Option<Self> {
        let cert = cert.strip_secret_key_material();
        if cert.to_vec().is_ok() {
            return Some(Self { cert });
        }
        let packets: Vec<_> = cert.into_packets().filter_map(writable).collect();
        let cert = Cert::from_packets(packets.into_iter()).ok().filter(|cert| cert.to_vec().is_ok())?;
        Some(Self { cert })
    }

    pub(super) fn cert(&self) -> &Cert {
        &self.cert
    }

    /// The fingerprint of the primary key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint_of(&self.cert)
    }

    /// The user IDs as they are written in the certificate, valid or not; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn user_ids(&self) -> Vec<String> {
        self.cert.userids().map(|id| String::from_utf8_lossy(id.userid().value()).into_owned()).collect()
    }

    /// What both copies hold: every user ID, subkey, signature and revocation of either. `None` where they are copies of
    /// different certificates.
    ///
    /// Where that is more than 2 MiB (anyone can flood a certificate on some servers), what third parties added to this
    /// copy is left out, then what they added to either; never a revocation. So a merged copy can always be stored.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Option<Self> {
        let both = |one: &Self, other: &Self| {
            let cert = one.cert.clone().merge_public(other.cert.clone()).ok()?;
            Some(Self { cert })
        };
        let merged = both(self, other)?;
        if merged.cert.serialized_len() <= MAX_MERGED {
            return Some(merged);
        }
        let merged = both(&self.reduced(&[]), other)?;
        if merged.cert.serialized_len() <= MAX_MERGED { Some(merged) } else { Some(merged.reduced(&[])) }
    }

    /// Is it revoked, as the acceptance rule sees it: by any revocation of its owner, hard or soft, of whatever date, or
    /// by one in the name of a revoker that it designates?
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        is_revoked(&self.cert)
    }

    /// When its primary key was made, by its own word.
    #[must_use]
    pub fn made_at(&self) -> UnixMillis {
        let made = self.cert.primary_key().key().creation_time();
        let since = made.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Is it revoked in a way that leaves open who else has its secret keys: as compromised, without a reason, or by
    /// somebody else? One that its owner only replaced or put out of use is not.
    #[must_use]
    pub fn may_be_compromised(&self) -> bool {
        self.is_revoked() && !is_revoked_softly(&self.cert)
    }

    /// Does any of its user IDs name this address, valid or not?
    #[must_use]
    pub fn carries(&self, address: &EmailAddress) -> bool {
        self.user_ids().iter().filter_map(|id| user_id_address(id)).any(|found| same_mailbox(&found, address))
    }

    /// The certificate as ASCII armor (RFC 9580, section 6).
    #[must_use]
    pub fn to_armored(&self) -> String {
        // It can be written: that was tried when it was read. Armor is ASCII.
        let bytes = self.cert.armored().to_vec().unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// The certificate in binary form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // It can be written: that was tried when it was read.
        let _ = self.cert.serialize(&mut bytes);
        bytes
    }
}

/// The packet, if it can be written; a signature if need be without what it does not cover itself, which anyone can add.
fn writable(packet: Packet) -> Option<Packet> {
    match packet {
        packet if packet.to_vec().is_ok() => Some(packet),
        Packet::Signature(mut signature) => {
            signature.unhashed_area_mut().clear();
            Some(Packet::from(signature)).filter(|packet| packet.to_vec().is_ok())
        }
        _ => None,
    }
}

// Names and addresses do not slip into a log by way of `{:?}`.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<OpenPGP certificate>")
    }
}

/// Reads certificates with whatever secret parts they have.
pub(super) fn parse_certs(input: &[u8]) -> Result<Vec<Cert>, ParseError> {
    if input.len() > MAX_INPUT {
        return Err(ParseError::TooLarge);
    }
    let start = input.trim_ascii_start();
    // Binary OpenPGP begins with a packet tag, whose high bit is set (RFC 9580, section 4.2).
    let binary = input.first().is_some_and(|byte| byte & 0x80 != 0);
    if !binary && !start.starts_with(b"-----BEGIN PGP ") {
        return Err(ParseError::NotAKey);
    }
    let parser = CertParser::from_bytes(if binary { input } else { start }).map_err(|_| ParseError::NotAKey)?;
    let mut certs = Vec::new();
    for cert in parser {
        if certs.len() == MAX_CERTIFICATES {
            return Err(ParseError::TooLarge);
        }
        certs.push(cert.map_err(|_| ParseError::NotAKey)?);
    }
    if certs.is_empty() { Err(ParseError::NotAKey) } else { Ok(certs) }
}

pub(super) fn fingerprint_of(cert: &Cert) -> Fingerprint {
    // Sequoia parses versions 4 and 6 only (others become unknown packets, not certificates).
    match Fingerprint::parse(&cert.fingerprint().to_hex()) {
        Ok(fingerprint) => fingerprint,
        Err(_) => unreachable!("a certificate has a fingerprint of 20 or 32 bytes"),
    }
}
