//! HKP, the protocol of key servers (draft-gallagher-openpgp-hkp; before it draft-shaw-openpgp-hkp-00).
//!
//! A search by address gives an index; certificates are then fetched by fingerprint. Nothing of the index is believed
//! but that a certificate of that fingerprint may exist.

use percent_encoding::percent_decode_str;
use url::Url;

use super::answer::{Answered, SourceError, body, certificates, request};
use crate::{
    effect::HttpRequest,
    ident::{EmailAddress, Fingerprint},
    openpgp::Certificate,
};

/// The most entries of an index that are read.
pub const MAX_ENTRIES: usize = 256;

/// One certificate as an index lists it: the server's word only.
#[derive(Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// When it was made, in seconds since 1970.
    pub created: Option<u64>,
    /// When it expires, in seconds since 1970.
    pub expires: Option<u64>,
    /// Flag `r`: revoked.
    pub revoked: bool,
    /// Flag `d`: disabled.
    pub disabled: bool,
    /// Flag `e`: expired.
    pub expired: bool,
    /// Its user IDs, percent-decoded.
    pub user_ids: Vec<String>,
}

/// Asks which certificates have this address.
#[must_use]
pub fn index(server: &Url, address: &EmailAddress) -> HttpRequest {
    lookup("hkp index", server, "index", address.as_str())
}

/// Asks for the certificate of this fingerprint.
#[must_use]
pub fn get(server: &Url, fingerprint: &Fingerprint) -> HttpRequest {
    lookup("hkp get", server, "get", &format!("0x{}", fingerprint.as_str()))
}

fn lookup(name: &'static str, server: &Url, operation: &str, search: &str) -> HttpRequest {
    let mut url = http(server);
    let path = format!("{}/pks/lookup", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_fragment(None);
    url.query_pairs_mut().clear().extend_pairs([
        ("op", operation),
        ("options", "mr"),
        ("exact", "on"),
        ("search", search),
    ]);
    request(name, url)
}

/// `hkps:` is `https:`, and `hkp:` is `http:` on port 11371; other schemes stay.
fn http(server: &Url) -> Url {
    let text = match server.scheme() {
        "hkps" => server.as_str().replacen("hkps:", "https:", 1),
        "hkp" if server.port().is_some() => server.as_str().replacen("hkp:", "http:", 1),
        "hkp" => {
            let host = server.host_str().unwrap_or_default();
            format!("http://{host}:11371{}", server.path())
        }
        _ => return server.clone(),
    };
    Url::parse(&text).unwrap_or_else(|_| server.clone())
}

/// Reads the answer to [`index`]; empty where the server knows nobody.
///
/// # Errors
/// [`SourceError`] where there is no usable answer.
pub fn read_index(answered: Answered) -> Result<Vec<IndexEntry>, SourceError> {
    body(answered)?.map_or(Ok(Vec::new()), |body| parse_index(&body))
}

/// Reads a machine-readable index: an optional `info:` line, then `pub:` lines, each followed by its `uid:` lines.
///
/// `pub:` lines have seven fields or eight; flags combine. Other lines, and entries whose key is named by less than a
/// fingerprint, are passed over; at most [`MAX_ENTRIES`] entries are read.
///
/// # Errors
/// [`SourceError::NotAKey`] where nothing in a text that is not empty belongs to an index.
pub fn parse_index(text: &[u8]) -> Result<Vec<IndexEntry>, SourceError> {
    let text = String::from_utf8_lossy(text);
    let (mut entries, mut is_index) = (Vec::<IndexEntry>::new(), text.trim().is_empty());
    // User IDs belong to the last `pub:` line, also to one that was passed over.
    let mut current = None;
    for line in text.lines().map(str::trim_end) {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            ["info", ..] => is_index = true,
            ["pub", key, _, _, created, expires, flags] | ["pub", key, _, _, created, expires, flags, _] => {
                is_index = true;
                current = None;
                if entries.len() == MAX_ENTRIES {
                    break;
                }
                if let Ok(fingerprint) = Fingerprint::parse(key) {
                    current = Some(entries.len());
                    entries.push(IndexEntry {
                        fingerprint,
                        created: created.parse().ok(),
                        expires: expires.parse().ok(),
                        revoked: flags.contains('r'),
                        disabled: flags.contains('d'),
                        expired: flags.contains('e'),
                        user_ids: Vec::new(),
                    });
                }
            }
            ["uid", id, ..] => {
                if let Some(entry) = current.and_then(|at: usize| entries.get_mut(at)) {
                    entry.user_ids.push(percent_decode_str(id).decode_utf8_lossy().into_owned());
                }
            }
            _ => (),
        }
    }
    if is_index { Ok(entries) } else { Err(SourceError::NotAKey) }
}

/// Reads the answer to [`get`]; `None` where the server does not have the certificate. Others in the same answer are
/// dropped.
///
/// # Errors
/// [`SourceError`] where there is no usable answer, or only certificates that nobody asked for.
pub fn read_get(answered: Answered, fingerprint: &Fingerprint) -> Result<Option<Certificate>, SourceError> {
    let found = certificates(answered)?;
    let nothing = found.is_empty();
    match found.into_iter().find(|certificate| certificate.fingerprint() == *fingerprint) {
        None if !nothing => Err(SourceError::Fingerprint),
        wanted => Ok(wanted),
    }
}
