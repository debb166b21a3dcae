//! Lookups against sources that tell the truth, lie, are slow or gone: a scripted network, no real one.

#![allow(clippy::panic, clippy::unwrap_used, reason = "functions shared by tests are test code too")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use keystead_core::{
    directory::{DirectoryConfig, Looked, MAX_CANDIDATES, Wanted, choose, lookup, refresh},
    effect::{Answer, Effect, HttpRequest, HttpResponse, Io, Method, Run, Step, Target, TransportError},
    error::Code,
    ident::{EmailAddress, Fingerprint},
    openpgp::{AcceptanceRule, Certificate},
    time::UnixMillis,
};
use url::Url;

/// The reference time of the acceptance vectors.
const AT: UnixMillis = UnixMillis(1_800_000_000_000);

type Answered = Result<HttpResponse, TransportError>;

fn vector(name: &str) -> Vec<Certificate> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/openpgp/acceptance");
    let text = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    Certificate::parse_all(text.split_once("\n\n").unwrap().1.as_bytes()).unwrap()
}

fn good() -> Certificate {
    vector("accepted").remove(0)
}

fn revoked() -> Certificate {
    vector("revoked-hard").remove(0)
}

fn ann() -> EmailAddress {
    EmailAddress::parse("ann@example.org").unwrap()
}

fn rule() -> AcceptanceRule {
    AcceptanceRule { address: Some(ann()), ..AcceptanceRule::default() }
}

fn response(status: u16, body: impl Into<Vec<u8>>) -> Answered {
    Ok(HttpResponse { status, content_type: String::new(), retry_after_ms: None, body: body.into() })
}

/// What stands at a URL; anything else is 404 with a web page, as `sks` answers.
#[derive(Default)]
struct Network {
    pages: BTreeMap<String, Answered>,
    down: Vec<(String, TransportError)>,
    asked: Vec<Vec<&'static str>>,
}

impl Network {
    fn down(mut self, host: &str, error: TransportError) -> Self {
        self.down.push((host.to_owned(), error));
        self
    }

    /// An HKP server that lists these certificates for Ann and hands them out.
    fn serves(mut self, host: &str, certificates: &[Certificate]) -> Self {
        let mut index = format!("info:1:{}\r\n", certificates.len());
        for certificate in certificates {
            let fingerprint = certificate.fingerprint();
            index += &format!("pub:{}:22:256:1780000000::\r\n", fingerprint.as_str());
            for id in certificate.user_ids() {
                index +=
                    &format!("uid:{}:1780000000::\r\n", id.replace('@', "%40").replace(' ', "+").replace(':', "%3A"));
            }
            self = self.page(&get(host, fingerprint.as_str()), response(200, certificate.to_armored()));
        }
        let url = index_of(host);
        self.page(&url, response(200, index))
    }

    fn page(mut self, url: &str, answer: Answered) -> Self {
        self.pages.insert(url.to_owned(), answer);
        self
    }

    fn answer(&self, request: &HttpRequest) -> Answered {
        let Target::Url(url) = &request.target else { panic!("a key server gets no token") };
        assert_eq!((request.method, request.timeout_ms, request.max_bytes), (Method::Get, 10_000, 1 << 20));
        if let Some((_, error)) = self.down.iter().find(|(host, _)| url.host_str() == Some(host)) {
            return Err(*error);
        }
        self.pages.get(url.as_str()).cloned().unwrap_or_else(|| response(404, "<html>Not found</html>"))
    }

    fn look(&mut self, config: &DirectoryConfig, known: Vec<Certificate>) -> Looked {
        self.look_for(config, &[], known)
    }

    fn look_for(&mut self, config: &DirectoryConfig, wanted: &[Fingerprint], known: Vec<Certificate>) -> Looked {
        let address = ann();
        let wanted = Wanted { fingerprints: wanted, ..Wanted::of(&address) };
        self.run(|io| async move { lookup(&io, config, &wanted, known).await })
    }

