//! Maps of a few entries, in the order of their keys: one sorted list.
//!
//! What a [`BTreeMap`](std::collections::BTreeMap) does for thousands of entries is 3 KB of WebAssembly for every pair of
//! types, and an extension has many small maps. Looking up is as fast; one entry more, anywhere but at the end, moves those
//! behind it. So what grows with the people of a company, or by what a server sends one after the other, is no such map.

use std::{
    cmp::Ordering,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use litemap::LiteMap;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

/// A map that is a list of its entries, sorted by their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedMap<K, V>(LiteMap<K, V>);

impl<K, V> SortedMap<K, V> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(LiteMap::new_vec())
    }

    /// The keys, in their order.
    pub fn into_keys(self) -> impl Iterator<Item = K> {
        self.0.into_iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_iter().map(|(_, value)| value)
    }

    /// The values, in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Of entries in any order; of those with the same key the last counts.
    fn of(mut entries: Vec<(K, V)>) -> Self {
        let in_order = |pair: &[(K, V)]| matches!(pair, [(one, _), (next, _)] if one.cmp(next) == Ordering::Less);
        if !entries.windows(2).all(in_order) {
            // Stable: the last of those with the same key stays the last, which is the first from behind.
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            entries.reverse();
            entries.dedup_by(|(one, _), (kept, _)| one == kept);
            entries.reverse();
        }
        Self(LiteMap::from_sorted_store_unchecked(entries))
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Deref for SortedMap<K, V> {
    type Target = LiteMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K, V> DerefMut for SortedMap<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::of(entries.into_iter().collect())
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        Self::of(entries.into())
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = <&'a LiteMap<K, V> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (&self.0).into_iter()
    }
}

impl<K: Serialize, V: Serialize> Serialize for SortedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for SortedMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = SortedMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(SortedMap::of(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_a_tree_is(entries: Vec<(u8, u16)>, more: Vec<(u8, u16)>, gone: Vec<u8>) {
            let mut tree: BTreeMap<u8, u16> = entries.iter().copied().collect();
            let mut map: SortedMap<u8, u16> = entries.into_iter().collect();
            prop_assert!(map.iter().eq(&tree));
            for (key, value) in more {
                prop_assert_eq!(map.insert(key, value), tree.insert(key, value));
            }
            for key in gone {
                prop_assert_eq!(map.remove(&key), tree.remove(&key));
            }
            let text = serde_json::to_string(&tree).unwrap();
            prop_assert_eq!(&serde_json::to_string(&map).unwrap(), &text);
            prop_assert_eq!(&serde_json::from_str::<SortedMap<u8, u16>>(&text).unwrap(), &map);
            prop_assert!(map.clone().into_keys().eq(tree.clone().into_keys()));
            prop_assert!(map.into_values().eq(tree.into_values()));
        }
    }

    #[test]
    fn of_what_stands_twice_the_last_counts() {
        let read: SortedMap<String, u8> = serde_json::from_str(r#"{"b":1,"a":2,"b":3,"a":4,"b":5}"#).unwrap();
        assert_eq!(read, SortedMap::from([("a".to_owned(), 4), ("b".to_owned(), 5)]));
    }
}
