//! IndexedDB of the extension's own origin: the records, and the vault's wrapping keys.
//!
//! Every write asks for `durability: "strict"`: it is answered when it is on the disk, so that what a run has written is
//! there after a crash of the browser or of the machine.

use js_sys::{Array, Function, Object, Promise, Reflect};
use keystead_core::store::{Store, StoreError};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbDatabase, IdbFactory, IdbObjectStore, IdbRequest, IdbTransaction};

const NAME: &str = "keystead";
const VERSION: u32 = 1;
/// Text records, by key.
pub(crate) const RECORDS: &str = "records";
/// Non-extractable wrapping keys (`CryptoKey`), by deployment, user and key id.
pub(crate) const WRAPPING_KEYS: &str = "wrapping_keys";

/// An open database.
#[derive(Clone)]
pub(crate) struct Database(IdbDatabase);

impl Database {
    /// Opens it, and makes it where there is none.
    pub(crate) async fn open() -> Result<Self, JsValue> {
        let factory: IdbFactory = Reflect::get(&js_sys::global(), &"indexedDB".into())?.dyn_into()?;
        let opening = factory.open_with_u32(NAME, VERSION)?;
        let upgrade = Closure::once_into_js({
            let opening = opening.clone();
            move || {
                let Ok(database) = opening.result().and_then(|r| r.dyn_into::<IdbDatabase>()) else { return };
                for store in [RECORDS, WRAPPING_KEYS] {
                    let _ = database.create_object_store(store);
                }
            }
        });
        opening.set_onupgradeneeded(Some(upgrade.unchecked_ref()));
        let database: IdbDatabase = answer(&opening).await?.dyn_into()?;
        Ok(Self(database))
    }

    /// Reads one value; `undefined` where there is none.
    pub(crate) async fn read(&self, store: &str, key: &str) -> Result<JsValue, JsValue> {
        let transaction = self.0.transaction_with_str(store)?;
        answer(&transaction.object_store(store)?.get(&key.into())?).await
    }

    /// All keys of a store, sorted.
    pub(crate) async fn keys(&self, store: &str) -> Result<Vec<String>, JsValue> {
        let transaction = self.0.transaction_with_str(store)?;
        let keys: Array = answer(&transaction.object_store(store)?.get_all_keys()?).await?.dyn_into()?;
        Ok(keys.iter().filter_map(|k| k.as_string()).collect())
    }

    /// Writes, or with `None` removes, one value; answered when it is on the disk.
    pub(crate) async fn write(&self, store: &str, key: &str, value: Option<&JsValue>) -> Result<(), JsValue> {
        let (transaction, objects) = self.begin(store)?;
        match value {
            Some(value) => objects.put_with_key(value, &key.into())?,
            None => objects.delete(&key.into())?,
        };
        completion(&transaction).await
    }

    /// Writes a value where there is none yet, in one transaction; returns the one that is there then.
    pub(crate) async fn write_first(&self, store: &str, key: &str, value: &JsValue) -> Result<JsValue, JsValue> {
        let (transaction, objects) = self.begin(store)?;
        let known = answer(&objects.get(&key.into())?).await?;
        if known.is_undefined() {
            objects.put_with_key(value, &key.into())?;
        }
        completion(&transaction).await?;
        Ok(if known.is_undefined() { value.clone() } else { known })
    }

    /// Writes a text if what is there is still `old`, in one transaction; says whether it did.
    async fn replace_text(&self, key: &str, old: Option<&str>, new: &str) -> Result<bool, JsValue> {
        let (transaction, objects) = self.begin(RECORDS)?;
        let same = answer(&objects.get(&key.into())?).await?.as_string().as_deref() == old;
        if same {
            objects.put_with_key(&new.into(), &key.into())?;
        }
        completion(&transaction).await?;
        Ok(same)
    }

    /// Reads several texts in one transaction, in their order.
    async fn read_texts(&self, keys: &[String]) -> Result<Vec<Option<String>>, JsValue> {
        let objects = self.0.transaction_with_str(RECORDS)?.object_store(RECORDS)?;
        // All are asked before the first is waited for: a transaction with nothing to do ends.
        let asked = keys.iter().map(|key| objects.get(&key.into()).map(|request| answer_of(&request)));
        let asked = asked.collect::<Result<Vec<_>, _>>()?;
        let mut texts = Vec::with_capacity(asked.len());
        for (request, answered) in asked {
            JsFuture::from(answered).await?;
            texts.push(request.result()?.as_string());
        }
        Ok(texts)
    }

    /// Writes several texts in one transaction.
    async fn write_texts(&self, records: &[(String, String)]) -> Result<(), JsValue> {
        let (transaction, objects) = self.begin(RECORDS)?;
        for (key, value) in records {
            objects.put_with_key(&value.into(), &key.into())?;
        }
        completion(&transaction).await
    }

    /// Begins a transaction that is on the disk when it is complete.
    fn begin(&self, store: &str) -> Result<(IdbTransaction, IdbObjectStore), JsValue> {
        let options = Object::new();
        Reflect::set(&options, &"durability".into(), &"strict".into())?;
        // web-sys has no form of `transaction` that takes options.
        let begin: Function = Reflect::get(&self.0, &"transaction".into())?.dyn_into()?;
        let transaction: IdbTransaction =
            begin.call3(&self.0, &store.into(), &"readwrite".into(), &options)?.dyn_into()?;
        let objects = transaction.object_store(store)?;
        Ok((transaction, objects))
    }
}

/// Waits for a request's result.
async fn answer(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let (request, answered) = answer_of(request);
    JsFuture::from(answered).await?;
    request.result()
}

/// A request, and the promise that it is answered.
fn answer_of(request: &IdbRequest) -> (IdbRequest, Promise) {
    let answered = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    (request.clone(), answered)
}

/// Waits until a transaction is committed.
async fn completion(transaction: &IdbTransaction) -> Result<(), JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        transaction.set_oncomplete(Some(&resolve));
        transaction.set_onerror(Some(&reject));
        transaction.set_onabort(Some(&reject));
    });
    JsFuture::from(promise).await.map(|_| ())
}

fn failed(_: JsValue) -> StoreError {
    StoreError
}

impl Store for Database {
    async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.read(RECORDS, key).await.map_err(failed)?.as_string())
    }

    async fn put(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.write(RECORDS, key, Some(&value.into())).await.map_err(failed)
    }

    async fn get_all(&self, keys: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        self.read_texts(keys).await.map_err(failed)
    }

    async fn put_all(&self, records: &[(String, String)]) -> Result<(), StoreError> {
        self.write_texts(records).await.map_err(failed)
    }

    async fn replace(&self, key: &str, old: Option<&str>, new: &str) -> Result<bool, StoreError> {
        self.replace_text(key, old, new).await.map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.write(RECORDS, key, None).await.map_err(failed)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut keys = Self::keys(self, RECORDS).await.map_err(failed)?;
        keys.retain(|k| k.starts_with(prefix));
        Ok(keys)
    }
}