    fn run<'a, T, F: Future<Output = T> + 'a>(&mut self, flow: impl FnOnce(Io) -> F) -> T {
        let mut run = Run::start(AT, flow);
        loop {
            match run.step() {
                Step::Done(result) => return result,
                Step::Do(Effect::Http(requests)) => {
                    self.asked.push(requests.iter().map(|request| request.name).collect());
                    run.answer(Answer::Http(requests.iter().map(|request| self.answer(request)).collect()), AT);
                }
                Step::Do(effect) => panic!("a lookup has no effect {}", effect.name()),
            }
        }
    }
}

fn index_of(host: &str) -> String {
    format!("https://{host}/pks/lookup?op=index&options=mr&exact=on&search=ann%40example.org")
}

fn get(host: &str, fingerprint: &str) -> String {
    format!("https://{host}/pks/lookup?op=get&options=mr&exact=on&search=0x{fingerprint}")
}

const ADVANCED: &str =
    "https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/qtgmukx58ikag7nqwxsqupgad8cozzzn?l=ann";
const DIRECT: &str = "https://example.org/.well-known/openpgpkey/hu/qtgmukx58ikag7nqwxsqupgad8cozzzn?l=ann";

fn hkp(hosts: &[&str]) -> DirectoryConfig {
    let hkp = hosts.iter().map(|host| Url::parse(&format!("https://{host}")).unwrap()).collect();
    DirectoryConfig { hkp, wkd: false }
}

fn with_wkd(hosts: &[&str]) -> DirectoryConfig {
    DirectoryConfig { wkd: true, ..hkp(hosts) }
}

fn outcome(looked: &Looked) -> Result<String, Code> {
    choose(looked, &rule(), AT).map(|accepted| accepted.fingerprint().as_str().to_owned())
}

fn problem(source: &str, code: Code) -> (String, Code) {
    (source.to_owned(), code)
}

#[test]
fn one_server_is_asked_for_the_index_and_then_for_the_certificate() {
    let mut network = Network::default().serves("a", &[good()]);
    let looked = network.look(&hkp(&["a"]), vec![]);
    assert_eq!(network.asked, [vec!["hkp index"], vec!["hkp get"]]);
    assert_eq!(outcome(&looked), Ok(good().fingerprint().as_str().to_owned()));
    assert!(looked.problems.is_empty());
}

#[test]
fn a_source_that_fails_does_not_hide_the_others() {
    let failures = [
        (Err(TransportError::Unreachable), Code::DirUnreachable),
        (Err(TransportError::Timeout), Code::DirTimeout),
        (Err(TransportError::TooLarge), Code::DirTooLarge),
        (Err(TransportError::Redirected), Code::DirRedirect),
        (response(302, ""), Code::DirRedirect),
        (response(200, vec![b'x'; (1 << 20) + 1]), Code::DirTooLarge),
        (response(200, "<html>Welcome</html>"), Code::DirNotAKey),
        (response(429, ""), Code::NetLimited),
        (response(500, ""), Code::NetServer),
    ];
    for (failure, code) in failures {
        let mut network = Network::default().serves("b", &[good()]).page(&index_of("a"), failure);
        let looked = network.look(&hkp(&["a", "b"]), vec![]);
        assert_eq!(looked.problems, [problem("a", code)]);
        assert!(outcome(&looked).is_ok(), "{code:?}");
    }
}

#[test]
fn a_server_that_can_index_but_hands_out_rubbish_is_a_problem_with_its_code() {
    let fingerprint = good().fingerprint();
    let answers = [
        (response(200, "<html>a page</html>"), Code::DirNotAKey),
        (response(200, ""), Code::DirNotAKey),
        (response(200, "-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n"), Code::DirNotAKey),
        (response(200, vector("fingerprint")[0].to_armored()), Code::DirFingerprint),
        (Err(TransportError::TooLarge), Code::DirTooLarge),
        (Err(TransportError::Redirected), Code::DirRedirect),
        (Err(TransportError::Timeout), Code::DirTimeout),
        (Err(TransportError::Unreachable), Code::DirUnreachable),
        (response(503, ""), Code::NetServer),
    ];
    for (answer, code) in answers {
        let mut network = Network::default().serves("a", &[good()]).page(&get("a", fingerprint.as_str()), answer);
        let looked = network.look(&hkp(&["a"]), vec![]);
        assert_eq!(looked.problems, [problem("a", code)]);
        let wanted = if code == Code::NetServer { Code::DirUnreachable } else { code };
        assert_eq!(outcome(&looked), Err(wanted));
    }
}

