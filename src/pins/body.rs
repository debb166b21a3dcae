//! The body of a request that sends to devices (Client-Server API, "Send-to-Device messaging"), cut exactly: what is not
//! taken out stays byte for byte as the client wrote it.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::device::{AgreementKey, OLM};
use crate::{
    ident::{DeviceId, UserId},
    signed::parse_json,
};

/// One message to one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// To whom, by the client's word.
    pub(super) user: String,
    /// To which device.
    pub(super) device: String,
    /// The two, where they are such names.
    named: Option<(UserId, DeviceId)>,
    recipient: Option<AgreementKey>,
    content: &'a str,
}

/// A request's body.
pub(super) struct Body<'a> {
    text: &'a str,
    /// For each person the entries and where they stand.
    people: Vec<Vec<(Entry<'a>, Range<usize>)>>,
}

#[derive(Deserialize)]
struct Encrypted {
    algorithm: String,
    ciphertext: BTreeMap<String, IgnoredAny>,
}

impl<'a> Entry<'a> {
    fn new(user: &str, device: String, recipient: Option<AgreementKey>, content: &'a str) -> Self {
        let named = UserId::parse(user).ok().zip(DeviceId::parse(&device).ok());
        Self { user: user.to_owned(), device, named, recipient, content }
    }

    /// The person and the device; `None` where there can be no such.
    pub(super) const fn named(&self) -> Option<&(UserId, DeviceId)> {
        self.named.as_ref()
    }

    /// The key that the message is encrypted to; `None` where it is not encrypted to exactly one.
    pub(super) const fn recipient(&self) -> Option<&AgreementKey> {
        self.recipient.as_ref()
    }
}

/// The key that a message is encrypted to.
fn recipient(content: &str) -> Option<AgreementKey> {
    let Encrypted { algorithm, ciphertext } = serde_json::from_str(content).ok()?;
    let mut keys = ciphertext.into_keys();
    let (key, None) = (keys.next()?, keys.next()) else { return None };
    if algorithm == OLM { AgreementKey::parse(&key).ok() } else { None }
}

/// Reads the outline of a body, `{user: {device: key}}`: the key is empty where a message is not encrypted to exactly one
/// key. It says all of a body that decides whether the whole of it may go. `None` where it is none.
pub(super) fn outline(text: &str) -> Option<Vec<Entry<'_>>> {
    let Ok(Value::Object(people)) = serde_json::from_str(text) else { return None };
    let mut entries = Vec::new();
    for (user, devices) in people {
        let Value::Object(devices) = devices else { return None };
        for (device, key) in devices {
            let key = AgreementKey::parse(key.as_str()?).ok();
            entries.push(Entry::new(&user, device, key, ""));
        }
    }
    Some(entries)
}

impl<'a> Body<'a> {
    /// Reads a body; `None` where it is none, or an object in it has a key twice.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        parse_json(text.as_bytes()).ok()?;
        let top = members(text, 0)?;
        let mut people = Vec::new();
        for messages in top.iter().filter(|member| member.name == "messages") {
            for user in members(text, messages.value.start)? {
                let devices = members(text, user.value.start)?.into_iter();
                people.push(devices.map(|device| entry(text, &user.name, device)).collect());
            }
        }
        Some(Self { text, people })
    }

    /// The messages in it.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.people.iter().flatten().map(|(entry, _)| entry)
    }

    /// The body without some of its messages.
    pub(super) fn without(&self, cut: impl Fn(&Entry<'a>) -> bool) -> String {
        let mut text = String::with_capacity(self.text.len());
        let mut at = 0;
        let mut take_out = |range: Range<usize>| {
            text.push_str(self.text.get(at..range.start).unwrap_or_default());
            at = range.end;
        };
        for entries in &self.people {
            let mut kept_end: Option<usize> = None;
            for (index, (entry, range)) in entries.iter().enumerate() {
                let previous = index.checked_sub(1).and_then(|previous| entries.get(previous));
                match (cut(entry), kept_end) {
                    (false, _) => kept_end = Some(range.end),
                    // With the comma before it where something stays before it, else with the one after it.
                    (true, Some(_)) => take_out(previous.map_or(range.start, |(_, range)| range.end)..range.end),
                    (true, None) => {
                        let end = entries.get(index + 1).map_or(range.end, |(_, next)| next.start);
                        take_out(range.start..end);
                    }
                }
            }
        }
        text.push_str(self.text.get(at..).unwrap_or_default());
        text
    }
}

fn entry<'a>(text: &'a str, user: &str, device: Member) -> (Entry<'a>, Range<usize>) {
    let content = text.get(device.value.clone()).unwrap_or_default();
    let range = device.start..device.value.end;
    (Entry::new(user, device.name, recipient(content), content), range)
}

struct Member {
    name: String,
    start: usize,
    value: Range<usize>,
}

/// The members of the object that begins at or after `at`, in JSON that was found to be well-formed.
fn members(text: &str, at: usize) -> Option<Vec<Member>> {
    let bytes = text.as_bytes();
    let mut at = blank(bytes, at);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    at = blank(bytes, at + 1);
    let mut members = Vec::new();
    while bytes.get(at) == Some(&b'"') {
        let start = at;
        at = value(bytes, at)?;
        let name = serde_json::from_str(text.get(start..at)?).ok()?;
        at = blank(bytes, at);
        let begin = blank(bytes, at + 1);
        let end = value(bytes, begin)?;
        members.push(Member { name, start, value: begin..end });
        at = blank(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = blank(bytes, at + 1);
        }
    }
    Some(members)
}

