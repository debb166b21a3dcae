//! The answer to a keys query, as one part for each person: cut apart without being understood, so that parts that are as
//! they were cost no more than a hash.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};

use crate::{
    ident::UserId,
    matrix::{KeysQueryResponse, base64},
    signed::parse_json,
    sorted::SortedMap,
};

/// The most bytes of an answer: 5 MiB. Clients ask for 250 people at a time; that is 20 KiB for each.
pub const MAX_ANSWER_BYTES: usize = 5 << 20;

/// The most characters of a place in an answer: a homeserver writes the names in it, and they are kept.
pub(super) const MAX_PATH: usize = 200;

/// Why an answer, or a part of it, cannot be understood: where, without naming anyone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(
    /// The path within the answer; empty for the whole.
    pub String,
);

impl Malformed {
    /// The answer as a whole.
    pub(super) const fn whole() -> Self {
        Self(String::new())
    }

    /// At a place, cut to [`MAX_PATH`] characters.
    pub(super) fn at(path: &str) -> Self {
        Self(path.chars().take(MAX_PATH).collect())
    }
}

/// The people that a keys query asks for; nobody where it is none.
#[must_use]
pub fn asked(query: &str) -> BTreeSet<UserId> {
    let names =
        serde_json::from_str::<Query<'_>>(query).ok().and_then(|query| members(query.device_keys, DEVICES).ok());
    names.unwrap_or_default().iter().filter_map(|(user, _)| UserId::parse(user).ok()).collect()
}

#[derive(Deserialize)]
struct Query<'a> {
    #[serde(borrow, default)]
    device_keys: Option<&'a RawValue>,
}

/// An answer, cut into the parts of people.
pub(super) struct KeysAnswer<'a>(pub(super) BTreeMap<UserId, Part<'a>>);

/// What an answer has of one person.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part<'a> {
    devices: Option<&'a RawValue>,
    master: Option<&'a RawValue>,
    self_signing: Option<&'a RawValue>,
    user_signing: Option<&'a RawValue>,
}

pub(super) const DEVICES: &str = "device_keys";
const MASTER: &str = "master_keys";
const SELF_SIGNING: &str = "self_signing_keys";
const USER_SIGNING: &str = "user_signing_keys";

/// The fields of an answer. That no field stands twice is seen to by serde. Servers that did not answer say nothing of
/// their users, and so do we.
#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow, default)]
    device_keys: Option<&'a RawValue>,
    #[serde(borrow, default)]
    master_keys: Option<&'a RawValue>,
    #[serde(borrow, default)]
    self_signing_keys: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user_signing_keys: Option<&'a RawValue>,
}

impl<'a> KeysAnswer<'a> {
    /// Cuts an answer apart.
    pub(super) fn read(text: &'a str) -> Result<Self, Malformed> {
        // What stands for an object must be one: serde would take a list for it.
        if text.len() > MAX_ANSWER_BYTES || !text.trim_start().starts_with('{') {
            return Err(Malformed::whole());
        }
        let top: Top<'a> = serde_json::from_str(text).map_err(|_| Malformed::whole())?;
        let mut people: BTreeMap<UserId, Part<'a>> = BTreeMap::new();
        type Field<'a> = for<'p> fn(&'p mut Part<'a>) -> &'p mut Option<&'a RawValue>;
        let fields: [(&str, Option<&'a RawValue>, Field<'a>); 4] = [
            (DEVICES, top.device_keys, |part| &mut part.devices),
            (MASTER, top.master_keys, |part| &mut part.master),
            (SELF_SIGNING, top.self_signing_keys, |part| &mut part.self_signing),
            (USER_SIGNING, top.user_signing_keys, |part| &mut part.user_signing),
        ];
        for (path, of_all, field) in fields {
            for (user, value) in members(of_all, path)? {
                // A client may take any text for a user ID; a key for such a one is for nobody that has a pin.
                let Ok(user) = UserId::parse(&user) else { continue };
                *field(people.entry(user).or_default()) = Some(value);
            }
        }
        Ok(Self(people))
    }
}

impl Part<'_> {
    /// SHA-256 over the texts, each after its length.
    pub(super) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.devices, self.master, self.self_signing, self.user_signing] {
            let text = part.map_or("", RawValue::get);
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        base64::encode_unpadded(&hash.finalize())
    }

    /// Reads it as the answer for this person alone. No object in it has a key twice.
    pub(super) fn read(&self, user: &UserId) -> Result<KeysQueryResponse, Malformed> {
        let of_user = |value: Value| SortedMap::from([(user.as_str().to_owned(), value)]);
        let key = |part: Option<&RawValue>, path: &str| match part {
            Some(part) => strict(part, path).map(of_user),
            None => Ok(SortedMap::new()),
        };
        let device = |(id, device): (String, &RawValue)| {
            let device = strict(device, &format!("{DEVICES}/{id}"))?;
            Ok((id, device))
        };
        let devices = members(self.devices, DEVICES)?.into_iter().map(device).collect::<Result<_, Malformed>>()?;
        Ok(KeysQueryResponse {
            device_keys: SortedMap::from([(user.as_str().to_owned(), devices)]),
            master_keys: key(self.master, MASTER)?,
            self_signing_keys: key(self.self_signing, SELF_SIGNING)?,
            user_signing_keys: key(self.user_signing, USER_SIGNING)?,
            ..KeysQueryResponse::default()
        })
    }
}

