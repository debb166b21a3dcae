//! Another client, which is not Keystead, gives the account a new recovery key while Keystead sets up, looks, restores or
//! adopts: matrix-js-sdk's `bootstrapSecretStorage` with a new key, which first makes it the default key and then puts each
//! secret's document anew. Whatever the order, each secret opens with a key that somebody keeps at every moment, one key
//! opens everything in the end, nobody fights over the default key, and nobody is asked twice.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use keystead_core::{
    bootstrap::Outcome,
    ident::KeyId,
    recovery::{RecoveryKey, sealed, sealed::SealedNames},
    restore::Way,
    secret::SecretText,
    status::State,
};
use serde_json::Value;

use crate::{account::Account, crash::every, rotate::SETTLED, turns::Turns, world::World};

const THEIRS: &str = "changed-by-another-client";
const OWN: &str = "made-by-another-client";
/// How many more starts Keystead has.
const STARTS: usize = 4;
/// Key description, default key, four secrets.
const WRITES: usize = 6;

/// What Keystead is doing meanwhile.
#[derive(Clone, Copy, Debug)]
enum Doing {
    SetUp,
    Look,
    Restore,
    Adopt,
}

/// Everybody's recovery keys: of those that sealed recoveries hold, what gpg takes from them.
struct Kept<'w> {
    world: &'w World,
    others: RefCell<Vec<(KeyId, RecoveryKey)>>,
    sealed: RefCell<BTreeMap<String, (KeyId, RecoveryKey)>>,
}

impl Kept<'_> {
    async fn look(&self, data: &Value) {
        let entries = data[sealed::ACCOUNT_DATA]["keys"].as_object().cloned().unwrap_or_default();
        for message in entries.values().filter_map(|entry| entry["message"].as_str()) {
            if !self.sealed.borrow().contains_key(message) {
                let text = String::from_utf8(self.world.gpg.decrypt(message).await.unwrap()).unwrap();
                let (names, key) = SealedNames::parse(&SecretText::new(text)).unwrap();
                self.sealed.borrow_mut().insert(message.to_owned(), (names.key_id, key));
            }
        }
    }

    /// Each secret that is stored opens with one of them.
    async fn open_each(&self, account: &Account) -> Result<(), String> {
        let data = account.data(self.world).await;
        self.look(&data).await;
        let (others, sealed) = (self.others.borrow(), self.sealed.borrow());
        account.each_opens(&data, others.iter().chain(sealed.values()))
    }

    /// The default key opens everything. Answers its id.
    async fn open_everything(&self, account: &Account) -> Result<String, String> {
        let data = account.data(self.world).await;
        self.look(&data).await;
        let id = data["m.secret_storage.default_key"]["key"].as_str().ok_or("no default key")?.to_owned();
        let (others, sealed) = (self.others.borrow(), self.sealed.borrow());
        let mut all = others.iter().chain(sealed.values());
        let (id, key) = all.find(|(known, _)| known.as_str() == id).ok_or("nobody keeps the default key")?;
        account.opens_everything(&data, id, key)?;
        Ok(id.as_str().to_owned())
    }
}

fn said(outcome: &Outcome) -> String {
    format!("{:?}", (outcome.progress.state, outcome.progress.problem.map(|(code, _)| code)))
}

