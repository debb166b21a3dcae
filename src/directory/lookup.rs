//! Asking every source about an address, and putting their answers together.

use url::Url;

use super::{
    answer::{Answered, SourceError},
    hkp, wkd,
};
use crate::{
    effect::{Answer, Effect, HttpRequest, Io, TransportError},
    error::{Code, Coded},
    ident::{EmailAddress, Fingerprint},
    openpgp::{Certificate, same_mailbox, user_id_address},
};

/// The most certificates that are fetched for one address, besides those known before.
pub const MAX_CANDIDATES: usize = 16;

/// How a problem with the Web Key Directory is labelled.
const WKD: &str = "wkd";

/// Which sources there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// HKP servers: `https`, `hkps`, and for tests on the loopback `http` or `hkp`.
    pub hkp: Vec<Url>,
    /// Is the Web Key Directory of the address's domain asked?
    pub wkd: bool,
}

/// What the sources had.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// Every certificate, each once: what was known, merged with all copies found. To be known at the next lookup.
    pub certificates: Vec<Certificate>,
    /// Sources without a usable answer: the server's origin or `wkd`, and why; each pair once.
    pub problems: Vec<(String, Code)>,
}

/// Asks all sources about an address; those that fail do not hide the others.
///
/// Every HKP server is asked for every certificate that any source or the past names, so a revocation withheld by one
/// is found at another. At most three [`Effect::Http`] in turn: index and WKD; certificates and WKD's direct method;
/// what only that method named.
pub async fn lookup(io: &Io, config: &DirectoryConfig, address: &EmailAddress, known: Vec<Certificate>) -> Looked {
    let mut looked = Looked::default();
    for certificate in known {
        looked.keep(certificate);
    }

    let mut asked: Vec<_> = config.hkp.iter().map(|server| (Ask::Index(server), hkp::index(server, address))).collect();
    if config.wkd {
        asked.extend(wkd::advanced(address).map(|request| (Ask::Advanced, request)));
    }
    let mut candidates: Vec<Fingerprint> = looked.certificates.iter().map(Certificate::fingerprint).collect();
    let mut next = Vec::new();
    for (ask, answered) in perform(io, asked).await {
        match ask {
            Ask::Index(server) => match hkp::read_index(answered) {
                Ok(entries) => looked.choose_candidates(server, entries, address, &mut candidates),
                Err(error) => looked.problem(&source(server), error),
            },
            Ask::Advanced if wkd::wants_direct(&answered) => {
                next.extend(wkd::direct(address).map(|request| (Ask::Direct, request)));
            }
            Ask::Advanced | Ask::Direct => looked.take(WKD, wkd::read(answered)),
            Ask::Get(..) => (),
        }
    }

    // Twice at most: only the direct method can name certificates that are not yet asked for.
    let mut done = 0;
    loop {
        for certificate in &looked.certificates {
            let fingerprint = certificate.fingerprint();
            if !candidates.contains(&fingerprint) {
                candidates.push(fingerprint);
            }
        }
        for fingerprint in candidates.iter().skip(done) {
            let get = |server| (Ask::Get(server, fingerprint.clone()), hkp::get(server, fingerprint));
            next.extend(config.hkp.iter().map(get));
        }
        done = candidates.len();
        if next.is_empty() {
            return looked;
        }
        for (ask, answered) in perform(io, std::mem::take(&mut next)).await {
            match ask {
                Ask::Get(server, fingerprint) => {
                    let found = hkp::read_get(answered, &fingerprint);
                    looked.take(&source(server), found.map(|found| found.into_iter().collect()));
                }
                Ask::Index(_) | Ask::Advanced | Ask::Direct => looked.take(WKD, wkd::read(answered)),
            }
        }
    }
}

/// What a request is for.
enum Ask<'a> {
    Index(&'a Url),
    Get(&'a Url, Fingerprint),
    Advanced,
    Direct,
}

/// Performs requests at the same time; a driver that answers anything else reaches nobody.
async fn perform<'a>(io: &Io, asked: Vec<(Ask<'a>, HttpRequest)>) -> Vec<(Ask<'a>, Answered)> {
    if asked.is_empty() {
        return Vec::new();
    }
    let (asks, requests): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let answers = match io.ask(Effect::Http(requests)).await {
        Answer::Http(answers) => answers,
        _ => Vec::new(),
    };
    let silence = std::iter::repeat_with(|| Err(TransportError::Unreachable));
    asks.into_iter().zip(answers.into_iter().chain(silence)).collect()
}

/// How a server is labelled: never with what it was asked.
fn source(server: &Url) -> String {
    match (server.host_str(), server.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "hkp".to_owned(),
    }
}

impl Looked {
    fn problem(&mut self, source: &str, error: SourceError) {
        let problem = (source.to_owned(), error.code());
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn take(&mut self, source: &str, found: Result<Vec<Certificate>, SourceError>) {
        match found {
            Ok(found) => found.into_iter().for_each(|certificate| self.keep(certificate)),
            Err(error) => self.problem(source, error),
        }
    }

    /// Adds a copy to the one that is there, if any.
    fn keep(&mut self, copy: Certificate) {
        let fingerprint = copy.fingerprint();
        match self.certificates.iter_mut().find(|known| known.fingerprint() == fingerprint) {
            Some(known) => {
                if let Some(merged) = known.merge(&copy) {
                    *known = merged;
                }
            }
            None => self.certificates.push(copy),
        }
    }

    /// Adds to the candidates what an index lists: entries with the address first, then those without user IDs (some
    /// servers do not show them); entries that name only others are passed over.
    fn choose_candidates(
        &mut self,
        server: &Url,
        entries: Vec<hkp::IndexEntry>,
        address: &EmailAddress,
        candidates: &mut Vec<Fingerprint>,
    ) {
        let names = |id: &String| user_id_address(id).is_some_and(|found| same_mailbox(&found, address));
        let (wanted, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.user_ids.iter().any(names));
        let known = self.certificates.len();
        for entry in wanted.into_iter().chain(rest.into_iter().filter(|entry| entry.user_ids.is_empty())) {
            if candidates.contains(&entry.fingerprint) {
                continue;
            }
            if candidates.len() >= known + MAX_CANDIDATES {
                self.problem(&source(server), SourceError::TooLarge);
                return;
            }
            candidates.push(entry.fingerprint);
        }
    }
}
