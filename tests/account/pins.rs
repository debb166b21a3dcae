//! Pins that a person's browsers share, on a real homeserver: from the first set-up over a new browser and a rotation to a
//! homeserver that hides them.

use std::{collections::BTreeMap, time::Duration};

use keystead_core::{
    bootstrap::record::AccountRecord,
    bridge::Answer,
    error::{Code, Coded},
    ident::{Origin, UserId},
    identity::PublicKey,
    pins::{
        self, Book, Happened, PeerRecord,
        shared::{self, HEAD, KEY, NamedStore, Shared, Trouble},
    },
    policy::Pins,
    recovery::SecretDocument,
    restore::Way,
    secret::SecretText,
    status::State,
};
use serde_json::{Value, json};

use crate::{
    account::Account,
    rotate::{default_key, escrow, set_up, show_for_a_day},
    world::{Fault, World},
};

fn origin() -> Origin {
    Origin::parse("http://localhost:8080").unwrap()
}

/// The pins of a browser.
struct Pinned<'a> {
    account: &'a Account,
    book: Book,
    pins: Pins,
}

impl<'a> Pinned<'a> {
    async fn open(account: &'a Account) -> Self {
        let origin = origin();
        let book = account.drive(|io| async move { Book::open(&io, &origin, account.user()).await });
        Self { account, book: book.await.unwrap().unwrap(), pins: Pins::default() }
    }

    /// The homeserver is asked for somebody's keys.
    async fn asks_for(&mut self, peer: &UserId) {
        let (book, pins, people) = (&mut self.book, &self.pins, std::iter::once(peer.clone()).collect());
        let asked = self.account.drive(|io| async move { pins::ask_again(&io, book, pins, &people).await });
        asked.await.unwrap().unwrap();
    }

    async fn shares(&mut self) -> Option<Shared> {
        let (account, book, pins) = (self.account, &mut self.book, &self.pins);
        let shared = account.drive(|io| async move {
            let Some(read) = shared::read(io.clone(), &origin(), account.user(), pins).await? else { return Ok(None) };
            let merged = book.share(&io, pins, read).await?;
            shared::write(io, merged).await.map(Some)
        });
        shared.await.unwrap().map_err(|stop: keystead_core::matrix::homeserver::Stop| stop.code).unwrap()
    }

    async fn trouble(&self) -> Option<Trouble> {
        let origin = origin();
        let trouble = self.account.drive(|io| shared::trouble(io, &origin, self.account.user()));
        trouble.await.unwrap().unwrap().map(|(trouble, _)| trouble)
    }

    fn history(&self, peer: &UserId) -> Vec<Happened> {
        self.book.history(peer).iter().map(|entry| Happened::from(&entry.what)).collect()
    }

    async fn pinned(&self, peer: &UserId) -> Option<PublicKey> {
        let key = PeerRecord::store_key(&origin(), self.account.user(), peer);
        let text = self.account.stored(&key).await?;
        PeerRecord::parse(&text).unwrap().identity.map(|pinned| pinned.master)
    }
}

/// The same account on a browser that has never seen it, opened with the sealed recovery.
async fn with_sealed_recovery(account: &Account, world: &World) -> Account {
    let other = account.elsewhere(world).await;
    let data = account.data(world).await;
    let id = default_key(&data);
    let message = data["io.keystead.recovery"]["keys"][id.as_str()]["message"].as_str().unwrap().to_owned();
    let text = String::from_utf8(world.gpg.decrypt(&message).await.unwrap()).unwrap();
    let master_key = account.record().await.master_key;
    other.tamper(|record| record.master_key = master_key).await;
    let restored = other.restore(world, Way::Given(SecretText::new(text))).await;
    assert_eq!(restored.progress.state, State::Complete, "{:?}", restored.progress.problem);
    assert_eq!(other.start(world, None).await.unwrap().progress.state, State::Complete);
    other
}

fn parts(data: &Value) -> Vec<(&String, &Value)> {
    let all = data.as_object().unwrap().iter().collect::<BTreeMap<_, _>>();
    all.into_iter().filter(|(kind, _)| kind.starts_with(HEAD)).collect()
}

