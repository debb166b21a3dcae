//! Rotation: another recovery key, where the one in force can be opened by somebody who is not to open it, or cannot be
//! opened by somebody who is.
//!
//! | step | gives | file |
//! |---|---|---|
//! | look again | who may open the sealed recovery now | `bootstrap/recipients.rs` |
//! | decide | [`Reason`]s, and who is shown as a recipient to come | `decide.rs` |
//! | make | a key *pending*, sealed to those who may open it | `bootstrap/make.rs` |
//! | beside | every secret under the new key too, read back and opened | `replace.rs`, `documents.rs` |
//! | switch | the new key is the default key, in the client's eyes as well | `bootstrap/switch.rs` |
//! | complete | the new key is the current one, the old one retired | `bootstrap/mod.rs` |
//! | clear | settled a minute later: the old key is out of the vault, and nothing has an entry under it | `clear.rs` |
//! | renew | after a compromise: another key backup | `compromise.rs` |
//! | reset | after a compromise: the new identity that the person made is set up | `reset.rs` |
//!
//! Threats: a thief of a recipient's OpenPGP key who goes on reading; a directory, or whoever has the policy's pen for an
//! hour, that adds a recipient of its own: each new one is shown to the person for 24 hours before it is used, and logged;
//! a rotation that dies half way: at every moment the default key opens everything, and the next run takes up what it finds.
//! A certificate that has only expired is no reason: the same key opens what it opened.

mod clear;
mod compromise;
mod decide;
mod documents;
mod record;
mod replace;
pub(crate) mod reset;

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{
    bootstrap::{
        self, End, Scene,
        make::{self, Made, Place},
        prove::Published,
        recipients::{self, Now},
        record::{AccountRecord, KeyStatus, VaultKey},
        switch,
    },
    error::Code,
    events::{self, Event},
    ident::{Fingerprint, KeyId},
    matrix::{base64, homeserver::Stop},
    status::{Progress, Question, RecipientView, RotationView, StepName, Upcoming},
    time::UnixMillis,
};

use decide::{Decision, Known, Rotate, decide};
use documents::Documents;

pub use compromise::read_by_person;
pub use decide::Reason;
pub use record::{ANNOUNCED, Announced, Checked, Compromised, Rotation, STEP, UnderWay};
pub use reset::{LOOK as LOOK_AFTER_RESET, ResetBegun};

/// How often it is looked who may open the sealed recovery while a session is open.
const DAILY: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon it is looked again at the next start: a browser starts the background many times an hour.
const AT_START: Duration = Duration::from_secs(60 * 60);
/// How soon it is tried again where the directory could not be asked.
const RETRY: Duration = Duration::from_secs(15 * 60);
/// How long before it expires a certificate is told of.
const EXPIRES_SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Looks whether the recovery key in force is to be replaced, and replaces it. Everything is in place and proven under it.
/// Returns when to look again.
pub(crate) async fn check(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    published: &Published,
    held: &[KeyId],
    progress: &mut Progress,
) -> Result<UnixMillis, End> {
    let now = scene.io.now();
    let Some(current) = record.current().cloned() else { return Ok(now.plus(DAILY)) };
    // The client made another backup, and was stopped: its key is stored by now.
    if record.rotation.renewed_backup(published.backup.version())
        && let Err(end) = compromise::renew_backup(scene, record, published).await
    {
        show(record, progress);
        return later(scene, progress, end);
    }
    // What was switched to a moment ago, another browser may have written over: that is seen to first, and what the person
    // asked for afterwards.
    if record.settle_at.is_some() && scene.setup.asked && record.rotation.checked.is_some() {
        record.change(scene.io, &scene.setup.origin, |record| record.rotation.checked = None).await?;
    }
    if record.settle_at.is_some() || !is_due(scene, record) {
        show(record, progress);
        return Ok(next(record, now));
    }
    let found = look_again(scene, record, &current, progress).await?;
    let own = found.own.as_ref().map(|own| match own {
        Ok(_) => Own::Found,
        Err(End::Stop(stop)) => Own::None(*stop),
        Err(End::Ask(code, question)) => Own::Asks(*code, question.clone()),
        Err(End::Leave(..) | End::Watch(..)) => Own::Found,
    });
    let expiring = expiring(&current, &found, now);
    let known = Known {
        recipients: &current.recipients,
        kept: current.kept,
        announced: &record.rotation.announced,
        revoked: &record.revoked,
    };
    let Decision { announced, waits, lacks_own, rotate } = decide(&known, found, now);
    let passes = matches!(&own, Some(Own::None(stop)) if passes(stop.code));
    let over = !passes && rotate.is_none();
    note(scene, record, &announced, expiring, over).await?;
    show(record, progress);

    match rotate {
        Some(rotate) => {
            let documents = Documents::read(scene).await?;
            let ground = Ground { published, held, documents };
            perform(scene, record, &current, rotate, ground, progress).await?;
        }
        None => {
            if !passes {
                abandon(scene, record).await?;
            }
            if let Err(end) = clear::clear(scene, record, &current, held).await {
                // Everything is in place all the same.
                return later(scene, progress, end);
            }
        }
    }
    show(record, progress);
    if let Err(end) = compromise::renew_backup(scene, record, published).await {
        // The recovery key is another one all the same.
        return later(scene, progress, end);
    }
    show(record, progress);
    match own {
        Some(Own::Asks(code, question)) if lacks_own && about_another(&current, &question) => {
            Err(End::Ask(code, question))
        }
        Some(Own::None(Stop { code, not_before })) if passes || waits => {
            if !passes {
                progress.rotation.problem = Some((code, now));
            }
            Ok(not_before.unwrap_or(now).max(now.plus(RETRY)))
        }
        _ => Ok(next(record, now)),
    }
}

