//! What a restore goes by, read at once: what the account publishes, and its secret storage.
//!
//! A person waits for a restore, and for the client that then asks for one secret after the other. So all of it is read
//! while the client is still coming up, and what a restore has proven is what the client is given.
//!
//! Threat: what was read is not what is there any more. So it is used for a moment only; what it does not prove is read
//! anew before anything is concluded from it; and the client compares what it is given with what it reads itself.

use std::{cell::RefCell, rc::Rc, time::Duration};

use super::find::Found;
use crate::{
    bootstrap::{Scene, Setup, look, prove, recipients::own_certificate, record::AccountRecord},
    bridge::READ_WINDOW,
    effect::{HttpResponse, Io},
    error::Code,
    ident::{KeyId, UserId},
    matrix::{
        account_data,
        homeserver::{Homeserver, Stop},
    },
    openpgp::Certificate,
    recovery::{sealed, secret_name},
    time::UnixMillis,
};

/// How long what was read holds: about as long as a client takes to come up.
const HOLDS: Duration = Duration::from_secs(5);

/// The homeserver's answers.
#[derive(Debug)]
pub(crate) struct Reading {
    at: UnixMillis,
    pub(super) keys: HttpResponse,
    pub(super) backup: HttpResponse,
    pub(super) default_key: HttpResponse,
    pub(super) sealed: HttpResponse,
    /// Of the default key, where there is one.
    pub(super) description: Option<HttpResponse>,
    /// In the order of [`secret_name::ALL`].
    pub(super) secrets: Vec<HttpResponse>,
}

impl Reading {
    /// Reads it all, as far as it can be asked for at once.
    pub(super) async fn read(homeserver: &Homeserver<'_>, user: &UserId, at: UnixMillis) -> Result<Self, Stop> {
        let mut requests = prove::published_requests(user).to_vec();
        requests.extend([account_data::DEFAULT_KEY, sealed::ACCOUNT_DATA].map(|kind| account_data::get(user, kind)));
        requests.extend(prove::secret_requests(user));
        let mut responses = homeserver.send_all(requests).await?.into_iter();
        let mut next = || responses.next().ok_or(Stop { code: Code::NetAnswer, not_before: None });
        let (keys, backup, default_key, sealed) = (next()?, next()?, next()?, next()?);
        let secrets = responses.collect();
        let id = look::read_default_key(&default_key)?.and_then(|id| KeyId::parse(&id).ok());
        let description = match id {
            Some(id) => Some(homeserver.send(account_data::get(user, &account_data::key_description(&id))).await?),
            None => None,
        };
        Ok(Self { at, keys, backup, default_key, sealed, description, secrets })
    }

    /// Is it what is there?
    pub(super) fn holds(&self, now: UnixMillis) -> bool {
        holds(self.at, now)
    }

    /// The default key, what is published, and a secret's document.
    pub(crate) fn of_secret(&self, name: &str) -> Option<[&HttpResponse; 4]> {
        let at = secret_name::ALL.iter().position(|known| *known == name)?;
        Some([&self.default_key, self.secrets.get(at)?, &self.keys, &self.backup])
    }
}

/// Does what was true at this time hold?
fn holds(at: UnixMillis, now: UnixMillis) -> bool {
    at <= now && now.since(at) <= HOLDS
}

/// What was read last for a session.
#[derive(Debug, Clone, Default)]
pub struct Lately {
    reading: Rc<RefCell<Option<Rc<Reading>>>>,
    /// The certificate of the account's owner, and since when it is known.
    owner: Rc<RefCell<Option<(UnixMillis, Certificate)>>>,
}

impl Lately {
    /// It, where it still holds.
    pub(crate) fn get(&self, now: UnixMillis) -> Option<Rc<Reading>> {
        self.reading.borrow().clone().filter(|reading| reading.holds(now))
    }

    /// The same, for one use.
    pub(super) fn take(&self, now: UnixMillis) -> Option<Rc<Reading>> {
        self.reading.take().filter(|reading| reading.holds(now))
    }

    pub(super) fn keep(&self, reading: &Rc<Reading>) {
        self.reading.replace(Some(Rc::clone(reading)));
    }

    /// The certificate of the account's owner, where it was looked for a moment ago.
    pub(super) fn owner(&self, now: UnixMillis) -> Option<Certificate> {
        self.owner.take().filter(|(at, _)| holds(*at, now)).map(|(_, certificate)| certificate)
    }

    /// The client did not take what was proven: the next run reads anew.
    pub(super) fn forget(&self) {
        self.reading.take();
    }
}

/// Reads while the client is still coming up what a restore will need, where a login has begun that may lead to one.
pub async fn ahead(io: Io, setup: Setup) {
    let Ok(mut record) = AccountRecord::load(&io, &setup.origin, &setup.user_id).await else { return };
    let (now, device) = (io.now(), record.devices.get(&setup.device_id));
    let is_new = device.is_some_and(|device| device.since <= now && now.since(device.since) <= READ_WINDOW);
    if !is_new || device.is_none_or(|device| device.granted.is_some() || device.ended) {
        return;
    }
    let scene = Scene { io: &io, setup: &setup, homeserver: Homeserver::new(&io) };
    let Ok(reading) = Reading::read(&scene.homeserver, &setup.user_id, now).await else { return };
    let reading = Rc::new(reading);
    // A restore may have begun meanwhile, and have read what is newer.
    if setup.lately.get(io.now()).is_none() {
        setup.lately.keep(&reading);
    }
    // An identity that is new to this browser is believed where its owner's certificate vouches for it.
    let is_vouched = Found::of(reading, &setup.user_id).is_ok_and(|found| found.witness().is_some());
    if record.master_key.is_none()
        && is_vouched
        && let Ok(Some(certificate)) = own_certificate(&scene, &mut record).await
    {
        setup.lately.owner.replace(Some((io.now(), certificate)));
    }
}
