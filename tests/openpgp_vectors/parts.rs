//! The parts that certificates are made of.

use std::time::{Duration, SystemTime};

use sequoia_openpgp::{
    Packet,
    packet::{
        Key, Signature, UserID,
        key::{Key4, PrimaryRole, SecretParts, SubordinateRole},
        signature::SignatureBuilder,
    },
    types::{Curve, HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType},
};

/// When everything was made: 2026-05-28T20:26:40Z.
pub(crate) const MADE: u64 = 1_780_000_000;
/// The reference time of all vectors: 2027-01-15T08:00:00Z.
pub(crate) const AT: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 86_400;

pub(crate) const ANN: &str = "Ann Lee <ann@example.org>";

pub(crate) fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A primary key and an encryption subkey, with nothing that binds them.
pub(crate) struct Keys {
    pub(crate) primary: Key<SecretParts, PrimaryRole>,
    pub(crate) subkey: Key<SecretParts, SubordinateRole>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self::of(
            Key4::generate_ecc(true, Curve::Ed25519).unwrap().into(),
            Key4::generate_ecc(false, Curve::Cv25519).unwrap().into(),
        )
    }

    pub(crate) fn of(
        mut primary: Key<SecretParts, PrimaryRole>,
        mut subkey: Key<SecretParts, SubordinateRole>,
    ) -> Self {
        primary.set_creation_time(time(MADE)).unwrap();
        subkey.set_creation_time(time(MADE)).unwrap();
        Self { primary, subkey }
    }

    pub(crate) fn sign_user_id(&self, owner: &Self, id: &str, builder: SignatureBuilder) -> Signature {
        let mut signer = self.primary.clone().into_keypair().unwrap();
        builder.sign_userid_binding(&mut signer, owner.primary.parts_as_public(), &UserID::from(id)).unwrap()
    }

    pub(crate) fn self_sign(&self, id: &str) -> Signature {
        self.sign_user_id(self, id, binding(MADE))
    }

    pub(crate) fn bind_subkey(&self, builder: SignatureBuilder) -> Signature {
        let mut signer = self.primary.clone().into_keypair().unwrap();
        builder.sign_subkey_binding(&mut signer, None, &self.subkey).unwrap()
    }

    /// Revokes `owner`'s certificate.
    pub(crate) fn revoke(&self, owner: &Self, builder: SignatureBuilder) -> Packet {
        let mut signer = self.primary.clone().into_keypair().unwrap();
        builder.sign_direct_key(&mut signer, owner.primary.parts_as_public()).unwrap().into()
    }

    pub(crate) fn primary(&self) -> Packet {
        self.primary.clone().take_secret().0.into()
    }

    /// A certificate: the primary key, what stands directly behind it, user IDs with their signatures, the subkey's
    /// signatures.
    pub(crate) fn certificate(
        &self,
        direct: Vec<Packet>,
        ids: Vec<(&str, Vec<Signature>)>,
        subkey: Vec<Signature>,
    ) -> Vec<Packet> {
        let mut packets = vec![self.primary()];
        packets.extend(direct);
        for (id, signatures) in ids {
            packets.push(UserID::from(id).into());
            packets.extend(signatures.into_iter().map(Packet::from));
        }
        packets.push(self.subkey.clone().take_secret().0.into());
        packets.extend(subkey.into_iter().map(Packet::from));
        packets
    }

    /// The certificate that is good in every respect, but for what stands behind the primary key.
    pub(crate) fn good(&self, direct: Vec<Packet>) -> Vec<Packet> {
        self.certificate(direct, vec![(ANN, vec![self.self_sign(ANN)])], vec![self.bind_subkey(subkey_binding(MADE))])
    }

    /// Good, with other signatures behind the user ID's self-signature.
    pub(crate) fn certified(&self, certifications: Vec<Signature>) -> Vec<Packet> {
        let mut signatures = vec![self.self_sign(ANN)];
        signatures.extend(certifications);
        self.certificate(vec![], vec![(ANN, signatures)], vec![self.bind_subkey(subkey_binding(MADE))])
    }

    /// Good, but for its one user ID.
    pub(crate) fn named(&self, id: &str) -> Vec<Packet> {
        self.certificate(vec![], vec![(id, vec![self.self_sign(id)])], vec![self.bind_subkey(subkey_binding(MADE))])
    }

    /// Good, but for its subkey's signatures.
    pub(crate) fn with_subkey(&self, signatures: Vec<Signature>) -> Vec<Packet> {
        self.certificate(vec![], vec![(ANN, vec![self.self_sign(ANN)])], signatures)
    }
}

impl Keys {
    /// The same keys as a certificate of 2010.
    pub(crate) fn of_2010(mut self, hash: HashAlgorithm) -> Vec<Packet> {
        let made = 1_262_304_000;
        self.primary.set_creation_time(time(made)).unwrap();
        self.subkey.set_creation_time(time(made)).unwrap();
        let id = self.sign_user_id(&self, ANN, binding(made).set_hash_algo(hash));
        let bound = self.bind_subkey(subkey_binding(made).set_hash_algo(hash));
        self.certificate(vec![], vec![(ANN, vec![id])], vec![bound])
    }
}

pub(crate) fn dated(kind: SignatureType, at: u64) -> SignatureBuilder {
    SignatureBuilder::new(kind).set_hash_algo(HashAlgorithm::SHA256).set_signature_creation_time(time(at)).unwrap()
}

pub(crate) fn binding(at: u64) -> SignatureBuilder {
    let flags = KeyFlags::empty().set_certification().set_signing();
    dated(SignatureType::PositiveCertification, at).set_key_flags(flags).unwrap()
}

pub(crate) fn subkey_binding(at: u64) -> SignatureBuilder {
    let flags = KeyFlags::empty().set_transport_encryption().set_storage_encryption();
    dated(SignatureType::SubkeyBinding, at).set_key_flags(flags).unwrap()
}

pub(crate) fn revocation(kind: SignatureType, at: u64, reason: ReasonForRevocation) -> SignatureBuilder {
    dated(kind, at).set_reason_for_revocation(reason, b"").unwrap()
}

pub(crate) fn certification(at: u64) -> SignatureBuilder {
    dated(SignatureType::GenericCertification, at)
}

pub(crate) fn lives(builder: SignatureBuilder, days: u64) -> SignatureBuilder {
    builder.set_key_validity_period(Duration::from_secs(days * DAY)).unwrap()
}

pub(crate) fn signature_lives(builder: SignatureBuilder, days: u64) -> SignatureBuilder {
    builder.set_signature_validity_period(Duration::from_secs(days * DAY)).unwrap()
}