#[test]
fn of_several_certificates_in_one_answer_only_the_wanted_one_is_taken() {
    let both = [good().to_bytes(), vector("accepted-p256")[0].to_bytes()].concat();
    let mut network =
        Network::default().serves("a", &[good()]).page(&get("a", good().fingerprint().as_str()), response(200, both));
    let looked = network.look(&hkp(&["a"]), vec![]);
    assert_eq!(looked.certificates, [good()]);
}

#[test]
fn a_revocation_withheld_by_one_server_is_found_at_the_other() {
    // The other does not even list it: it is asked by fingerprint.
    let fingerprint = good().fingerprint();
    let mut network = Network::default()
        .serves("a", &[good()])
        .page(&get("b", fingerprint.as_str()), response(200, revoked().to_armored()));
    for hosts in [["a", "b"], ["b", "a"]] {
        let looked = network.look(&hkp(&hosts), vec![]);
        assert_eq!(looked.certificates.len(), 1);
        assert_eq!(outcome(&looked), Err(Code::DirRevoked));
    }
}

#[test]
fn a_revocation_once_seen_is_kept() {
    let looked = Network::default().serves("a", &[revoked()]).look(&hkp(&["a"]), vec![]);
    assert_eq!(outcome(&looked), Err(Code::DirRevoked));
    let again = Network::default().serves("a", &[good()]).look(&hkp(&["a"]), looked.certificates);
    assert_eq!(outcome(&again), Err(Code::DirRevoked));
    let gone = Network::default().down("a", TransportError::Unreachable).look(&hkp(&["a"]), again.certificates);
    assert_eq!(outcome(&gone), Err(Code::DirRevoked));
}

#[test]
fn a_known_certificate_that_no_source_lists_any_more_is_still_asked_for_and_used() {
    let fingerprint = good().fingerprint();
    let mut network = Network::default();
    let looked = network.look(&hkp(&["a"]), vec![good()]);
    assert_eq!(network.asked, [vec!["hkp get", "hkp index"]]);
    assert_eq!(outcome(&looked), Ok(fingerprint.as_str().to_owned()));
    let mut network = Network::default().page(&get("a", fingerprint.as_str()), response(200, revoked().to_armored()));
    assert_eq!(outcome(&network.look(&hkp(&["a"]), vec![good()])), Err(Code::DirRevoked));
}

#[test]
fn wkd_is_asked_by_the_advanced_method_and_its_certificate_is_checked_with_the_servers() {
    let mut network = Network::default().page(ADVANCED, response(200, good().to_bytes()));
    let looked = network.look(&with_wkd(&["a"]), vec![]);
    assert_eq!(network.asked, [vec!["hkp index", "wkd advanced"], vec!["hkp get"]]);
    assert!(outcome(&looked).is_ok());

    let mut network = Network::default()
        .page(ADVANCED, response(200, good().to_bytes()))
        .page(&get("a", good().fingerprint().as_str()), response(200, revoked().to_armored()));
    assert_eq!(outcome(&network.look(&with_wkd(&["a"]), vec![])), Err(Code::DirRevoked));
}