/// What is left to do is said, and done at the next look.
fn later(scene: &Scene<'_>, progress: &mut Progress, end: End) -> Result<UnixMillis, End> {
    let End::Stop(Stop { code, not_before }) = end else { return Err(end) };
    let now = scene.io.now();
    progress.rotation.problem = Some((code, now));
    Ok(not_before.unwrap_or(now).max(now.plus(RETRY)))
}

/// What became of looking for the person's own certificate.
enum Own {
    Found,
    None(Stop),
    Asks(Code, Box<Question>),
}

/// Is it over, as a rule, when it is tried again? Then nothing is said of it.
fn passes(code: Code) -> bool {
    let code = code.as_str();
    code.starts_with("KS-NET-")
        || code.starts_with("KS-SGN-")
        || [Code::DirUnreachable, Code::DirTimeout].iter().any(|passing| passing.as_str() == code)
}

/// Is it time to look again? A rotation that was begun is taken up at once, and what it left behind is cleared away.
fn is_due(scene: &Scene<'_>, record: &AccountRecord) -> bool {
    let now = scene.io.now();
    let Rotation { checked, announced, leftovers, compromised, .. } = &record.rotation;
    let recently = |checked: &Checked| {
        checked.at <= now && now.since(checked.at) < AT_START && checked.policy == policy_hash(scene)
    };
    scene.setup.asked
        || !checked.as_ref().is_some_and(recently)
        || announced.iter().any(|one| one.from() <= now)
        || !leftovers.is_empty()
        || record.keys.iter().any(|key| key.status == KeyStatus::Retired)
        || record.replacement().is_some()
        || compromised.as_ref().is_some_and(|one| one.backup.is_some())
}

/// A look, now.
pub(crate) fn checked(scene: &Scene<'_>) -> Checked {
    Checked { at: scene.io.now(), policy: policy_hash(scene) }
}

fn policy_hash(scene: &Scene<'_>) -> String {
    base64::encode_unpadded(&Sha256::digest(scene.setup.policy.text()))
}

/// When to look again.
fn next(record: &AccountRecord, now: UnixMillis) -> UnixMillis {
    let used = record.rotation.announced.iter().map(Announced::from).filter(|from| *from > now);
    let soon = if record.rotation.announced.is_empty() { DAILY } else { STEP };
    used.chain([now.plus(soon)]).min().unwrap_or(now.plus(soon))
}

async fn look_again(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    current: &VaultKey,
    progress: &mut Progress,
) -> Result<Now, End> {
    // What a homeserver says of a key that was restored is its word only: those are asked about.
    let here = |view: &&RecipientView| !view.user_id.is_empty();
    let already: Vec<_> = current.recipients.iter().filter(here).map(|view| view.fingerprint.clone()).collect();
    recipients::now(scene, record, progress, &already).await
}

/// Is the question about a certificate that does not open the recovery key in force?
fn about_another(current: &VaultKey, question: &Question) -> bool {
    let opens = |fingerprint: &Fingerprint| current.recipients.iter().any(|view| view.fingerprint == *fingerprint);
    !matches!(question, Question::Confirm { fingerprint, .. } if opens(fingerprint))
}

/// Who of the recipients has a certificate that expires soon, or has expired.
fn expiring(current: &VaultKey, found: &Now, now: UnixMillis) -> Vec<(RecipientView, UnixMillis)> {
    let expires = |view: &RecipientView| {
        let certificate = found.certificates.iter().find(|one| one.fingerprint() == view.fingerprint)?;
        let at = certificate.expires(now).filter(|at| *at <= now.plus(EXPIRES_SOON))?;
        (!certificate.is_revoked()).then(|| (view.clone(), at))
    };
    current.recipients.iter().filter_map(expires).collect()
}

