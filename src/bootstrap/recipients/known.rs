//! What is kept of the certificates that were seen for an account.
//!
//! Threat: a directory that serves a certificate without the revocation that it had, or so many certificates and
//! signatures that what was known of the one that matters is crowded out. So which certificates were seen revoked is kept
//! for good, apart from the certificates, and of those only what can be this account's, within bounds.

use super::{End, Scene};
use crate::{
    bootstrap::record::{AccountRecord, RecordError},
    effect::Io,
    ident::{EmailAddress, Fingerprint, Origin},
    openpgp::Certificate,
};

/// How many certificates are kept.
const MAX_CERTIFICATES: usize = 16;
/// How many bytes of armor they may have together.
const MAX_BYTES: usize = 256 << 10;

/// The certificates that were kept.
///
/// # Errors
/// [`RecordError::Unreadable`] where one of them is none: what it said, a revocation perhaps, must not be lost in silence.
pub(super) fn read(record: &AccountRecord) -> Result<Vec<Certificate>, RecordError> {
    let mut known = Vec::new();
    for text in &record.certificates {
        known.extend(Certificate::parse_all(text.as_bytes()).map_err(|_| RecordError::Unreadable)?);
    }
    Ok(known)
}

/// Keeps what was seen: the certificates that carry one of the addresses or are `meant`, those first, and which of them are
/// revoked.
pub(super) async fn note(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    seen: &[&Certificate],
    addresses: &[EmailAddress],
    meant: &[Fingerprint],
) -> Result<(), End> {
    let is_meant = |certificate: &Certificate| meant.contains(&certificate.fingerprint());
    let carries = |certificate: &Certificate| addresses.iter().any(|address| certificate.carries(address));
    let (first, rest): (Vec<&Certificate>, Vec<_>) =
        seen.iter().copied().partition(|certificate| is_meant(certificate));
    let ours: Vec<_> = first.into_iter().chain(rest.into_iter().filter(|certificate| carries(certificate))).collect();
    let (mut kept, mut bytes) = (Vec::new(), 0);
    // What could not be read again would stop every later run.
    let readable = |text: &String| Certificate::parse_all(text.as_bytes()).is_ok();
    for text in ours.iter().map(|certificate| certificate.to_armored()).filter(readable) {
        if kept.len() < MAX_CERTIFICATES && bytes + text.len() <= MAX_BYTES {
            bytes += text.len();
            kept.push(text);
        }
    }
    let revoked: Vec<_> = ours.iter().filter(|c| c.is_revoked()).map(|c| (c.fingerprint(), is_meant(c))).collect();
    let news = |record: &AccountRecord| {
        kept != record.certificates || revoked.iter().any(|(f, _)| !record.revoked.contains(f))
    };
    if news(record) {
        let noted = |record: &mut AccountRecord| {
            record.certificates.clone_from(&kept);
            for (certificate, meant) in &revoked {
                record.note_revoked(certificate, *meant);
            }
        };
        record.change(scene.io, &scene.setup.origin, noted).await?;
    }
    Ok(())
}

/// Keeps which of the organisation's certificates are revoked.
pub(super) async fn note_revoked(
    io: &Io,
    origin: &Origin,
    record: &mut AccountRecord,
    certificates: &[Certificate],
) -> Result<(), RecordError> {
    let revoked: Vec<_> = certificates.iter().filter(|c| c.is_revoked()).map(Certificate::fingerprint).collect();
    if revoked.iter().any(|certificate| !record.revoked.contains(certificate)) {
        let noted =
            |record: &mut AccountRecord| revoked.iter().for_each(|certificate| record.note_revoked(certificate, true));
        record.change(io, origin, noted).await?;
    }
    Ok(())
}
