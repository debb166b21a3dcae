//! What each vector is, and how its document came to be as it is.

use keystead_core::ident::Fingerprint;

use super::{DAY, DEPLOYMENT, EXPIRES, ISSUED, NOW, certificate};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    expect: &'static str,
    about: &'static str,
    /// What is signed.
    pub(crate) document: String,
    /// What is served, if it is something else.
    served: Option<String>,
    /// A signature to be served instead of one by `key`.
    pub(crate) signature: Option<String>,
    pub(crate) key: &'static str,
    pub(crate) signed_at: u64,
    signers: &'static str,
    deployment: &'static str,
    newest: u64,
    at: u64,
}

impl Case {
    /// The header and what is served, without the signature.
    pub(crate) fn unsigned(&self) -> String {
        let Self { expect, about, deployment, signers, newest, at, .. } = self;
        let header = format!("expect: {expect}\nabout: {about}\ndeployment: {deployment}\nsigners: {signers}");
        let served = self.served.as_ref().unwrap_or(&self.document);
        format!("{header}\nnewest: {newest}\nat: {at}\n\n{served}")
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let fingerprint = certificate("signer").fingerprint();
    let fingerprint = Fingerprint::as_str(&fingerprint);
    let key = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik";
    let ann = format!(
        "{{\"matrix_id\":\"@ann:example.org\",\"email\":\"ann@example.org\",\"fingerprint\":\"{fingerprint}\",\"master_key\":\"{key}\",\"since\":{ISSUED}}}"
    );
    let bob = format!(
        "{{\"matrix_id\":\"@bob:example.org\",\"email\":\"bob@example.org\",\"fingerprint\":\"{fingerprint}\"}}"
    );
    let good = format!(
        "{{\n\"kind\": \"roster\",\n\"version\": 1,\n\"deployment\": \"{DEPLOYMENT}\",\n\"serial\": 7,\n\"issued\": {ISSUED},\n\"expires\": {EXPIRES},\n\"people\": [\n{ann},\n{bob}\n]\n}}\n"
    );
    let case = |name, expect, about| Case {
        name,
        expect,
        about,
        document: good.clone(),
        served: None,
        signature: None,
        key: "signer",
        signed_at: NOW - DAY,
        signers: "signer",
        deployment: DEPLOYMENT,
        newest: 0,
        at: NOW,
    };
    let replaced = |name, expect, about, from: &str, to: &str| {
        assert!(good.contains(from), "{name}");
        Case { document: good.replace(from, to), ..case(name, expect, about) }
    };
    let mut cases = vec![
        case("good", "ok", "nothing is wrong"),
        Case { newest: 7, ..case("good-seen-before", "ok", "the same document once more") },
        Case { signers: "stranger, signer", ..case("good-second-signer", "ok", "any signer will do") },
        Case {
            at: ISSUED - 60_000,
            signed_at: ISSUED,
            ..case("good-clock-behind", "ok", "the reader's clock is a minute behind")
        },
        replaced("good-nobody", "ok", "a roster of nobody", &format!("[\n{ann},\n{bob}\n]"), "[]"),
        Case {
            signers: "stranger",
            ..case("signer-not-named", "KS-SGN-SIGNER", "signed by somebody whom the policy does not name")
        },
        Case {
            key: "revoked",
            signers: "revoked",
            ..case("signer-revoked", "KS-SGN-SIGNER", "the signer's certificate was revoked since")
        },
        Case {
            key: "expired",
            signed_at: NOW - 200 * DAY,
            signers: "expired",
            ..case("signer-expired", "KS-SGN-SIGNER", "the signer's certificate expired since")
        },
        Case {
            served: Some(good.replace("ann@example.org", "eve@example.org")),
            ..case("altered", "KS-SGN-SIGNATURE", "another address after signing")
        },
        Case {
            served: Some(good.replace("\n", "\r\n")),
            ..case("altered-line-ends", "KS-SGN-SIGNATURE", "line ends changed on the way")
        },
        Case {
            signed_at: NOW + DAY,
            ..case("signed-tomorrow", "KS-SGN-SIGNATURE", "the signature is dated a day ahead")
        },
        Case { signature: Some(String::new()), ..case("signature-absent", "KS-SGN-FORMAT", "no signature") },
        Case {
            signature: Some("<html>Not found</html>\n".into()),
            ..case("signature-html", "KS-SGN-FORMAT", "a web page where the signature should be")
        },
        Case {
            deployment: "https://chat.example.com",
            ..case("deployment-other", "KS-SGN-DEPLOYMENT", "signed for another deployment")
        },
        Case {
            deployment: "https://chat.example.org:8443",
            ..case("deployment-port", "KS-SGN-DEPLOYMENT", "another port is another origin")
        },
        Case { newest: 8, ..case("serial-older", "KS-SGN-SERIAL", "a newer one was seen") },
        Case { at: EXPIRES, ..case("expired", "KS-SGN-EXPIRED", "it holds until, not at") },
        Case {
            at: ISSUED - 400_000,
            signed_at: ISSUED - 400_000,
            ..case("not-yet", "KS-SGN-NOT-YET", "issued in the future")
        },
    ];
    cases.extend([
        replaced("kind-other", "KS-SGN-KIND", "a true document of another kind", "\"roster\"", "\"release_manifest\""),
        replaced("kind-unknown", "KS-SGN-KIND", "a kind that there is not", "\"roster\"", "\"menu\""),
        replaced("kind-missing", "KS-SGN-KIND", "no kind", "\"kind\": \"roster\",\n", ""),
        replaced(
            "version-newer",
            "KS-SGN-FORMAT",
            "a version that this reader does not know",
            "\"version\": 1",
            "\"version\": 2",
        ),
        replaced("version-text", "KS-SGN-FORMAT", "a version that is a text", "\"version\": 1", "\"version\": \"1\""),
        replaced("serial-zero", "KS-SGN-FORMAT", "serial numbers begin at 1", "\"serial\": 7", "\"serial\": 0"),
        replaced(
            "serial-huge",
            "KS-SGN-FORMAT",
            "a number that not every reader keeps",
            "\"serial\": 7",
            "\"serial\": 9007199254740992",
        ),
        replaced("serial-negative", "KS-SGN-FORMAT", "a negative serial number", "\"serial\": 7", "\"serial\": -7"),
        replaced("serial-missing", "KS-SGN-FORMAT", "no serial number", "\"serial\": 7,\n", ""),
        replaced(
            "never-valid",
            "KS-SGN-FORMAT",
            "expires before it is issued",
            &format!("\"expires\": {EXPIRES}"),
            &format!("\"expires\": {ISSUED}"),
        ),
        replaced(
            "key-twice",
            "KS-SGN-FORMAT",
            "two serial numbers: which one counts?",
            "\"serial\": 7,\n",
            "\"serial\": 9,\n\"serial\": 7,\n",
        ),
        replaced(
            "key-twice-escaped",
            "KS-SGN-FORMAT",
            "the same key, written in another way",
            "\"serial\": 7,\n",
            "\"s\\u0065rial\": 9,\n\"serial\": 7,\n",
        ),
        replaced(
            "key-twice-in-person",
            "KS-SGN-FORMAT",
            "two addresses for one person",
            "\"email\":\"bob@",
            "\"email\":\"eve@example.org\",\"email\":\"bob@",
        ),
        replaced(
            "field-unknown",
            "KS-SGN-FORMAT",
            "a field that this version does not have",
            "\"serial\": 7,\n",
            "\"serial\": 7,\n\"note\": \"\",\n",
        ),
        replaced(
            "person-unknown-field",
            "KS-SGN-FORMAT",
            "a field of a person that this version does not have",
            "\"email\":\"bob@",
            "\"name\":\"Bob\",\"email\":\"bob@",
        ),
        replaced("person-twice", "KS-SGN-FORMAT", "one Matrix ID, two persons", "@bob:example.org", "@ann:example.org"),
        replaced(
            "person-without-fingerprint",
            "KS-SGN-FORMAT",
            "a person without a certificate",
            &format!(",\"fingerprint\":\"{fingerprint}\"}}"),
            "}",
        ),
        replaced(
            "person-short-key-id",
            "KS-SGN-FORMAT",
            "a key id is no fingerprint",
            &format!("\"fingerprint\":\"{fingerprint}\"}}"),
            "\"fingerprint\":\"0123456789ABCDEF\"}",
        ),
        replaced("person-master-key", "KS-SGN-FORMAT", "a master key that is none", key, "master"),
        replaced(
            "person-since-alone",
            "KS-SGN-FORMAT",
            "since without a master key",
            &format!("\"master_key\":\"{key}\","),
            "",
        ),
        replaced("people-object", "KS-SGN-FORMAT", "people must be a list", "[\n", "{\"0\": [\n"),
        Case {
            document: "[]\n".into(),
            ..case("not-an-object", "KS-SGN-FORMAT", "a list where the document should be")
        },
        Case { document: format!("{good}{good}"), ..case("twice", "KS-SGN-FORMAT", "two documents in one") },
        Case { document: String::new(), ..case("empty", "KS-SGN-FORMAT", "nothing, signed") },
    ]);
    cases
}
