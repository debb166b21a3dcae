//! The roster: whose Matrix ID goes with which address and certificate, by the organisation's word.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Body, Kind};
use crate::{
    ident::{EmailAddress, Fingerprint, UserId},
    identity::PublicKey,
    time::UnixMillis,
};

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The Matrix ID; in one roster at most once.
    pub matrix_id: UserId,
    /// The address in the person's certificate.
    pub email: EmailAddress,
    /// The person's certificate.
    pub fingerprint: Fingerprint,
    /// The person's master key, where the organisation vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_key: Option<PublicKey>,
    /// Since when `master_key` is the person's; only beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMillis>,
}

/// Why some people make no roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// A Matrix ID stands twice; the index of the second.
    #[error("the Matrix ID stands twice")]
    Twice(usize),
    /// `since` without `master_key`; the index of the person.
    #[error("since without a master key")]
    SinceAlone(usize),
}

/// The people of a deployment, sorted by Matrix ID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Roster {
    people: Vec<Person>,
}

impl Body for Roster {
    const KIND: Kind = Kind::Roster;
    const VERSION: u32 = 1;

    fn read(mut fields: Map<String, Value>) -> Result<Self, String> {
        let Some(Value::Array(items)) = fields.shift_remove("people") else { return Err("people".into()) };
        if !fields.is_empty() {
            return Err("a field that this version does not have".into());
        }
        let person = |(index, item)| serde_json::from_value(item).map_err(|_| format!("people[{index}]"));
        let people: Vec<Person> = items.into_iter().enumerate().map(person).collect::<Result<_, _>>()?;
        Self::new(people).map_err(|error| match error {
            RosterError::Twice(index) => format!("people[{index}].matrix_id"),
            RosterError::SinceAlone(index) => format!("people[{index}].since"),
        })
    }
}

impl Roster {
    /// Makes a roster of people in any order.
    ///
    /// # Errors
    /// [`RosterError`] with the index of the person in `people`.
    pub fn new(people: Vec<Person>) -> Result<Self, RosterError> {
        let mut seen = std::collections::BTreeSet::new();
        for (index, person) in people.iter().enumerate() {
            if !seen.insert(&person.matrix_id) {
                return Err(RosterError::Twice(index));
            }
            if person.since.is_some() && person.master_key.is_none() {
                return Err(RosterError::SinceAlone(index));
            }
        }
        let mut people = people;
        people.sort_by(|a, b| a.matrix_id.cmp(&b.matrix_id));
        Ok(Self { people })
    }

    /// The people, sorted by Matrix ID.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The person of a Matrix ID.
    #[must_use]
    pub fn person(&self, id: &UserId) -> Option<&Person> {
        self.people.binary_search_by(|person| person.matrix_id.cmp(id)).ok().map(|index| &self.people[index])
    }
}
