//! Pinned peers: a room key goes only where the pinned identity of its receiver vouches (design guarantee G5).
//!
//! Threat answered: the homeserver says which devices a person has, and under which identity. It can add a device to a
//! colleague, put another identity in the place of one, take signatures away, or answer one thing to the page and another
//! to us; and a client sends the keys of a room to whatever it is told. So the first identity that is seen of a person is
//! *pinned*; what the homeserver publishes later is compared with the pin ([`Verdict`]); and at the wire a room key passes
//! only to a device that the pinned identity signed, encrypted to that device's own key ([`gate`]), until the person
//! accepts what changed ([`Decision`]).
//!
//! What is kept is one versioned record for each person ([`PeerRecord`]) and a log ([`Log`]) in one transaction; a
//! [`Book`] holds those of an account. What is published for a person byte for byte as before costs a hash.

mod answer;
mod audit;
mod body;
mod book;
mod decide;
mod device;
mod evidence;
mod gate;
mod head;
mod heard;
mod history;
mod log;
mod newcomers;
mod observe;
mod organisation;
mod record;
mod settle;
pub mod shared;
#[cfg(test)]
mod tests;
mod verdict;
mod view;

pub use self::{
    answer::{MAX_ANSWER_BYTES, Malformed, asked},
    audit::OwnDevice,
    book::{Book, ObserveError},
    decide::{DecideError, Decision, Shown},
    device::{AgreementKey, DeviceKeyPair, NotAnAgreementKey},
    evidence::{Compared, Evidence, EvidenceError, Proven, verify_evidence, verify_heads},
    gate::{Passage, SETTLES_WITHIN, Sent, gate, pass},
    head::{Head, evidence, tell_head},
    heard::Answered,
    history::DecidedView,
    log::{Entry, Log, MAX_ENTRIES, MAX_OF_ONE, What},
    observe::Contact,
    organisation::look,
    record::{Acceptance, Change, DevicePin, Offered, PeerRecord, PinnedIdentity, Standing},
    settle::settle,
    verdict::{Severity, Trust, Verdict},
    view::{Happened, HistoryLine, PersonView, ask_again, decide},
};
