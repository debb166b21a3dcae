//! Where records are kept: a port, its in-memory and its failing implementation, and the suite that all must pass.
//!
//! A record is a text under a key. A write that was answered survives the death of the process.

use std::{cell::RefCell, collections::BTreeMap};

/// The storage failed; nothing is known of the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the storage failed")]
pub struct StoreError;

impl crate::error::Coded for StoreError {
    fn code(&self) -> crate::error::Code {
        crate::error::Code::StoFailed
    }
}

/// A store of text records.
#[allow(async_fn_in_trait)]
pub trait Store {
    /// Reads a record; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`] where the storage fails.
    async fn get(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// Writes a record, durably.
    ///
    /// # Errors
    /// [`StoreError`] where the storage fails.
    async fn put(&self, key: &str, value: &str) -> Result<(), StoreError>;

    /// Reads several records at once, in their order.
    ///
    /// # Errors
    /// [`StoreError`] where the storage fails.
    async fn get_all(&self, keys: &[String]) -> Result<Vec<Option<String>>, StoreError>;

    /// Writes several records, durably, all of them or none.
    ///
    /// # Errors
    /// [`StoreError`] where the storage fails.
    async fn put_all(&self, records: &[(String, String)]) -> Result<(), StoreError>;

    /// Writes a record, durably, if what is there is still `old`; `None` means that there is none. Reading, comparing and
    /// writing are one step: of two writers that read the same, one is told `false` and has changed nothing.
    ///
    /// # Errors
    /// [`StoreError`] where the storage fails.
    async fn replace(&self, key: &str, old: Option<&str>, new: &str) -> Result<bool, StoreError>;

    /// Removes a record, durably; there need not be one.
    ///
    /// # Errors
    /// [`StoreError`] where the storage fails.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// The keys that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// [`StoreError`] where the storage fails.
    async fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
}

/// Records in memory: for the native command and for tests.
#[derive(Default)]
pub struct MemoryStore(RefCell<BTreeMap<String, String>>);

impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.0.borrow().get(key).cloned())
    }

    async fn put(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.0.borrow_mut().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn get_all(&self, keys: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        Ok(keys.iter().map(|key| self.0.borrow().get(key).cloned()).collect())
    }

    async fn put_all(&self, records: &[(String, String)]) -> Result<(), StoreError> {
        self.0.borrow_mut().extend(records.iter().cloned());
        Ok(())
    }

    async fn replace(&self, key: &str, old: Option<&str>, new: &str) -> Result<bool, StoreError> {
        let mut records = self.0.borrow_mut();
        let same = records.get(key).map(String::as_str) == old;
        if same {
            records.insert(key.to_owned(), new.to_owned());
        }
        Ok(same)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.borrow_mut().remove(key);
        Ok(())
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.0.borrow().keys().filter(|k| k.starts_with(prefix)).cloned().collect())
    }
}

/// A store that always fails.
pub struct FailingStore;

impl Store for FailingStore {
    async fn get(&self, _: &str) -> Result<Option<String>, StoreError> {
        Err(StoreError)
    }
    async fn put(&self, _: &str, _: &str) -> Result<(), StoreError> {
        Err(StoreError)
    }
    async fn get_all(&self, _: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        Err(StoreError)
    }
    async fn put_all(&self, _: &[(String, String)]) -> Result<(), StoreError> {
        Err(StoreError)
    }
    async fn replace(&self, _: &str, _: Option<&str>, _: &str) -> Result<bool, StoreError> {
        Err(StoreError)
    }
    async fn delete(&self, _: &str) -> Result<(), StoreError> {
        Err(StoreError)
    }
    async fn keys(&self, _: &str) -> Result<Vec<String>, StoreError> {
        Err(StoreError)
    }
}

/// What every [`Store`] must do; run on the in-memory one natively and on IndexedDB in both browsers.
///
/// # Errors
/// The rule that does not hold.
pub async fn conforms(store: &impl Store) -> Result<(), &'static str> {
    let fail = |_| "an operation failed";
    let check = |holds: bool, rule: &'static str| if holds { Ok(()) } else { Err(rule) };
    check(store.get("c/a").await.map_err(fail)?.is_none(), "a record that was never written is absent")?;
    store.put("c/a", "1").await.map_err(fail)?;
    store.put("c/b", "ü\0").await.map_err(fail)?;
    store.put("d", "").await.map_err(fail)?;
    check(store.get("c/a").await.map_err(fail)?.as_deref() == Some("1"), "what was written is read")?;
    check(store.get("c/b").await.map_err(fail)?.as_deref() == Some("ü\0"), "any text is kept")?;
    check(store.get("d").await.map_err(fail)?.as_deref() == Some(""), "an empty record is a record")?;
    store.put("c/a", "2").await.map_err(fail)?;
    check(store.get("c/a").await.map_err(fail)?.as_deref() == Some("2"), "a later write wins")?;
    check(!store.replace("c/a", Some("1"), "3").await.map_err(fail)?, "what was changed meanwhile is not replaced")?;
    check(!store.replace("c/a", None, "3").await.map_err(fail)?, "what is there is not taken for nothing")?;
    check(store.get("c/a").await.map_err(fail)?.as_deref() == Some("2"), "a refused replacement changes nothing")?;
    check(store.replace("c/a", Some("2"), "3").await.map_err(fail)?, "what is as it was read is replaced")?;
    check(store.get("c/a").await.map_err(fail)?.as_deref() == Some("3"), "the replacement is read")?;
    check(!store.replace("e", Some(""), "1").await.map_err(fail)?, "an absent record is not an empty one")?;
    check(store.replace("e", None, "1").await.map_err(fail)?, "where nothing is, something is put")?;
    store.delete("e").await.map_err(fail)?;
    let pairs = [("f".to_owned(), "1".to_owned()), ("g".to_owned(), "2".to_owned())];
    store.put_all(&pairs).await.map_err(fail)?;
    let read = store.get_all(&["g".into(), "e".into(), "f".into()]).await.map_err(fail)?;
    check(read == [Some("2".into()), None, Some("1".into())], "several are written and read at once, in their order")?;
    store.delete("f").await.map_err(fail)?;
    store.delete("g").await.map_err(fail)?;
    check(store.keys("c/").await.map_err(fail)? == ["c/a", "c/b"], "keys are listed by prefix, sorted")?;
    store.delete("c/a").await.map_err(fail)?;
    store.delete("c/a").await.map_err(fail)?;
    check(store.get("c/a").await.map_err(fail)?.is_none(), "what was removed is absent")?;
    store.delete("c/b").await.map_err(fail)?;
    store.delete("d").await.map_err(fail)?;
    check(store.keys("").await.map_err(fail)?.is_empty(), "nothing is left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_conforms_and_failing_does_not() {
        assert_eq!(conforms(&MemoryStore::default()).await, Ok(()));
        assert!(conforms(&FailingStore).await.is_err());
    }
}