#[tokio::test]
async fn a_new_browser_begins_with_the_pins_of_the_old_one() {
    let world = World::start().await;
    world.set_policy("pins", Some(json!({})));
    let (ann, bob) = (set_up(&world).await, world.hire().await);
    let bob = bob.user().clone();
    let mut here = Pinned::open(&ann).await;
    here.asks_for(&bob).await;
    assert_eq!(here.shares().await, Some(Shared::Same));
    let data = ann.data(&world).await;
    let documents = parts(&data);
    assert_eq!(documents.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), [HEAD, &format!("{HEAD}.0"), KEY]);
    for (kind, content) in documents {
        let text = content.to_string();
        assert!(text.len() < 50_000 && !text.contains(bob.as_str()), "{kind}");
    }

    let elsewhere = with_sealed_recovery(&ann, &world).await;
    let mut there = Pinned::open(&elsewhere).await;
    assert_eq!(there.shares().await, Some(Shared::Same));
    assert_eq!(there.pinned(&bob).await, here.pinned(&bob).await);
    assert!(there.pinned(&bob).await.is_some());
    assert_eq!(there.history(&bob), [Happened::SeenElsewhere]);
    there.asks_for(&bob).await;
    assert!(there.book.people(&there.pins).is_empty(), "nothing is to be said");
    assert_eq!((here.trouble().await, there.trouble().await), (None, None));
}

#[tokio::test]
async fn a_rotation_takes_the_store_along() {
    let world = World::start().await;
    world.set_policy("pins", Some(json!({})));
    let (ann, bob) = (set_up(&world).await, world.hire().await);
    let bob = bob.user().clone();
    let mut here = Pinned::open(&ann).await;
    here.asks_for(&bob).await;
    here.shares().await;
    let before = ann.data(&world).await;

    world.set_policy("escrow", Some(escrow(&world, "escrow").await.1));
    // What was made meanwhile is not of the future.
    ann.wait(Duration::from_secs(10));
    ann.start(&world, None).await.unwrap();
    show_for_a_day(&ann, &world).await;
    assert_eq!(ann.start(&world, None).await.unwrap().progress.state, State::Complete);
    ann.wait(crate::rotate::SETTLED);
    assert_eq!(ann.start(&world, None).await.unwrap().progress.state, State::Complete);
    let data = ann.data(&world).await;
    assert_ne!(default_key(&data), default_key(&before), "the recovery key was not replaced");
    assert!(data[KEY]["encrypted"].get(default_key(&data).as_str()).is_some(), "the store's key stayed behind");

    assert_eq!(here.shares().await, Some(Shared::Same));
    assert_eq!(ann.data(&world).await[HEAD], before[HEAD], "nothing had to be written");
    let elsewhere = with_sealed_recovery(&ann, &world).await;
    let mut there = Pinned::open(&elsewhere).await;
    there.shares().await;
    assert_eq!(there.pinned(&bob).await, here.pinned(&bob).await);
    assert_eq!((here.trouble().await, there.trouble().await), (None, None));
}

/// The key of the store, as the recovery key in force opens it.
async fn store_key(account: &Account, world: &World) -> String {
    let data = account.data(world).await;
    let id = default_key(&data);
    let key = account.open(world, &data, &id).await.unwrap();
    let document: SecretDocument = serde_json::from_value(data[KEY].clone()).unwrap();
    let entry = document.entry(&id).unwrap().expect("no entry under the recovery key in force");
    entry.decrypt(&key.derive_keys(KEY)).unwrap().expose("to compare").to_owned()
}

/// Ann, whose recovery key is sealed to an escrow certificate as well, under a policy that pins; and Bob.
async fn with_escrow(world: &World) -> (Account, Account) {
    world.set_policy("pins", Some(json!({})));
    world.set_policy("escrow", Some(escrow(world, "escrow").await.1));
    (set_up(world).await, world.hire().await)
}

#[tokio::test]
async fn after_a_compromise_the_key_of_the_store_stays_behind() {
    let world = World::start().await;
    let (ann, bob) = with_escrow(&world).await;
    let mut here = Pinned::open(&ann).await;
    here.asks_for(bob.user()).await;
    here.shares().await;
    let (before, old) = (ann.data(&world).await, store_key(&ann, &world).await);
    world.set_policy("escrow", None);
    ann.wait(Duration::from_secs(10));
    for _ in 0..3 {
        assert_eq!(ann.start(&world, None).await.unwrap().progress.state, State::Complete);
        assert_ne!(store_key(&ann, &world).await, old);
        ann.wait(crate::rotate::SETTLED);
    }
    assert_ne!(default_key(&ann.data(&world).await), default_key(&before), "the recovery key was not replaced");
    let elsewhere = with_sealed_recovery(&ann, &world).await;
    let mut there = Pinned::open(&elsewhere).await;
    here.shares().await;
    there.shares().await;
    assert_eq!((here.trouble().await, there.trouble().await), (None, None));
    assert!(there.pinned(bob.user()).await.is_some());
}

