//! A year of an ordinary company, in two browsers of one person: nobody is to hear a word.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    person::Person,
    world::{Published, World},
};
use crate::{
    error::Code,
    identity::PublicKey,
    pins::{Happened, PeerRecord},
    time::UnixMillis,
};

/// What happens where nobody does anything wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ordinary {
    /// A login with a device that is confirmed when it is first seen.
    Login,
    /// A device that its owner signs a second after it appeared.
    SignedLater,
    /// A login that is given up before the device is confirmed.
    GivenUp,
    /// Another display name, of a device.
    Renamed,
    /// Somebody starts anew, and the roster names the new identity.
    Reset,
    /// A confirmed device that is not there any more.
    Vanished,
    /// The person's server does not answer, or our own.
    Unreachable,
    /// Element, and the browser with it, is started again.
    Restart,
    /// A bot logs in anew, and never confirms anything.
    Bot,
    /// The person logs in at one more browser, and the two browsers tell each other what they know.
    OtherBrowser,
}

/// What happens beside each of the logins, by turns.
const BESIDE: [Ordinary; 9] = [
    Ordinary::SignedLater,
    Ordinary::GivenUp,
    Ordinary::Renamed,
    Ordinary::Reset,
    Ordinary::Vanished,
    Ordinary::Unreachable,
    Ordinary::Restart,
    Ordinary::Bot,
    Ordinary::OtherBrowser,
];

const LOGINS: usize = 1000;
/// Each has four identities in a year, at most.
const PEOPLE: u8 = 38;
const ANN: u8 = 155;
const BOT: u8 = 154;
const PHONE: u8 = 200;

struct Company {
    /// The person's two browsers.
    browsers: [World; 2],
    people: Vec<Person>,
    ann: Person,
    bot: Person,
    /// How often each of the people started anew.
    anew: Vec<u8>,
    /// Whom the roster names with an identity, since when.
    named: BTreeMap<String, (PublicKey, UnixMillis)>,
    serial: u64,
    happened: BTreeMap<Ordinary, usize>,
}

/// The homeserver has this of somebody, and Element asks for it in both browsers.
fn tell(browsers: &mut [World; 2], person: &Person) {
    for browser in browsers {
        browser.homeserver_has(person);
        browser.observe(&person.answer());
    }
}

fn somebody(number: u8, anew: u8) -> Person {
    let mut person = Person::new(&format!("@p{number}:a"), 1 + number + PEOPLE * anew);
    person.add_device("PHONE", PHONE, true);
    // A bridge's, or a device from before there were identities.
    person.add_device("OLD", 61, false);
    person
}

impl Company {
    fn found() -> Self {
        let people: Vec<_> = (0..PEOPLE).map(|number| somebody(number, 0)).collect();
        let (mut ann, mut bot) = (Person::new("@ann:a", ANN), Person::new("@bot:a", BOT));
        ann.add_device("HERE", 62, true);
        bot.add_device("SERVICE", 63, false);
        let browsers = [(); 2].map(|()| {
            let mut browser = World::new();
            browser.pins.exempt = vec![bot.user()];
            browser.trust("signer");
            browser.prove(&ann);
            browser.is_here("HERE");
            browser.homeserver_of(&people.iter().chain([&ann, &bot]).collect::<Vec<_>>(), usize::MAX);
            assert_eq!(browser.send(&people.iter().map(|p| (p, "PHONE", PHONE)).collect::<Vec<_>>()).len(), 38);
            browser
        });
        let anew = vec![0; people.len()];
        let (named, serial, happened) = Default::default();
        Self { browsers, people, ann, bot, anew, named, serial, happened }
    }

    /// A device of somebody's gets what is sent from both browsers.
    fn is_written_to(&mut self, at: usize, device: &str, key: u8) {
        let user = self.people[at].user();
        for browser in &mut self.browsers {
            assert!(browser.gets(user.as_str(), device, key), "{user:?} {device}");
        }
    }

