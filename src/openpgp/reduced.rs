//! What of a certificate is kept: what was checked, and no more of it than there is use for.
//!
//! Threat: on many servers anyone can add to a certificate, thousands of signatures, some in the owner's own name that do
//! not fit. Kept as they came, they would push a revocation that was seen out of what can be stored and read again.

use sequoia_openpgp::{
    Cert, Packet,
    cert::amalgamation::{ComponentAmalgamation, key::SubordinateKeyAmalgamation},
    packet::{
        Key, Signature, UserID,
        key::{PrimaryRole, PublicParts},
    },
};

use super::{Certificate, validity::by_designated_revoker};

/// How many of the newest self-signatures, or of one certifier's words, are kept of each part: those that may be replaced
/// by an older one, when they turn out to be weak.
const MAX_SIGNATURES: usize = 16;
/// How many revocations are kept of each part; one is enough to refuse it.
const MAX_REVOCATIONS: usize = 2;
/// How many user IDs, and how many subkeys.
const MAX_PARTS: usize = 64;

impl Certificate {
    /// The certificate with what the acceptance rule looks at: what its owner signed, revocations, and what these
    /// certifiers said, all of it checked against the keys, and of each kind a few of the newest. Of revocations by a
    /// revoker that the certificate designates, whose key is not at hand, one is kept unchecked, as the rule heeds it.
    ///
    /// The rule's answer is the same as for the whole certificate.
    #[must_use]
    pub fn reduced(&self, certifiers: &[Self]) -> Self {
        let cert = self.cert();
        let primary = cert.primary_key();
        let mut packets: Vec<Packet> = vec![primary.key().clone().into()];
        take(&mut packets, MAX_REVOCATIONS, primary.self_revocations());
        let designated = primary.other_revocations().filter(|revocation| by_designated_revoker(cert, revocation));
        take(&mut packets, 1, designated);
        take(&mut packets, MAX_SIGNATURES, primary.self_signatures());

        let own =
            |id: &ComponentAmalgamation<'_, UserID>| id.self_signatures().chain(id.self_revocations()).next().is_some();
        for id in cert.userids().filter(own).take(MAX_PARTS) {
            packets.push(id.userid().clone().into());
            take(&mut packets, MAX_REVOCATIONS, id.self_revocations());
            take(&mut packets, MAX_SIGNATURES, id.self_signatures());
            for certifier in certifiers {
                let by = By { certifier: certifier.cert(), owner: primary.key(), id: id.userid() };
                take(&mut packets, MAX_REVOCATIONS, id.other_revocations().filter(|s| by.revoked(s)));
                take(&mut packets, MAX_SIGNATURES, id.certifications().filter(|s| by.certified(s)));
            }
        }
        let own = |key: &SubordinateKeyAmalgamation<'_, PublicParts>| {
            key.self_signatures().chain(key.self_revocations()).next().is_some()
        };
        for key in cert.keys().subkeys().filter(own).take(MAX_PARTS) {
            packets.push(key.key().clone().into());
            take(&mut packets, MAX_REVOCATIONS, key.self_revocations());
            take(&mut packets, MAX_SIGNATURES, key.self_signatures());
        }
        Cert::from_packets(packets.into_iter()).ok().and_then(Self::from_cert).unwrap_or_else(|| self.clone())
    }
}

fn take<'a>(packets: &mut Vec<Packet>, limit: usize, signatures: impl Iterator<Item = &'a Signature>) {
    packets.extend(signatures.take(limit).cloned().map(Packet::from));
}

/// A certifier, and a user ID of somebody.
pub(super) struct By<'a> {
    pub(super) certifier: &'a Cert,
    pub(super) owner: &'a Key<PublicParts, PrimaryRole>,
    pub(super) id: &'a UserID,
}

impl By<'_> {
    fn issued(&self, signature: &Signature) -> bool {
        let handle = self.certifier.key_handle();
        signature.get_issuers().iter().any(|issuer| issuer.aliases(&handle))
    }

    fn certified(&self, signature: &Signature) -> bool {
        let key = self.certifier.primary_key();
        self.issued(signature) && signature.verify_userid_binding(key.key(), self.owner, self.id).is_ok()
    }

    /// Is this the certifier's own revocation of what it said of the user ID, of whatever date?
    pub(super) fn revoked(&self, signature: &Signature) -> bool {
        let key = self.certifier.primary_key();
        self.issued(signature) && signature.verify_userid_revocation(key.key(), self.owner, self.id).is_ok()
    }
}