/// Answers how often Keystead turned to the homeserver.
async fn row(world: &World, doing: Doing, runs: &[usize]) -> Result<usize, String> {
    let first = world.hire().await;
    let kept = Kept { world, others: RefCell::default(), sealed: RefCell::default() };
    if matches!(doing, Doing::Adopt) {
        let own = first.store_own(world, OWN).await;
        kept.others.borrow_mut().push((KeyId::parse(OWN).unwrap(), own));
    }
    if matches!(doing, Doing::Look | Doing::Restore) {
        assert_eq!(first.start(world, None).await.unwrap().progress.state, State::Complete);
    }
    let new;
    let browser = if matches!(doing, Doing::Restore) {
        new = first.elsewhere(world).await;
        new.holds_secrets.set(false);
        new.log_in(None).await;
        new.believe(first.record().await.master_key.unwrap(), true).await;
        &new
    } else {
        &first
    };
    kept.look(&first.data(world).await).await;
    let given = kept.sealed.borrow().values().next().map(|(_, key)| key.to_base58());

    let turns = Rc::new(Turns::new(runs));
    let keystead = async {
        browser.sit_down(&turns, 0);
        let outcome = match given {
            Some(key) if matches!(doing, Doing::Restore) => {
                browser.restore_and_start(world, Way::Given(key), None).await
            }
            _ => browser.start(world, None).await,
        };
        browser.stand_up();
        outcome.expect("nothing stops it")
    };
    let key = RecoveryKey::make_random().unwrap();
    let theirs = KeyId::parse(THEIRS).unwrap();
    let same = RecoveryKey::parse(key.to_base58().expose("the other client has it as well")).unwrap();
    kept.others.borrow_mut().push((theirs.clone(), same));
    let another = async {
        let mut opened = Ok(());
        for write in 0..WRITES {
            turns.take(1).await;
            first.change_recovery_key(world, &theirs, &key, write).await;
            opened =
                opened.and(kept.open_each(&first).await.map_err(|why| format!("after their write {write}: {why}")));
            turns.give(1);
        }
        turns.leave(1);
        opened
    };
    let (mut outcome, opened) = tokio::join!(keystead, another);
    opened?;
    let rounds = browser.trace().iter().filter(|effect| effect.starts_with("http")).count();
    kept.open_each(&first).await?;

    let mut questions = usize::from(outcome.progress.question.is_some());
    let mut default_key = None;
    for start in 0..STARTS {
        browser.wait(SETTLED);
        let lacking = !browser.holds_secrets.get();
        outcome = if lacking {
            browser.restore_and_start(world, Way::Silent, None).await.unwrap()
        } else {
            browser.start(world, None).await.unwrap()
        };
        if outcome.progress.question.is_some() && !lacking {
            return Err(format!("it asks: {}", said(&outcome)));
        }
        questions = questions.max(usize::from(outcome.progress.question.is_some()));
        kept.open_each(&first).await.map_err(|why| format!("start {start}: {why}"))?;
        let now = first.data(world).await["m.secret_storage.default_key"]["key"].take();
        if start > 1 && default_key.as_ref() != Some(&now) {
            return Err(format!("the default key goes on changing, at start {start}"));
        }
        default_key = Some(now);
    }
    kept.open_everything(&first).await.map_err(|why| format!("in the end: {why}: {}", said(&outcome)))?;
    if !first.has_its_identity(world).await {
        return Err("the identity was replaced".into());
    }
    Ok(rounds)
}

async fn every_order(doing: Doing) {
    let world = World::start().await;
    let rounds = row(&world, doing, &[usize::MAX]).await.unwrap();
    let (mut rows, mut failed) = (0, Vec::new());
    for first in 0..=rounds {
        // All at once, and as many writes as come to this place.
        for (way, second) in [WRITES, 1 + first % (WRITES - 1)].into_iter().enumerate() {
            if !every() && !(first + way).is_multiple_of(3) {
                continue;
            }
            rows += 1;
            if let Err(why) = row(&world, doing, &[first, second, usize::MAX]).await {
                failed.push(format!("{doing:?}, [{first}, {second}]: {why}"));
            }
        }
    }
    println!("{doing:?}: {rows} rows, {} passed", rows - failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn another_client_changes_the_recovery_key_during_a_first_set_up() {
    every_order(Doing::SetUp).await;
}

#[tokio::test]
async fn another_client_changes_the_recovery_key_of_an_account_in_our_care() {
    every_order(Doing::Look).await;
}

#[tokio::test]
async fn another_client_changes_the_recovery_key_during_a_restore() {
    every_order(Doing::Restore).await;
}

#[tokio::test]
async fn another_client_changes_the_recovery_key_during_an_adoption() {
    every_order(Doing::Adopt).await;
}
