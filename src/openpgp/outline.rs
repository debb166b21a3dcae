//! What a message or a signature says of itself, before anything of it is checked.

use sequoia_openpgp::{
    KeyHandle, KeyID, Packet,
    packet::Tag,
    parse::{PacketParser, PacketParserResult, Parse},
};

/// The most bytes of input that are looked at.
const MAX_OUTLINE: usize = 256 << 10;

/// The most keys that a message may be encrypted to: a program may ask for the passphrase of each of the person's own.
const MAX_KEYS: usize = 32;

/// The text is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an OpenPGP message of the expected form")]
pub struct OutlineError;

/// The key ids (16 upper-case hex digits) that a message says it is encrypted to; none for recipients that it hides.
///
/// The message must be encrypted to at least one key and to no passphrase: a program that is handed one of the latter
/// asks the person for a passphrase that whoever made it has thought of.
///
/// # Errors
/// [`OutlineError`] where it is no such message, or longer than 256 KiB.
pub fn encrypted_to(armored: &str) -> Result<Vec<String>, OutlineError> {
    let mut recipients = Vec::new();
    let mut keys = 0;
    let mut rest = first_packet(armored)?;
    while let PacketParserResult::Some(parser) = rest {
        match &parser.packet {
            Packet::Marker(_) => (),
            Packet::PKESK(packet) if keys < MAX_KEYS => {
                keys += 1;
                recipients.extend(packet.recipient().as_ref().map(key_id));
            }
            Packet::SEIP(_) if keys > 0 => return Ok(recipients),
            // GnuPG's own container for authenticated encryption, which it writes where every recipient can read it.
            Packet::Unknown(packet) if packet.tag() == Tag::AED && keys > 0 => return Ok(recipients),
            _ => return Err(OutlineError),
        }
        rest = parser.next().map_err(|_| OutlineError)?.1;
    }
    Err(OutlineError)
}

/// The key ids (16 upper-case hex digits) that a detached signature names as its makers.
///
/// # Errors
/// [`OutlineError`] where it is no single signature.
pub fn issuers(signature: &str) -> Result<Vec<String>, OutlineError> {
    let PacketParserResult::Some(parser) = first_packet(signature)? else { return Err(OutlineError) };
    let (packet, rest) = parser.next().map_err(|_| OutlineError)?;
    match (packet, rest) {
        (Packet::Signature(signature), PacketParserResult::EOF(_)) => {
            Ok(signature.get_issuers().iter().map(key_id).collect())
        }
        _ => Err(OutlineError),
    }
}

fn first_packet(armored: &str) -> Result<PacketParserResult<'_>, OutlineError> {
    if armored.len() > MAX_OUTLINE {
        return Err(OutlineError);
    }
    PacketParser::from_bytes(armored.as_bytes()).map_err(|_| OutlineError)
}

fn key_id(handle: &KeyHandle) -> String {
    KeyID::from(handle).to_hex()
}
