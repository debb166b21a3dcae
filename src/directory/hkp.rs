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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{HttpResponse, Target};

    const FPR: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    fn url(request: &HttpRequest) -> &str {
        match &request.target {
            Target::Url(url) => url.as_str(),
            Target::Homeserver(path) => path,
        }
    }

    #[test]
    fn urls_are_built_for_every_way_to_write_a_server() {
        let ann = EmailAddress::parse("ann+x@example.org").unwrap();
        let tail = "/pks/lookup?op=index&options=mr&exact=on&search=ann%2Bx%40example.org";
        for (server, base) in [
            ("https://keys.example.org", "https://keys.example.org"),
            ("https://keys.example.org/", "https://keys.example.org"),
            ("https://example.org/hkp/?a=b#c", "https://example.org/hkp"),
            ("hkps://keys.example.org", "https://keys.example.org"),
            ("hkps://keys.example.org:8443", "https://keys.example.org:8443"),
            ("hkp://127.0.0.1", "http://127.0.0.1:11371"),
            ("hkp://127.0.0.1:4711", "http://127.0.0.1:4711"),
            ("http://127.0.0.1:4711", "http://127.0.0.1:4711"),
        ] {
            let server = Url::parse(server).unwrap();
            assert_eq!(url(&index(&server, &ann)), format!("{base}{tail}"), "{server}");
        }
        let get = get(&Url::parse("https://k").unwrap(), &Fingerprint::parse(FPR).unwrap());
        assert_eq!(url(&get), format!("https://k/pks/lookup?op=get&options=mr&exact=on&search=0x{FPR}"));
    }

    #[test]
    fn an_index_is_read_in_all_its_variants() {
        let text = format!(
            "# junk\r\ninfo:1:4\r\npub:{FPR}:22:256:1780000000:1800000000:re\r\n\
             uid:Ann%20Lee%20%3Cann%40example.org%3E:1780000000::\r\nuid:caf%C3%A9%3A%FF\r\n\
             nonsense\r\n\r\npub:{}:1:3072:1780000000:::4\r\nuid:Bob <b@x>:1780000000::e\r\n\
             pub:0123456789ABCDEF:1:1024:1::\r\nuid:of a short key id:1::\r\n\
             pub:{FPR}:1\r\npub:{}:27:256::x:d\r\n",
            FPR.to_lowercase().replace('0', "f"),
            "A".repeat(64),
        );
        let entries = parse_index(text.as_bytes()).unwrap();
        assert_eq!(entries.len(), 3);
        let first = &entries[0];
        assert_eq!(
            (first.fingerprint.as_str(), first.created, first.expires),
            (FPR, Some(1_780_000_000), Some(1_800_000_000))
        );
        assert_eq!((first.revoked, first.expired, first.disabled), (true, true, false));
        assert_eq!(first.user_ids, ["Ann Lee <ann@example.org>", "café:\u{fffd}"]);
        assert_eq!((entries[1].user_ids.len(), entries[1].revoked, entries[1].expires), (1, false, None));
        assert_eq!((entries[2].fingerprint.as_str().len(), entries[2].created, entries[2].disabled), (64, None, true));
        assert!(entries[2].user_ids.is_empty());
    }

    #[test]
    fn what_is_no_index_is_refused_and_an_empty_one_is_not() {
        for none in ["", "\r\n", "info:1:0\r\n"] {
            assert_eq!(parse_index(none.as_bytes()).unwrap().len(), 0, "{none:?}");
        }
        for bad in ["<html>", "{\"error\":1}", "uid:x:1::\n", "pub:\n"] {
            assert_eq!(parse_index(bad.as_bytes()).err(), Some(SourceError::NotAKey), "{bad:?}");
        }
        assert!(parse_index(&[0xff; 4096]).is_err());
    }

    #[test]
    fn a_long_index_is_cut() {
        let long: String = (0..10_000).map(|n| format!("pub:{n:040}:1:1:1::\n")).collect();
        assert_eq!(parse_index(long.as_bytes()).unwrap().len(), MAX_ENTRIES);
    }

    #[test]
    fn a_refusal_with_a_web_page_is_an_answer() {
        let page = |status| {
            let body = b"<html>no results</html>".to_vec();
            Ok(HttpResponse { status, content_type: "text/html".into(), retry_after_ms: None, body })
        };
        let fingerprint = Fingerprint::parse(FPR).unwrap();
        assert_eq!(read_index(page(404)).map(|entries| entries.len()), Ok(0));
        assert!(read_get(page(404), &fingerprint).unwrap().is_none());
        assert_eq!(read_index(page(200)).err(), Some(SourceError::NotAKey));
        assert_eq!(read_get(page(200), &fingerprint), Err(SourceError::NotAKey));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(info|pub|uid|[:%\r\nA-F0-9a-f]){0,200}") {
            let _ = parse_index(text.as_bytes());
        }
    }
}
