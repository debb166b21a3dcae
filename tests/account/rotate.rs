//! Rotation: each reason for it, what is no reason, the 24 hours, documents that nobody here knows, and another client that
//! reads at every moment.

use std::time::Duration;

use keystead_core::{
    bootstrap::Outcome,
    error::Code,
    events::{self, Event},
    ident::{DeviceId, Fingerprint, KeyId},
    recovery::{EncryptedSecret, RecoveryKey, SecretDocument, secret_name},
    restore::Way,
    rotate::{ANNOUNCED, Reason, STEP},
    secret::SecretText,
    status::{Question, RecipientView, State},
};
use keystead_testbed::{KeyKind, KeySpec};
use sequoia_openpgp::{Cert, Packet, parse::Parse, serialize::SerializeInto, types::ReasonForRevocation};
use serde_json::{Value, json};

use crate::{account::Account, world::World};

/// A document that no version of Keystead has heard of.
pub(crate) const UNKNOWN: &str = "org.example.notes";
/// How long after a switch the account is looked at again.
pub(crate) const SETTLED: Duration = Duration::from_secs(60);
const NOTE: &str = "a secret of a widget's";

/// An account that is set up, with a fifth secret of somebody else's making.
pub(crate) async fn set_up(world: &World) -> Account {
    let account = world.hire().await;
    let outcome = account.start(world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    settle(&account, world).await;
    let data = account.data(world).await;
    let id = default_key(&data);
    let key = account.open(world, &data, &id).await.unwrap();
    let mut document = SecretDocument::default();
    let entry = EncryptedSecret::encrypt(&key.derive_keys(UNKNOWN), &SecretText::new(NOTE.into())).unwrap();
    document.set_entry(&id, &entry);
    let mut content = serde_json::to_value(&document).unwrap();
    content["pinned"] = json!({ "by": "somebody" });
    content["encrypted"]["another-key"] = json!({ "in": "another form" });
    account.put(world, UNKNOWN, &content).await;
    account
}

/// The second look after a switch.
async fn settle(account: &Account, world: &World) -> Outcome {
    account.wait(SETTLED);
    account.start(world, None).await.unwrap()
}

pub(crate) fn default_key(data: &Value) -> KeyId {
    KeyId::parse(data["m.secret_storage.default_key"]["key"].as_str().unwrap()).unwrap()
}

/// Keys that gpg has opened.
#[derive(Default)]
pub(crate) struct Reader(Vec<(KeyId, RecoveryKey)>);

impl Reader {
    /// What any client does: the default key, its description, every secret; the recovery key by way of gpg.
    pub(crate) async fn reads(&mut self, account: &Account, world: &World, data: &Value) -> Result<(), String> {
        let id = default_key(data);
        if !self.0.iter().any(|(known, _)| *known == id) {
            self.0.push((id.clone(), account.open(world, data, &id).await?));
        }
        let key = self.0.iter().find(|(known, _)| *known == id).map(|(_, key)| key).unwrap();
        account.opens_everything(data, &id, key)?;
        let document: SecretDocument = serde_json::from_value(data[UNKNOWN].clone()).unwrap();
        let entry = document.entry(&id).ok().flatten().ok_or("the unknown document has no entry")?;
        let opened = entry.decrypt(&key.derive_keys(UNKNOWN)).map_err(|_| "the unknown document does not open")?;
        if opened.expose("to compare") != NOTE || data[UNKNOWN]["pinned"]["by"] != "somebody" {
            return Err("the unknown document is another".into());
        }
        if data[UNKNOWN]["encrypted"]["another-key"] != json!({ "in": "another form" }) {
            return Err("somebody else's entry is gone".into());
        }
        Ok(())
    }
}

/// No document has an entry for this key.
pub(crate) fn nothing_under(data: &Value, id: &KeyId) -> Result<(), String> {
    for (kind, content) in data.as_object().unwrap() {
        if content["encrypted"].get(id.as_str()).is_some() {
            return Err(format!("{kind} has an entry under the old key"));
        }
    }
    Ok(())
}

/// Starts the browser, and has another client read after each write.
async fn start(account: &Account, world: &World, reader: &mut Reader) -> Outcome {
    account.moments.replace(Some(Vec::new()));
    // What was made meanwhile is not of the future.
    account.wait(Duration::from_secs(10));
    let outcome = account.start(world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    for data in account.moments.take().unwrap() {
        reader.reads(account, world, &data).await.unwrap();
    }
    outcome
}

/// The recovery key is another one, of these recipients, and, when that is settled, the old one opens nothing.
async fn rotated(account: &Account, world: &World, before: &Value, recipients: &[&str]) {
    assert_eq!(account.record().await.keys.len(), 2, "the old key is gone before that is settled");
    settle(account, world).await;
    let data = account.data(world).await;
    assert_ne!(default_key(&data), default_key(before), "the recovery key is the same");
    Reader::default().reads(account, world, &data).await.unwrap();
    nothing_under(&data, &default_key(before)).unwrap();
    let record = account.record().await;
    assert_eq!(record.keys.len(), 1);
    let fingerprints: Vec<_> = record.keys[0].recipients.iter().map(|view| view.fingerprint.as_str()).collect();
    assert_eq!(fingerprints, recipients);
}

async fn unchanged(account: &Account, world: &World, before: &Value) {
    assert_eq!(account.data(world).await, *before);
}

/// An escrow certificate for the policy; its fingerprint too.
pub(crate) async fn escrow(world: &World, name: &str) -> (String, Value) {
    let spec = KeySpec::new(&format!("{name} <{name}@example.org>"), KeyKind::Ed25519);
    let fingerprint = world.gpg.generate(&spec).await.unwrap();
    let certificate = world.gpg.export(&fingerprint).await.unwrap();
    (fingerprint, json!({ "certificates": [certificate] }))
}

/// The certificate, revoked by its owner for this reason.
async fn revoked_for(world: &World, fingerprint: &str, reason: ReasonForRevocation) -> String {
    let secret = world.gpg.export_secret(fingerprint).await.unwrap();
    let cert = Cert::from_bytes(secret.as_bytes()).unwrap();
    let mut signer = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let revocation = cert.revoke(&mut signer, reason, b"").unwrap();
    let cert = cert.insert_packets(Packet::from(revocation)).unwrap().0;
    String::from_utf8(cert.strip_secret_key_material().armored().to_vec().unwrap()).unwrap()
}

/// What is shown is shown for a day, in a browser that is open meanwhile.
pub(crate) async fn show_for_a_day(account: &Account, world: &World) {
    account.wait(STEP);
    account.start(world, None).await.unwrap();
    account.wait(ANNOUNCED - STEP);
}

async fn log(account: &Account) -> Vec<Event> {
    let text = account.events().await;
    events::read(&text).unwrap().into_iter().map(|entry| entry.event).collect()
}

#[tokio::test]
async fn a_recipient_that_the_policy_adds_is_shown_for_24_hours_and_used_then() {
    let world = World::start().await;
    let (account, mut reader) = (set_up(&world).await, Reader::default());
    let before = account.data(&world).await;
    let (fingerprint, policy) = escrow(&world, "escrow").await;
    world.set_policy("escrow", Some(policy));

    let outcome = start(&account, &world, &mut reader).await;
    let [upcoming] = outcome.progress.rotation.upcoming.as_slice() else { panic!("nobody is shown") };
    assert_eq!(upcoming.recipient.fingerprint.as_str(), fingerprint);
    assert!(outcome.progress.calls(), "the person is not called");
    assert!(outcome.retry_at.is_some_and(|at| at <= upcoming.from), "nobody looks when it may be used");
    unchanged(&account, &world, &before).await;
    // A clock that jumps has shown nothing to anybody.
    account.wait(Duration::from_secs(365 * 86_400));
    start(&account, &world, &mut reader).await;
    unchanged(&account, &world, &before).await;
    account.wait(STEP - Duration::from_secs(120));
    start(&account, &world, &mut reader).await;
    unchanged(&account, &world, &before).await;

    account.wait(Duration::from_secs(120));
    let outcome = start(&account, &world, &mut reader).await;
    rotated(&account, &world, &before, &[&world.person, &fingerprint]).await;
    assert!(outcome.progress.rotation.upcoming.is_empty() && outcome.progress.rotation.compromised.is_none());
    assert_eq!(outcome.progress.recipients.len(), 2);
    let log = log(&account).await;
    assert!(log.iter().any(|event| matches!(event, Event::RecipientAnnounced { .. })));
    assert!(log.iter().any(|event| matches!(event, Event::Rotated { reasons, .. } if *reasons == [Reason::Added])));
    // What is in place stays in place.
    let data = account.data(&world).await;
    start(&account, &world, &mut reader).await;
    unchanged(&account, &world, &data).await;
    assert!(account.record().await.rotation.leftovers.is_empty());
}

#[tokio::test]
async fn a_recipient_that_the_policy_takes_back_before_it_is_used_never_is() {
    let world = World::start().await;
    let account = set_up(&world).await;
    let before = account.data(&world).await;
    world.set_policy("escrow", Some(escrow(&world, "escrow").await.1));
    start(&account, &world, &mut Reader::default()).await;
    world.set_policy("escrow", None);
    account.wait(ANNOUNCED);
    let outcome = start(&account, &world, &mut Reader::default()).await;
    assert!(outcome.progress.rotation.upcoming.is_empty());
    unchanged(&account, &world, &before).await;
}

#[tokio::test]
async fn an_escrow_certificate_that_is_removed_opens_nothing_from_then_on() {
    let world = World::start().await;
    world.set_policy("escrow", Some(escrow(&world, "escrow").await.1));
    let account = set_up(&world).await;
    let before = account.data(&world).await;
    world.set_policy("escrow", None);
    let outcome = start(&account, &world, &mut Reader::default()).await;
    let trace = account.trace();
    rotated(&account, &world, &before, &[&world.person]).await;
    let compromised = outcome.progress.rotation.compromised.unwrap();
    assert_eq!((compromised.recipients.len(), compromised.backup), (1, None));
    let renewed = |trace: Vec<String>| trace.iter().filter(|effect| *effect == "page renew_backup").count();
    assert_eq!(renewed(trace), 1);
    // It is said until the person has read it, and done once.
    let outcome = start(&account, &world, &mut Reader::default()).await;
    assert_eq!(renewed(account.trace()), 0);
    assert!(outcome.progress.calls());
    account.read_compromise().await;
    assert!(!start(&account, &world, &mut Reader::default()).await.progress.calls());
}

/// An account whose recovery key was replaced because somebody may hold it.
async fn compromised(world: &World) -> Account {
    world.set_policy("escrow", Some(escrow(world, "escrow").await.1));
    let account = set_up(world).await;
    world.set_policy("escrow", None);
    start(&account, world, &mut Reader::default()).await;
    settle(&account, world).await;
    account
}

fn code(outcome: &Outcome) -> Option<Code> {
    outcome.progress.problem.map(|(code, _)| code)
}

#[tokio::test]
async fn an_identity_that_the_person_resets_after_a_compromise_is_set_up_when_the_person_says_so() {
    let world = World::start().await;
    let mut account = compromised(&world).await;
    let (old, before) = (account.record().await, account.data(&world).await);
    account.read_compromise().await;
    account.begin_reset(&world).await;
    // Element waits for the password: it is left alone.
    assert_eq!(code(&account.start(&world, None).await.unwrap()), Some(Code::RecNoIdentity));
    account.finish_reset().await;

    let outcome = account.start(&world, None).await.unwrap();
    let Some(Question::Reset { master_key, .. }) = outcome.progress.question else { panic!("{:?}", code(&outcome)) };
    assert_ne!(Some(master_key), old.master_key);
    assert_eq!(account.record().await.master_key, old.master_key, "followed without a word");
    account.believe(master_key, true).await;
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    settle(&account, &world).await;
    let (record, data) = (account.record().await, account.data(&world).await);
    assert_eq!(record.master_key, Some(master_key));
    assert!(record.rotation.compromised.is_none() && record.rotation.reset.is_none());
    let id = default_key(&data);
    let key = account.open(&world, &data, &id).await.unwrap();
    account.opens_everything(&data, &id, &key).unwrap();
    let told = |event: &Event| matches!(event, Event::IdentityReset { to, .. } if *to == master_key);
    assert!(log(&account).await.iter().any(told));
    // The old recovery key does not come back.
    account.put(&world, "m.secret_storage.default_key", &before["m.secret_storage.default_key"]).await;
    assert_eq!(code(&account.start(&world, None).await.unwrap()), Some(Code::RecRollback));
}

#[tokio::test]
async fn no_other_identity_is_followed() {
    let world = World::start().await;
    for row in ["the homeserver's", "without the secrets", "the person says no", "no compromise", "another session's"] {
        let mut account = match row {
            "no compromise" => set_up(&world).await,
            _ => compromised(&world).await,
        };
        let old = account.record().await.master_key;
        if row != "the homeserver's" {
            account.begin_reset(&world).await;
        }
        account.finish_reset().await;
        match row {
            "without the secrets" => account.holds_secrets.set(false),
            "another session's" => {
                let device = DeviceId::parse("ANOTHER").unwrap();
                account.tamper(|record| record.rotation.reset.as_mut().unwrap().device_id = device.clone()).await;
            }
            "the person says no" => {
                let outcome = account.start(&world, None).await.unwrap();
                assert_eq!(code(&outcome), Some(Code::RecReset));
                let Some(Question::Reset { master_key, .. }) = outcome.progress.question else { panic!("{row}") };
                account.believe(master_key, false).await;
            }
            _ => {}
        }
        let outcome = account.start(&world, None).await.unwrap();
        assert_eq!((code(&outcome), outcome.progress.question), (Some(Code::RecIdentity), None), "{row}");
        assert_eq!(account.record().await.master_key, old, "{row}");
    }
}

#[tokio::test]
async fn what_a_person_reset_before_comes_along() {
    let world = World::start().await;
    world.set_policy("escrow", Some(escrow(&world, "escrow").await.1));
    let account = set_up(&world).await;
    let before = account.data(&world).await;
    account.put_aside(secret_name::USER_SIGNING).await;
    world.set_policy("escrow", None);
    start(&account, &world, &mut Reader::default()).await;
    settle(&account, &world).await;
    settle(&account, &world).await;
    let data = account.data(&world).await;
    let document = data["io.keystead.superseded"]["secrets"][0]["document"].clone();
    let document: SecretDocument = serde_json::from_value(document).unwrap();
    assert!(document.entry(&default_key(&before)).unwrap().is_none(), "the old key opens it still");
    let id = default_key(&data);
    let key = account.open(&world, &data, &id).await.unwrap();
    let entry = document.entry(&id).unwrap().expect("the new key has no entry");
    entry.decrypt(&key.derive_keys(secret_name::USER_SIGNING)).unwrap();
}

#[tokio::test]
async fn another_browser_of_the_person_s_gets_the_new_key_when_asked() {
    let world = World::start().await;
    let (_, policy) = escrow(&world, "escrow").await;
    world.set_policy("escrow", Some(policy));
    let account = set_up(&world).await;
    let other = restored(&account, &world).await;
    world.set_policy("escrow", None);
    start(&account, &world, &mut Reader::default()).await;
    settle(&account, &world).await;
    let data = account.data(&world).await;

    other.asked.set(false);
    other.wait(SETTLED);
    let outcome = other.start(&world, None).await.unwrap();
    assert_eq!((outcome.progress.state, code(&outcome)), (State::Foreign, Some(Code::RecReplaced)));
    assert!(!outcome.progress.calls(), "the person is called");
    other.asked.set(true);
    let outcome = other.start(&world, None).await.unwrap();
    assert!(matches!(outcome.progress.question, Some(Question::Recover { .. })), "{:?}", code(&outcome));
    let key = account.open(&world, &data, &default_key(&data)).await.unwrap();
    let outcome = other.restore(&world, Way::Given(key.to_base58())).await;
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    let outcome = other.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Complete, "{:?}", outcome.progress.problem);
    settle(&other, &world).await;
    assert_eq!(other.record().await.current().map(|key| key.id.clone()), Some(default_key(&data)));
    assert_eq!(default_key(&account.data(&world).await), default_key(&data), "the recovery key was replaced again");
}

/// The same account on another browser, which has the recovery key too.
pub(crate) async fn restored(account: &Account, world: &World) -> Account {
    let other = account.elsewhere(world).await;
    let data = account.data(world).await;
    let key = account.open(world, &data, &default_key(&data)).await.unwrap();
    let master_key = account.record().await.master_key;
    other.tamper(|record| record.master_key = master_key).await;
    let restored = other.restore(world, Way::Given(key.to_base58())).await;
    assert_eq!(restored.progress.state, State::Complete, "{:?}", restored.progress.problem);
    assert_eq!(other.start(world, None).await.unwrap().progress.state, State::Complete);
    other
}

#[tokio::test]
async fn whom_only_the_homeserver_lists_is_shown_for_24_hours_too() {
    let world = World::start().await;
    let account = set_up(&world).await;
    let other = restored(&account, &world).await;
    let before = account.data(&world).await;
    let successor = world.certify("Everybody <everybody@example.org>", None).await;
    world.publish(&revoked_for(&world, &world.person, ReasonForRevocation::KeySuperseded).await).await;
    list(&other, &successor).await;
    let outcome = start(&other, &world, &mut Reader::default()).await;
    assert_eq!(outcome.progress.rotation.upcoming.len(), 1);
    unchanged(&other, &world, &before).await;
}

/// The homeserver had listed one more recipient when this browser restored the recovery key.
async fn list(other: &Account, listed: &str) {
    let listed = Fingerprint::parse(listed).unwrap();
    other
        .tamper(|record| {
            let key = &mut record.keys[0];
            assert!(key.recipients.iter().all(|view| view.user_id.is_empty()), "they were accepted here");
            let more = RecipientView { fingerprint: listed.clone(), ..key.recipients[0].clone() };
            key.recipients.push(more);
            record.rotation.checked = None;
        })
        .await;
    other.wait(SETTLED);
}

#[tokio::test]
async fn a_certificate_that_was_replaced_gives_way_to_its_successor_after_24_hours() {
    for (reason, compromise) in [
        (ReasonForRevocation::KeySuperseded, false),
        (ReasonForRevocation::KeyRetired, false),
        (ReasonForRevocation::KeyCompromised, true),
        (ReasonForRevocation::Unspecified, true),
    ] {
        let world = World::start().await;
        let account = set_up(&world).await;
        let before = account.data(&world).await;
        world.publish(&revoked_for(&world, &world.person, reason).await).await;
        // Without a successor nothing can be done but to say so.
        let outcome = start(&account, &world, &mut Reader::default()).await;
        assert_eq!(outcome.progress.rotation.problem.map(|(code, _)| code), Some(Code::DirRevoked), "{reason}");
        unchanged(&account, &world, &before).await;

        let successor = world.certify("Everybody <everybody@example.org>", None).await;
        let outcome = start(&account, &world, &mut Reader::default()).await;
        assert_eq!(outcome.progress.rotation.upcoming.len(), 1, "{reason}");
        unchanged(&account, &world, &before).await;
        show_for_a_day(&account, &world).await;
        let outcome = start(&account, &world, &mut Reader::default()).await;
        rotated(&account, &world, &before, &[&successor]).await;
        assert_eq!(outcome.progress.rotation.compromised.is_some(), compromise, "{reason}");
        let expected = if compromise { Reason::Compromised } else { Reason::Retired };
        let told = |event: &Event| matches!(event, Event::Rotated { reasons, .. } if *reasons == [expected]);
        assert!(log(&account).await.iter().any(told), "{reason}");
    }
}

#[tokio::test]
async fn another_certificate_of_the_person_s_takes_the_place_of_the_one_before() {
    let world = World::start().await;
    let account = set_up(&world).await;
    let before = account.data(&world).await;
    let other = world.certify("Everybody <all@example.org>", None).await;
    let address = json!({ "user_id": account.user().as_str(), "address": "all@example.org" });
    world.set_policy("account", Some(address));
    start(&account, &world, &mut Reader::default()).await;
    show_for_a_day(&account, &world).await;
    start(&account, &world, &mut Reader::default()).await;
    rotated(&account, &world, &before, &[&other]).await;
    let told = |event: &Event| matches!(event, Event::Rotated { reasons, .. } if *reasons == [Reason::Replaced]);
    assert!(log(&account).await.iter().any(told));
}

#[tokio::test]
async fn a_certificate_that_expires_is_told_of_and_nothing_else() {
    let world = World::start().await;
    world.certify("Everybody <passing@example.org>", Some("7d")).await;
    let account = world.hire().await;
    let address = json!({ "user_id": account.user().as_str(), "address": "passing@example.org" });
    world.set_policy("account", Some(address));
    assert_eq!(account.start(&world, None).await.unwrap().progress.state, State::Complete);
    let before = account.data(&world).await;
    for days in [1, 8, 400] {
        account.wait(Duration::from_secs(days * 86_400));
        let outcome = account.start(&world, None).await.unwrap();
        assert_eq!((outcome.progress.state, outcome.progress.rotation.problem), (State::Complete, None), "{days}");
        assert_eq!(outcome.progress.rotation.expiring.len(), 1, "{days}");
        unchanged(&account, &world, &before).await;
    }
}

#[tokio::test]
async fn an_older_default_key_that_comes_back_is_a_rollback() {
    let world = World::start().await;
    world.set_policy("escrow", Some(escrow(&world, "escrow").await.1));
    let account = set_up(&world).await;
    let before = account.data(&world).await;
    world.set_policy("escrow", None);
    start(&account, &world, &mut Reader::default()).await;
    for (kind, content) in before.as_object().unwrap() {
        account.put(&world, kind, content).await;
    }
    let outcome = account.start(&world, None).await.unwrap();
    assert_eq!(outcome.progress.state, State::Failed);
    assert_eq!(outcome.progress.problem.map(|(code, _)| code), Some(Code::RecRollback));
    assert_eq!(default_key(&account.data(&world).await), default_key(&before));
    // Nor in the next session, although the browser has the old key still.
    let again = account.again(&world, true).await;
    assert_eq!(code(&again.restore(&world, Way::Silent).await), Some(Code::RecRollback));
}

#[tokio::test]
async fn a_directory_that_is_away_changes_nothing() {
    let world = World::start().await;
    let account = set_up(&world).await;
    let before = account.data(&world).await;
    let hkp = json!({ "hkp": ["http://127.0.0.1:9"], "certifiers": [world.certifier_certificate()] });
    world.set_policy("directory", Some(hkp));
    let outcome = start(&account, &world, &mut Reader::default()).await;
    assert_eq!(outcome.progress.rotation.problem, None);
    unchanged(&account, &world, &before).await;
}

#[tokio::test]
async fn five_secrets_take_nine_requests_and_six_when_it_is_settled() {
    let world = World::start().await;
    world.set_policy("escrow", Some(escrow(&world, "escrow").await.1));
    let account = set_up(&world).await;
    world.set_policy("escrow", None);
    account.start(&world, None).await.unwrap();
    let asked = account.asked();
    // Everything before is the run of every start; the account's documents are listed at each look.
    let from = asked.iter().position(|name| *name == "list account_data").unwrap();
    // After a compromise, which this is, the client makes another backup, and stores its key.
    let end = asked.iter().rposition(|name| name == "get default_key").unwrap();
    let rotation = &asked[from + 1..end];
    assert_eq!(rotation.len(), 9, "{rotation:#?}");
    settle(&account, &world).await;
    let asked = account.asked();
    let cleared = asked.iter().skip_while(|name| *name != "list account_data").count();
    assert_eq!(cleared, 6, "{asked:#?}");
}