#[tokio::test]
async fn a_rotation_that_turns_out_to_be_after_a_compromise_begins_anew() {
    let world = World::start().await;
    let (ann, bob) = with_escrow(&world).await;
    let mut here = Pinned::open(&ann).await;
    here.asks_for(bob.user()).await;
    here.shares().await;
    let old = store_key(&ann, &world).await;
    world.set_policy("escrow", None);
    ann.wait(Duration::from_secs(10));
    let begun = |record: &AccountRecord| record.keys.iter().any(|key| key.replaces.is_some());
    let mut at = 0;
    while !begun(&ann.record().await) {
        ann.start(&world, Some(Fault::DiesBefore(at))).await;
        at += 1;
    }
    // As where it was begun for another reason.
    ann.tamper(|record| {
        let pins = record.keys[0].pins.clone().unwrap();
        assert_ne!(record.keys[1].pins.as_ref().unwrap().id, pins.id);
        record.keys[1].pins = Some(NamedStore::known(pins.id));
    })
    .await;
    assert_eq!(ann.start(&world, None).await.unwrap().progress.state, State::Complete);
    assert_ne!(store_key(&ann, &world).await, old);
}

#[tokio::test]
async fn a_store_whose_key_is_hidden_during_a_rotation_is_not_lost() {
    let world = World::start().await;
    world.set_policy("pins", Some(json!({})));
    let (ann, bob) = (set_up(&world).await, world.hire().await);
    let mut here = Pinned::open(&ann).await;
    here.asks_for(bob.user()).await;
    here.shares().await;
    let old = store_key(&ann, &world).await;
    world.set_policy("escrow", Some(escrow(&world, "escrow").await.1));
    ann.wait(Duration::from_secs(10));
    ann.start(&world, None).await.unwrap();
    show_for_a_day(&ann, &world).await;
    ann.put(&world, KEY, &json!({})).await;
    let before = ann.data(&world).await;
    assert_eq!(ann.start(&world, None).await.unwrap().progress.state, State::Complete);
    assert_ne!(default_key(&ann.data(&world).await), default_key(&before), "the recovery key was not replaced");
    assert_eq!(store_key(&ann, &world).await, old);
    assert_eq!((here.shares().await, here.trouble().await), (Some(Shared::Same), None));
}

#[tokio::test]
async fn a_page_has_nothing_to_do_with_the_key_of_the_store() {
    let world = World::start().await;
    world.set_policy("pins", Some(json!({})));
    let ann = set_up(&world).await;
    let mut here = Pinned::open(&ann).await;
    here.shares().await;
    let before = ann.data(&world).await;
    for asked in ann.page_asks_for(KEY).await {
        assert!(matches!(asked, Answer::Refused(Code::RecBridge)));
    }
    assert_eq!(ann.data(&world).await, before);
}

#[tokio::test]
async fn a_homeserver_that_hides_or_puts_back_the_store_is_told_of() {
    let world = World::start().await;
    world.set_policy("pins", Some(json!({})));
    let (ann, bob, carol) = (set_up(&world).await, world.hire().await, world.hire().await);
    let mut here = Pinned::open(&ann).await;
    here.asks_for(bob.user()).await;
    here.shares().await;
    let old = ann.data(&world).await;
    here.asks_for(carol.user()).await;
    here.shares().await;

    for (kind, content) in parts(&old) {
        ann.put(&world, kind, content).await;
    }
    here.shares().await;
    assert_eq!(here.trouble().await, Some(Trouble::Older));
    assert_eq!(Trouble::Older.code(), Code::PinShared);
    assert!(ann.events().await.contains("shared_pins_lost"), "the log knows");
    assert_ne!(ann.data(&world).await[HEAD], old[HEAD], "it was written again");

    let elsewhere = with_sealed_recovery(&ann, &world).await;
    let data = ann.data(&world).await;
    for (kind, _) in parts(&data) {
        ann.put(&world, kind, &json!({})).await;
    }
    let mut there = Pinned::open(&elsewhere).await;
    there.shares().await;
    assert_eq!(there.trouble().await, Some(Trouble::Gone), "the sealed recovery names it");
    here.shares().await;
    there.shares().await;
    assert!(there.pinned(bob.user()).await.is_some() && there.pinned(carol.user()).await.is_some(), "nothing is lost");
}