fn blank(bytes: &[u8], at: usize) -> usize {
    let length = bytes.get(at..).unwrap_or_default().iter().take_while(|b| b" \t\r\n".contains(b)).count();
    at + length
}

/// The end of the value that begins at `at`.
fn value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += 1;
                while *bytes.get(at)? != b'"' {
                    at += if *bytes.get(at)? == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b':' if depth > 0 => at += 1,
            b' ' | b'\t' | b'\r' | b'\n' if depth > 0 => {
                at += 1;
                continue;
            }
            _ => {
                let plain = |b: &&u8| !b",:{}[]\" \t\r\n".contains(b);
                at += bytes.get(at..)?.iter().take_while(plain).count().max(1);
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TEXT: &str = "{ \"a\\\"}\": [1.5e3, {\"x\": \"}\\\\\"}],\n \"messages\" : {\"@a:b\": {\"D1\": {\"n\": 1}, \
                        \"D\\u0032\": {\"n\":[2,{}]} ,\"D3\":{}},\t\"@c:d\":{},\"@e:f\":{\"D1\":null}}, \"z\": true }";

    fn without(cut: &[(&str, &str)]) -> String {
        let body = Body::read(TEXT).unwrap();
        body.without(|entry| cut.contains(&(entry.user.as_str(), entry.device.as_str())))
    }

    #[test]
    fn the_messages_are_found_and_what_stays_is_as_it_was() {
        let body = Body::read(TEXT).unwrap();
        let found: Vec<_> = body.entries().map(|e| (e.user.as_str(), e.device.as_str(), e.content)).collect();
        let expected = [
            ("@a:b", "D1", "{\"n\": 1}"),
            ("@a:b", "D2", "{\"n\":[2,{}]}"),
            ("@a:b", "D3", "{}"),
            ("@e:f", "D1", "null"),
        ];
        assert_eq!(found, expected);
        assert_eq!(without(&[]), TEXT);
        assert_eq!(without(&[("@a:b", "D2")]), TEXT.replace(", \"D\\u0032\": {\"n\":[2,{}]}", ""));
        assert_eq!(without(&[("@a:b", "D1")]), TEXT.replace("\"D1\": {\"n\": 1}, ", ""));
        assert_eq!(without(&[("@a:b", "D3")]), TEXT.replace(" ,\"D3\":{}", ""));
        assert_eq!(without(&[("@e:f", "D1")]), TEXT.replace("\"D1\":null", ""));
    }

    #[test]
    fn every_choice_leaves_json_with_exactly_the_others() {
        let all = [("@a:b", "D1"), ("@a:b", "D2"), ("@a:b", "D3"), ("@e:f", "D1")];
        for choice in 0..16_u32 {
            let cut: Vec<_> = all.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1).map(|(_, e)| *e).collect();
            let mut expected: Value = serde_json::from_str(TEXT).unwrap();
            for (user, device) in &cut {
                expected["messages"][user].as_object_mut().unwrap().remove(*device);
            }
            assert_eq!(serde_json::from_str::<Value>(&without(&cut)).unwrap(), expected, "{cut:?}");
        }
    }

    #[test]
    fn a_message_is_for_exactly_one_key_or_for_nobody() {
        let key = base64_key();
        let recipient = |content: Value| {
            let text = json!({ "messages": { "@a:b": { "D": content } } }).to_string();
            Body::read(&text).unwrap().entries().next().unwrap().recipient().cloned()
        };
        let one = json!({ "algorithm": OLM, "ciphertext": { key.as_str(): { "type": 0, "body": "x" } }, "more": 1 });
        assert_eq!(recipient(one.clone()), Some(AgreementKey::parse(&key).unwrap()));
        let mut two = one.clone();
        two["ciphertext"]["other"] = json!({});
        let mut another = one;
        another["algorithm"] = "m.megolm.v1.aes-sha2".into();
        for content in [two, another, json!({ "ciphertext": {} }), json!({}), json!("x")] {
            assert_eq!(recipient(content.clone()), None, "{content}");
        }
    }

    #[test]
    fn an_outline_says_to_whom_and_under_which_key() {
        let key = base64_key();
        let text = json!({ "@a:b": { "D1": key, "D2": "" }, "nobody": { "D": key } }).to_string();
        let entries = outline(&text).unwrap();
        let key = Some(AgreementKey::parse(&key).unwrap());
        let said = |entry: &Entry<'_>| (entry.device.clone(), entry.named().is_some(), entry.recipient().cloned());
        let said: Vec<_> = entries.iter().map(said).collect();
        assert_eq!(said, [("D1".into(), true, key.clone()), ("D2".into(), true, None), ("D".into(), false, key)]);
        for text in ["", "[]", "{\"@a:b\":1}", "{\"@a:b\":{\"D\":1}}"] {
            assert!(outline(text).is_none(), "{text}");
        }
        assert_eq!(outline("{}"), Some(Vec::new()));
    }

    fn base64_key() -> String {
        crate::matrix::base64::encode_unpadded(&[7; 32])
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_body() {
        for text in ["", "[]", "{\"messages\":[]}", "{\"messages\":{\"@a:b\":1}}", "{\"messages\":{},\"messages\":{}}"]
        {
            assert!(Body::read(text).is_none(), "{text}");
        }
        assert_eq!(Body::read("{}").unwrap().entries().count(), 0);
    }
}
