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
    /// Which certificates the sources had this time; the others are known from before.
    pub served: Vec<Fingerprint>,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The address.
    pub address: &'a EmailAddress,
    /// Certificates that are meant by other words than the sources': the roster's, the person's. They are asked for at
    /// once and by fingerprint, so that a source that lists many certificates for the address cannot crowd them out.
    pub fingerprints: &'a [Fingerprint],
    /// Whose certifications are looked at; what others said of a certificate is not kept.
    pub certifiers: &'a [Certificate],
}

impl<'a> Wanted<'a> {
    /// Whatever certificates the address has.
    #[must_use]
    pub const fn of(address: &'a EmailAddress) -> Self {
        Self { address, fingerprints: &[], certifiers: &[] }
    }
}

/// Asks all sources about an address; those that fail do not hide the others.
///
/// Every HKP server is asked for every certificate that any source or the past names, so a revocation withheld by one
/// is found at another. At most three [`Effect::Http`] in turn: what is known, index and WKD; what those named and WKD's
/// direct method; what only that method named.
pub async fn lookup(io: &Io, config: &DirectoryConfig, wanted: &Wanted<'_>, known: Vec<Certificate>) -> Looked {
    let mut looked = Looked::default();
    for certificate in known {
        looked.keep(certificate, wanted.certifiers);
    }
    looked.served.clear();
    let mut candidates = wanted.fingerprints.to_vec();
    looked.add_candidates(wanted.address, usize::MAX, &mut candidates);
    let limit = candidates.len() + MAX_CANDIDATES;

    let mut next: Vec<_> = gets(config, &candidates).collect();
    let mut done = candidates.len();
    next.extend(config.hkp.iter().map(|server| (Ask::Index(server), hkp::index(server, wanted.address))));
    if config.wkd {
        next.extend(wkd::advanced(wanted.address).map(|request| (Ask::Advanced, request)));
    }
    // Three times at most: only the direct method can name certificates that are not yet asked for.
    while !next.is_empty() {
        for (ask, answered) in perform(io, std::mem::take(&mut next)).await {
            match ask {
                Ask::Index(server) => match hkp::read_index(answered) {
                    Ok(entries) => looked.choose_candidates(server, entries, wanted.address, limit, &mut candidates),
                    Err(error) => looked.problem(&source(server), error),
                },
                Ask::Get(server, fingerprint) => {
                    let found = hkp::read_get(answered, &fingerprint);
                    looked.take(&source(server), found.map(|found| found.into_iter().collect()), wanted.certifiers);
                }
                Ask::Advanced if wkd::wants_direct(&answered) => {
                    next.extend(wkd::direct(wanted.address).map(|request| (Ask::Direct, request)));
                }
                Ask::Advanced | Ask::Direct => looked.take(WKD, wkd::read(answered), wanted.certifiers),
            }
        }
        looked.add_candidates(wanted.address, limit, &mut candidates);
        next.extend(gets(config, &candidates[done..]));
        done = candidates.len();
    }
    looked
}

/// Asks the key servers for certificates that are at hand, by fingerprint, and merges what they have; a server that does
/// not answer changes nothing. One [`Effect::Http`], none where there is no key server.
///
/// For certificates that somebody vouches for (the policy's): a revocation or a later expiry that was published since is
/// found so.
pub async fn refresh(io: &Io, config: &DirectoryConfig, certificates: Vec<Certificate>) -> Vec<Certificate> {
    let mut looked = Looked { certificates, ..Looked::default() };
    let fingerprints: Vec<_> = looked.certificates.iter().map(Certificate::fingerprint).collect();
    for (ask, answered) in perform(io, gets(config, &fingerprints).collect()).await {
        let Ask::Get(_, fingerprint) = ask else { continue };
        if let Ok(Some(copy)) = hkp::read_get(answered, &fingerprint) {
            looked.keep(copy, &[]);
        }
    }
    looked.certificates
}

/// A request for each of these certificates at each key server.
fn gets<'a>(config: &'a DirectoryConfig, fingerprints: &[Fingerprint]) -> impl Iterator<Item = (Ask<'a>, HttpRequest)> {
    let get = |fingerprint: &Fingerprint| {
        let fingerprint = fingerprint.clone();
        config.hkp.iter().map(move |server| (Ask::Get(server, fingerprint.clone()), hkp::get(server, &fingerprint)))
    };
    fingerprints.iter().flat_map(get).collect::<Vec<_>>().into_iter()
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

    fn take(&mut self, source: &str, found: Result<Vec<Certificate>, SourceError>, certifiers: &[Certificate]) {
        match found {
            Ok(found) => found.into_iter().for_each(|certificate| self.keep(certificate, certifiers)),
            Err(error) => self.problem(source, error),
        }
    }

    /// Adds what matters of a copy to the one that is there, if any.
    fn keep(&mut self, copy: Certificate, certifiers: &[Certificate]) {
        let (copy, fingerprint) = (copy.reduced(certifiers), copy.fingerprint());
        if !self.served.contains(&fingerprint) {
            self.served.push(fingerprint.clone());
        }
        match self.certificates.iter_mut().find(|known| known.fingerprint() == fingerprint) {
            Some(known) => {
                if let Some(merged) = known.merge(&copy) {
                    *known = merged;
                }
            }
            None => self.certificates.push(copy),
        }
    }

    /// Adds to the candidates what is at hand and carries the address.
    fn add_candidates(&self, address: &EmailAddress, limit: usize, candidates: &mut Vec<Fingerprint>) {
        for certificate in self.certificates.iter().filter(|certificate| certificate.carries(address)) {
            let fingerprint = certificate.fingerprint();
            if candidates.len() < limit && !candidates.contains(&fingerprint) {
                candidates.push(fingerprint);
            }
        }
    }

    /// Adds to the candidates what an index lists: entries with the address first, then those without user IDs (some
    /// servers do not show them); entries that name only others are passed over.
    fn choose_candidates(
        &mut self,
        server: &Url,
        entries: Vec<hkp::IndexEntry>,
        address: &EmailAddress,
        limit: usize,
        candidates: &mut Vec<Fingerprint>,
    ) {
        let names = |id: &String| user_id_address(id).is_some_and(|found| same_mailbox(&found, address));
        let (wanted, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.user_ids.iter().any(names));
        for entry in wanted.into_iter().chain(rest.into_iter().filter(|entry| entry.user_ids.is_empty())) {
            if candidates.contains(&entry.fingerprint) {
                continue;
            }
            if candidates.len() >= limit {
                self.problem(&source(server), SourceError::TooLarge);
                return;
            }
            candidates.push(entry.fingerprint);
        }
    }
}