#[test]
fn wkd_is_asked_directly_only_where_the_advanced_host_does_not_answer() {
    for error in [TransportError::Unreachable, TransportError::Timeout] {
        let mut network = Network::default()
            .down("openpgpkey.example.org", error)
            .page(DIRECT, response(200, good().to_bytes()))
            .page(&get("a", good().fingerprint().as_str()), response(200, revoked().to_armored()));
        let looked = network.look(&with_wkd(&["a"]), vec![]);
        assert_eq!(network.asked, [vec!["hkp index", "wkd advanced"], vec!["wkd direct"], vec!["hkp get"]]);
        assert_eq!(outcome(&looked), Err(Code::DirRevoked), "what only the direct method names is checked too");
        assert!(looked.problems.is_empty());
    }
    let answers = [
        (response(404, ""), None),
        (response(500, ""), Some(Code::NetServer)),
        (response(301, ""), Some(Code::DirRedirect)),
        (Err(TransportError::Redirected), Some(Code::DirRedirect)),
        (Err(TransportError::TooLarge), Some(Code::DirTooLarge)),
        (response(200, "<html></html>"), Some(Code::DirNotAKey)),
    ];
    for (answer, code) in answers {
        let mut network = Network::default().page(ADVANCED, answer).page(DIRECT, response(200, good().to_bytes()));
        let looked = network.look(&with_wkd(&[]), vec![]);
        assert_eq!(network.asked, [vec!["wkd advanced"]]);
        assert!(looked.certificates.is_empty());
        assert_eq!(looked.problems, code.map(|code| problem("wkd", code)).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn two_acceptable_certificates_are_ambiguous_until_the_fingerprint_is_known() {
    let other = vector("accepted-p256").remove(0);
    let mut network = Network::default().serves("a", &[good(), other.clone()]);
    let looked = network.look(&hkp(&["a"]), vec![]);
    assert_eq!(outcome(&looked), Err(Code::DirAmbiguous));
    let pinned = AcceptanceRule { fingerprint: Some(other.fingerprint()), ..rule() };
    assert_eq!(choose(&looked, &pinned, AT).unwrap().fingerprint(), &other.fingerprint());
    let absent = AcceptanceRule { fingerprint: Some(vector("fingerprint")[0].fingerprint()), ..rule() };
    assert_eq!(choose(&looked, &absent, AT).unwrap_err(), Code::DirFingerprint);
}

#[test]
fn beside_refused_certificates_the_one_acceptable_is_chosen() {
    let crowd = ["id-wrong", "expired", "weak-sha1", "sign-only"].map(|name| vector(name).remove(0));
    let others: Vec<_> = crowd.into_iter().filter(|c| c.fingerprint() != good().fingerprint()).collect();
    assert!(others.len() >= 3);
    let looked =
        Looked { certificates: [others.clone(), vec![good()]].concat(), problems: vec![], ..Looked::default() };
    assert_eq!(outcome(&looked), Ok(good().fingerprint().as_str().to_owned()));
    let looked = Looked { certificates: others, problems: vec![], ..Looked::default() };
    assert_eq!(outcome(&looked), Err(Code::DirNoEncryption), "the nearest to acceptance gives the reason");
}

#[test]
fn where_nothing_is_found_the_reason_is_what_the_sources_did() {
    let none = Network::default().look(&with_wkd(&["a", "b"]), vec![]);
    assert_eq!((outcome(&none), none.problems), (Err(Code::DirNone), vec![]));
    let down = |error| Network::default().down("a", error).look(&hkp(&["a", "b"]), vec![]);
    assert_eq!(outcome(&down(TransportError::Unreachable)), Err(Code::DirUnreachable));
    assert_eq!(outcome(&down(TransportError::Timeout)), Err(Code::DirTimeout));
    assert_eq!(outcome(&down(TransportError::TooLarge)), Err(Code::DirTooLarge));
    assert_eq!(outcome(&down(TransportError::Redirected)), Err(Code::DirRedirect));
    assert_eq!(outcome(&Network::default().look(&DirectoryConfig::default(), vec![])), Err(Code::DirNone));
}

#[test]
fn a_flood_of_certificates_is_not_fetched_and_does_not_hide_the_one_with_the_address() {
    let mut index = String::new();
    for n in 0..200 {
        index += &format!("pub:{n:040}:22:256:1780000000::\nuid:Ann <ann{n}@example.org>:1780000000::\n");
    }
    for n in 200..230 {
        index += &format!("pub:{n:040}:22:256:1780000000::\n");
    }
    index += &format!("pub:{}:22:256:1780000000::\nuid:Ann <ANN@example.org>:::\n", good().fingerprint().as_str());
    let mut network = Network::default().serves("a", &[good()]).page(&index_of("a"), response(200, index));
    let looked = network.look(&hkp(&["a"]), vec![]);
    assert_eq!(network.asked[1].len(), MAX_CANDIDATES);
    assert!(outcome(&looked).is_ok());
    assert_eq!(looked.problems, [problem("a", Code::DirTooLarge)]);
}

/// An index of a hundred certificates with the address, the good one last.
fn crowd() -> String {
    let entry = |fingerprint: &str| format!("pub:{fingerprint}:22:256:1::\nuid:Ann <ann@example.org>:1::\n");
    let others: String = (0..100).map(|n| entry(&format!("{n:040}"))).collect();
    others + &entry(good().fingerprint().as_str())
}

#[test]
fn a_certificate_that_is_meant_is_asked_for_first_and_cannot_be_crowded_out() {
    let crowded = || Network::default().serves("a", &[good()]).page(&index_of("a"), response(200, crowd()));
    let looked = crowded().look(&hkp(&["a"]), vec![]);
    assert_eq!(outcome(&looked), Err(Code::DirTooLarge), "one of a hundred with the same address is not found by it");

    let mut network = crowded();
    let looked = network.look_for(&hkp(&["a"]), &[good().fingerprint()], vec![]);
    assert_eq!(network.asked[0], ["hkp get", "hkp index"]);
    assert_eq!(network.asked[1].len(), MAX_CANDIDATES);
    assert!(outcome(&looked).is_ok());
}

#[test]
fn certificates_of_other_addresses_are_not_asked_for_again() {
    let other = vector("id-wrong").remove(0);
    let mut network = Network::default().page(ADVANCED, response(200, [good().to_bytes(), other.to_bytes()].concat()));
    let looked = network.look(&with_wkd(&["a"]), vec![]);
    assert_eq!(network.asked, [vec!["hkp index", "wkd advanced"], vec!["hkp get"]]);
    assert_eq!(looked.certificates.len(), 2, "but they may tell why there is none");
}

#[test]
fn certificates_at_hand_are_brought_up_to_date_by_fingerprint_wherever_that_is_possible() {
    let fingerprint = good().fingerprint();
    let mut network = Network::default()
        .down("a", TransportError::Timeout)
        .page(&get("b", fingerprint.as_str()), response(200, revoked().to_armored()));
    let (config, no_servers) = (hkp(&["a", "b", "c"]), with_wkd(&[]));
    let fresh = network.run(|io| async move { refresh(&io, &config, vec![good()]).await });
    assert_eq!(network.asked, [vec!["hkp get"; 3]]);
    assert!(fresh.len() == 1 && fresh[0].is_revoked());
    let same = network.run(|io| async move { refresh(&io, &no_servers, vec![good()]).await });
    assert_eq!((same, network.asked.len()), (vec![good()], 1));
    let lying = response(200, vector("accepted-p256")[0].to_armored());
    let mut network = Network::default().page(&get("a", fingerprint.as_str()), lying);
    let config = hkp(&["a"]);
    assert_eq!(network.run(|io| async move { refresh(&io, &config, vec![good()]).await }), [good()]);
}

#[test]
fn a_driver_that_answers_too_little_reaches_nobody() {
    let (config, address) = (hkp(&["a", "b"]), ann());
    let mut run = Run::start(AT, |io| async move { lookup(&io, &config, &Wanted::of(&address), vec![]).await });
    assert!(matches!(run.step(), Step::Do(Effect::Http(requests)) if requests.len() == 2));
    run.answer(Answer::Failed, AT);
    let Step::Done(looked) = run.step() else { panic!("nothing more to ask") };
    assert_eq!(looked.problems, [problem("a", Code::DirUnreachable), problem("b", Code::DirUnreachable)]);
}
