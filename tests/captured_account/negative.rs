//! Runs the files of `tests/vectors/matrix/negative`: each has one defect, and each defect its code.

use std::{collections::BTreeMap, fmt::Display};

use keystead_core::{
    error::{Code, Coded},
    ident::{DeviceId, KeyId, UserId},
    identity::PublishedIdentity,
    matrix::{BackupVersion, DeviceKeys, KeysQueryResponse},
    recovery::{EncryptedSecret, KeyDescription, RecoveryKey, SecretDocument, decode_seed},
};
use serde_json::Value;

use super::{part, vectors};

/// A file: its header lines, and what stands below the empty line.
pub(super) struct Vector {
    header: BTreeMap<String, String>,
    body: String,
}

impl Vector {
    pub(super) fn parse(text: &str) -> Self {
        let (header, body) = text.split_once("\n\n").expect("an empty line ends the header");
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header line is `name: value`");
            (name.to_owned(), value.to_owned())
        };
        Self { header: header.lines().map(field).collect(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> &str {
        self.header.get(name).unwrap_or_else(|| panic!("no header `{name}`"))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn recovery_key(&self) -> RecoveryKey {
        RecoveryKey::parse(self.header("recovery-key")).unwrap()
    }

    fn user(&self) -> UserId {
        UserId::parse(self.header("user")).unwrap()
    }

    /// Opens the document the way its header says.
    pub(super) fn open(&self) -> Result<(), Refusal> {
        match self.header("open") {
            "recovery key" => RecoveryKey::parse(&self.body).map(drop).map_err(|error| {
                let group = error.group().map_or("unknown".to_owned(), |group| group.0.to_string());
                assert_eq!(group, self.header("group"));
                refusal(error)
            }),
            "key description" => {
                let description: KeyDescription = part(&self.json(), "");
                description.verify(&self.recovery_key().derive_keys("")).map_err(refusal)?;
                description.passphrase().map(drop).map_err(refusal)
            }
            "secret" => {
                let Some(entry) = self.secret_entry()? else {
                    return Err((Code::RecSecretMissing, "absent".into()));
                };
                let keys = self.recovery_key().derive_keys(self.header("name"));
                decode_seed(&entry.decrypt(&keys).map_err(refusal)?).map(drop).map_err(refusal)
            }
            "identity" => self.identity(&self.json()).map(drop),
            "device" => {
                let json = self.json();
                let device: DeviceKeys = part(&json, "/device");
                self.identity(&json["keys_query"])?.vouches_for(&device).map(drop).map_err(refusal)
            }
            "backup" => {
                let json = self.json();
                let backup: BackupVersion = part(&json, "/backup");
                self.identity(&json["keys_query"])?.check_backup(&backup).map(drop).map_err(refusal)
            }
            other => panic!("unknown way to open: {other}"),
        }
    }

    fn secret_entry(&self) -> Result<Option<EncryptedSecret>, Refusal> {
        let document: SecretDocument = part(&self.json(), "");
        document.entry(&KeyId::parse(self.header("key-id")).unwrap()).map_err(refusal)
    }

    fn identity(&self, answer: &Value) -> Result<PublishedIdentity, Refusal> {
        let answer: KeysQueryResponse = part(answer, "");
        let identity = PublishedIdentity::read(&answer, &self.user()).map_err(refusal)?;
        identity.ok_or((Code::RecNoIdentity, "absent".into()))
    }
}

/// The code, and the words of the error: they tell apart what has one code.
type Refusal = (Code, String);

fn refusal(error: impl Coded + Display) -> Refusal {
    (error.code(), error.to_string())
}

#[test]
fn every_defect_has_its_code() {
    let mut controls = Vec::new();
    let mut kinds = BTreeMap::<String, usize>::new();
    for file in std::fs::read_dir(vectors().join("negative")).unwrap() {
        let path = file.unwrap().path();
        let vector = Vector::parse(&std::fs::read_to_string(&path).unwrap());
        let about = format!("{}: {}", path.display(), vector.header("what"));
        let kind = vector.header("open").to_owned();
        match vector.open() {
            Ok(()) => {
                assert_eq!("ok", vector.header("expect"), "{about}");
                controls.push(kind);
            }
            Err((code, words)) => {
                assert_eq!((code.as_str(), &*words), (vector.header("expect"), vector.header("says")), "{about}");
                *kinds.entry(kind).or_default() += 1;
            }
        }
    }
    controls.sort();
    assert!(controls.iter().eq(kinds.keys()), "one control for each kind: {controls:?} {kinds:?}");
    assert_eq!(kinds.values().sum::<usize>(), super::defects::COUNT, "the files are those that were made: {kinds:?}");
}

/// A device's keys under another device's id are no keys of that device.
#[test]
fn a_device_is_known_by_its_own_name_only() {
    let account = super::Account::finished();
    let mut answer = account.answer();
    let devices = answer.device_keys.get_mut(account.user.as_str()).unwrap();
    let keys = devices.remove(account.device.as_str()).unwrap();
    devices.insert("OTHER".into(), keys);
    assert_eq!(answer.device(&account.user, &DeviceId::parse("OTHER").unwrap()), None);
    assert_eq!(answer.devices(&account.user).count(), 0);
}