fn strict(part: &RawValue, path: &str) -> Result<Value, Malformed> {
    parse_json(part.get().as_bytes()).map_err(|_| Malformed::at(path))
}

/// The members of an object, none of them twice; nothing where there is no object.
fn members<'a>(object: Option<&'a RawValue>, path: &str) -> Result<Vec<(String, &'a RawValue)>, Malformed> {
    let Some(object) = object else { return Ok(Vec::new()) };
    let members: Members<'a> = serde_json::from_str(object.get()).map_err(|_| Malformed(path.to_owned()))?;
    Ok(members.0)
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                members.sort_by(|(one, _), (other, _)| one.cmp(other));
                let is_twice = |pair: &[(String, _)]| matches!(pair, [(one, _), (next, _)] if one == next);
                if members.windows(2).any(is_twice) {
                    return Err(A::Error::custom("duplicate key"));
                }
                Ok(members)
            }
        }
        from.deserialize_map(Object).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_apart_or_refused_with_the_place() {
        let text = r#"{"device_keys":{"@a:b":{"D":{"x":1}},"not a user":{}},"failures":{"c":{}},"more":1}"#;
        let answer = KeysAnswer::read(text).unwrap();
        assert_eq!(answer.0.len(), 1);
        let (user, part) = answer.0.iter().next().unwrap();
        let read = part.read(user).unwrap();
        assert_eq!(read.device_keys.get("@a:b").and_then(|devices| devices.get("D")).unwrap()["x"], 1);
        for (text, path) in [
            ("", ""),
            ("[]", ""),
            (r#"{"device_keys":{},"device_keys":{}}"#, ""),
            (r#"{"device_keys":[]}"#, "device_keys"),
            (r#"{"master_keys":{"@a:b":{},"@a:b":{}}}"#, "master_keys"),
            (r#"{"self_signing_keys":{"@a:b\ud800":{}}}"#, "self_signing_keys"),
        ] {
            assert_eq!(KeysAnswer::read(text).err(), Some(Malformed(path.into())), "{text}");
        }
        let long = format!(r#"{{"more":"{}"}}"#, "x".repeat(MAX_ANSWER_BYTES));
        assert!(KeysAnswer::read(&long).is_err());
        for (text, path) in [
            (r#"{"device_keys":{"@a:b":{"D":{},"D":{}}}}"#, "device_keys"),
            (r#"{"device_keys":{"@a:b":{"D":{"keys":{"a":1,"a":2}}}}}"#, "device_keys/D"),
            (r#"{"device_keys":{"@a:b":{"D":{"user_id":"\udead"}}}}"#, "device_keys/D"),
            (r#"{"master_keys":{"@a:b":{"usage":[{"a":1,"a":1}]}}}"#, "master_keys"),
        ] {
            let answer = KeysAnswer::read(text).unwrap();
            let (user, part) = answer.0.iter().next().unwrap();
            assert_eq!(part.read(user).err(), Some(Malformed(path.into())), "{text}");
        }
    }

    #[test]
    fn those_who_were_asked_for_are_read_from_the_query() {
        let query = r#"{"timeout":10000,"device_keys":{"@a:b":[],"@c:d":["D"],"nobody":[]}}"#;
        assert_eq!(asked(query).iter().map(UserId::as_str).collect::<Vec<_>>(), ["@a:b", "@c:d"]);
        assert!(asked("[]").is_empty() && asked("").is_empty());
    }

    #[test]
    fn a_place_is_not_as_long_as_a_homeserver_likes() {
        let text = format!(r#"{{"device_keys":{{"@a:b":{{"{}":{{"a":1,"a":2}}}}}}}}"#, "\u{e9}".repeat(5000));
        let answer = KeysAnswer::read(&text).unwrap();
        let (user, part) = answer.0.iter().next().unwrap();
        assert_eq!(part.read(user).unwrap_err().0.chars().count(), MAX_PATH);
    }

    #[test]
    fn the_hash_tells_every_change_of_a_part() {
        let hash = |text: &str| KeysAnswer::read(text).unwrap().0.values().next().unwrap().hash();
        let texts = [
            r#"{"device_keys":{"@a:b":{"D":1}}}"#,
            r#"{"master_keys":{"@a:b":{"D":1}}}"#,
            r#"{"device_keys":{"@a:b":{"D":2}}}"#,
            r#"{"device_keys":{"@a:b":{"D":1}},"master_keys":{"@a:b":{}}}"#,
        ];
        let hashes: std::collections::BTreeSet<_> = texts.iter().map(|text| hash(text)).collect();
        assert_eq!(hashes.len(), texts.len());
        assert_eq!(
            hash(texts[0]),
            hash(r#"{"failures":{},"device_keys":{"@c:d":{},"@a:b":{"D":1}}}"#.replace(r#""@c:d":{},"#, "").as_str())
        );
    }
}