/// Keeps what was found, and logs who was shown for the first time.
async fn note(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    announced: &[Announced],
    expiring: Vec<(RecipientView, UnixMillis)>,
    whole: bool,
) -> Result<(), End> {
    let before = record.rotation.clone();
    let checked = checked(scene);
    let noted = |record: &mut AccountRecord| {
        record.rotation.announced = announced.to_vec();
        record.rotation.expiring.clone_from(&expiring);
        record.rotation.checked = if whole { Some(checked.clone()) } else { None };
    };
    record.change(scene.io, &scene.setup.origin, noted).await?;
    for one in announced.iter().filter(|one| !before.announced.contains(one)) {
        let event = Event::RecipientAnnounced { fingerprint: one.recipient.fingerprint.clone(), from: one.from() };
        events::note(scene.io, &scene.setup.origin, &scene.setup.user_id, event).await?;
    }
    Ok(())
}

/// What the pages show of it.
fn show(record: &AccountRecord, progress: &mut Progress) {
    let Rotation { announced, expiring, compromised, .. } = &record.rotation;
    progress.rotation = RotationView {
        upcoming: announced.iter().map(|one| Upcoming { recipient: one.recipient.clone(), from: one.from() }).collect(),
        expiring: expiring.clone(),
        compromised: compromised.clone().filter(|one| !one.read),
        problem: None,
    };
}

/// What a rotation goes on from.
struct Ground<'a> {
    published: &'a Published,
    /// What the vault holds.
    held: &'a [KeyId],
    documents: Documents,
}

/// Replaces the recovery key in force; takes up what an earlier run has begun for the same recipients.
async fn perform(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    old: &VaultKey,
    rotate: Rotate,
    ground: Ground<'_>,
    progress: &mut Progress,
) -> Result<(), End> {
    let Rotate { recipients, reasons, distrusted } = rotate;
    let Ground { published, held, documents } = ground;
    let master_key = *published.identity.master();
    let wanted = recipients.views();
    let under_way =
        UnderWay { from: old.id.clone(), reasons, distrusted, backup: published.backup.version().to_owned() };
    if record.rotation.under_way.as_ref() != Some(&under_way) {
        let begin = |record: &mut AccountRecord| record.rotation.under_way = Some(under_way.clone());
        record.change(scene.io, &scene.setup.origin, begin).await?;
    }
    let same = |made: &Made| made.key(record).is_ok_and(|key| key.recipients == wanted);
    let mut begun = Made::resume_replacement(record, held, &master_key).filter(same);
    // One that was begun for another reason goes on with the store of pins that there is.
    if under_way.reasons.iter().copied().any(Reason::is_compromise)
        && let Some(named) = begun.as_ref().and_then(|made| made.key(record).ok()?.pins.as_ref())
        && named.is_under(scene.io, &scene.setup.origin, &scene.setup.user_id, old).await?
    {
        begun = None;
    }
    let made = match begun {
        Some(made) => made,
        None => {
            scene.show(progress, StepName::Make).await;
            make::make(scene, record, master_key, Place::Of(old.id.clone()), recipients).await?
        }
    };
    scene.show(progress, StepName::Seal).await;
    let beside = replace::beside(scene, record, &made, old, published, documents).await?;
    let switched = replace::switch(scene, record, progress, &made, &beside).await?;
    let replace::Beside { safe, proven } = beside;
    let followed = switch::follow(scene, record, switched).await?;
    bootstrap::complete(scene, record, followed, safe, proven, true).await?;
    let checked = checked(scene);
    let done = |record: &mut AccountRecord| record.rotation.checked = Some(checked.clone());
    record.change(scene.io, &scene.setup.origin, done).await?;
    progress.recipients.clone_from(&made.key(record)?.recipients);
    progress.sealed_proven_at = made.key(record)?.sealed_proven_at;
    Ok(())
}

/// What was begun is not wanted any more.
async fn abandon(scene: &Scene<'_>, record: &mut AccountRecord) -> Result<(), End> {
    let Some(id) = record.replacement().map(|key| key.id.clone()) else { return Ok(()) };
    make::forget(scene, &id).await?;
    let gone = |record: &mut AccountRecord| {
        record.keys.retain(|key| key.id != id);
        record.rotation.leftovers.push(id.clone());
        record.rotation.under_way = None;
    };
    Ok(record.change(scene.io, &scene.setup.origin, gone).await?)
}