    fn happens(&mut self, what: Ordinary, number: usize) {
        *self.happened.entry(what).or_default() += 1;
        let (at, id) = (number % usize::from(PEOPLE), format!("{what:?}{number}"));
        let keys = u8::try_from(number % 50).unwrap() + 80;
        match what {
            Ordinary::Login => {
                self.people[at].add_device(&id, keys, true);
                tell(&mut self.browsers, &self.people[at]);
                self.is_written_to(at, &id, keys);
                // As long as nobody has hundreds of them.
                if !number.is_multiple_of(10) {
                    self.people[at].remove_device(&id);
                }
            }
            Ordinary::SignedLater => {
                self.people[at].add_device(&id, keys, false);
                tell(&mut self.browsers, &self.people[at]);
                self.browsers.iter_mut().for_each(World::look_once);
                self.people[at].add_device(&id, keys, true);
                self.browsers.iter_mut().for_each(|browser| browser.homeserver_has(&self.people[at]));
                self.is_written_to(at, &id, keys);
                self.people[at].remove_device(&id);
            }
            Ordinary::GivenUp => {
                self.people[at].add_device(&id, keys, false);
                tell(&mut self.browsers, &self.people[at]);
                self.people[at].remove_device(&id);
                tell(&mut self.browsers, &self.people[at]);
            }
            Ordinary::Renamed => {
                self.people[at].rename_device("PHONE");
                tell(&mut self.browsers, &self.people[at]);
                self.is_written_to(at, "PHONE", PHONE);
            }
            Ordinary::Reset => self.starts_anew(at),
            Ordinary::Vanished => {
                self.people[at].add_device(&id, keys, true);
                tell(&mut self.browsers, &self.people[at]);
                self.people[at].remove_device(&id);
                tell(&mut self.browsers, &self.people[at]);
                self.is_written_to(at, "PHONE", PHONE);
            }
            Ordinary::Unreachable => {
                // A device appears, and is signed, while nobody can be asked.
                self.people[at].add_device(&id, keys, false);
                tell(&mut self.browsers, &self.people[at]);
                for browser in &mut self.browsers {
                    browser.observe(&json!({ "device_keys": {}, "failures": { "a": {} } }));
                    browser.is_away(true);
                    browser.settles_or_not();
                }
                self.is_written_to(at, "PHONE", PHONE);
                self.people[at].add_device(&id, keys, true);
                for browser in &mut self.browsers {
                    browser.is_away(false);
                }
                tell(&mut self.browsers, &self.people[at]);
                self.is_written_to(at, &id, keys);
                self.people[at].remove_device(&id);
            }
            Ordinary::Restart => {
                for browser in &mut self.browsers {
                    browser.reopen();
                    browser.trust("signer");
                    browser.is_here("HERE");
                    browser.look();
                }
                self.is_written_to(at, "PHONE", PHONE);
            }
            Ordinary::Bot => {
                self.bot.add_device(&id, keys, false);
                tell(&mut self.browsers, &self.bot);
                for browser in &mut self.browsers {
                    assert!(browser.gets("@bot:a", &id, keys), "a bot");
                }
                self.bot.remove_device(&id);
            }
            Ordinary::OtherBrowser => {
                self.ann.add_device(&id, keys, true);
                tell(&mut self.browsers, &self.ann);
                let known = |browser: &World| -> Vec<_> {
                    browser.book().records.values().map(PeerRecord::shared).filter(|pin| !pin.is_empty()).collect()
                };
                let [here, there] = &mut self.browsers;
                known(here).iter().for_each(|pin| there.hears(pin));
                known(there).iter().for_each(|pin| here.hears(pin));
                for browser in &mut self.browsers {
                    assert!(browser.gets("@ann:a", &id, keys), "the other browser");
                }
                self.ann.remove_device(&id);
            }
        }
    }

    /// IT names somebody's new identity, and then it is seen; first by one of the browsers, and by turns.
    fn starts_anew(&mut self, at: usize) {
        let number = u8::try_from(at).unwrap();
        self.anew[at] += 1;
        self.people[at] = somebody(number, self.anew[at]);
        self.serial += 1;
        let now = self.browsers.iter().map(World::now).max().unwrap();
        self.named.insert(format!("@p{at}:a"), (*self.people[at].master(), now));
        let people: Vec<_> =
            self.named.iter().map(|(user, (master, since))| (user.as_str(), Some(master), Some(*since))).collect();
        for browser in &mut self.browsers {
            browser.publish(&Published { serial: self.serial, people: &people, ..Published::default() });
        }
        tell(&mut self.browsers, &self.people[at]);
        self.is_written_to(at, "PHONE", PHONE);
        let user = self.people[at].user();
        for browser in &self.browsers {
            let history: Vec<_> =
                browser.book().history(&user).iter().map(|entry| Happened::from(&entry.what)).collect();
            let resets = [Happened::Seen(Code::PinReset), Happened::ResetElsewhere];
            assert!(resets.iter().any(|reset| history.contains(reset)), "no reset in {history:?}");
        }
    }
}

#[test]
fn a_thousand_ordinary_logins_and_what_happens_beside_them_are_no_reason_to_say_anything() {
    let mut company = Company::found();
    for login in 0..LOGINS {
        for what in [Ordinary::Login, BESIDE[login % BESIDE.len()]] {
            company.browsers.iter_mut().for_each(World::later);
            company.happens(what, login);
            company.browsers.iter_mut().for_each(World::settle);
            for browser in &company.browsers {
                assert!(browser.people().is_empty(), "{what:?} {login}: {:?}", browser.people());
            }
        }
    }
    assert_eq!(company.happened.remove(&Ordinary::Login), Some(LOGINS));
    assert_eq!(company.happened.len(), BESIDE.len());
    assert!(company.happened.values().all(|times| *times >= LOGINS / BESIDE.len()), "{:?}", company.happened);
    let discarded = company.browsers.iter().map(World::discarded).sum::<usize>();
    assert_eq!(discarded, 0, "room keys had to be made anew");
}
