//! The store of pinned peers, opened as the background opens it.

use js_sys::{Array, Function, Promise};
use keystead_core::effect::{Answer, Effect, Run, Step, StoreCommand};
use keystead_core::ident::{Origin, UserId};
use keystead_core::pins::Book;
use keystead_core::time::UnixMillis;
use wasm_bindgen::{JsCast as _, JsError, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

/// Opens the pins of an account. `read` answers an array of keys with a promise of their texts. Answers how many bytes
/// were read.
///
/// # Errors
/// Where something of it cannot be read.
#[wasm_bindgen]
pub async fn open_pins(origin: String, owner: String, read: Function) -> Result<usize, JsError> {
    let (origin, owner) = (Origin::parse(&origin)?, UserId::parse(&owner)?);
    let now = UnixMillis(js_sys::Date::now() as u64);
    let (of, whose) = (&origin, &owner);
    let mut run = Run::start(now, |io| async move { Book::open(&io, of, whose).await });
    let mut read_bytes = 0;
    loop {
        match run.step() {
            Step::Done(book) => return book.map(|_| read_bytes).map_err(Into::into),
            Step::Do(Effect::Store(StoreCommand::GetAll(keys))) => {
                let texts = texts(&read, &keys).await.map_err(|_| JsError::new("the store cannot be read"))?;
                read_bytes += texts.iter().flatten().map(String::len).sum::<usize>();
                run.answer(Answer::Records(texts), now);
            }
            Step::Do(_) => run.answer(Answer::Failed, now),
        }
    }
}

async fn texts(read: &Function, keys: &[String]) -> Result<Vec<Option<String>>, JsValue> {
    let keys: Array = keys.iter().map(JsValue::from).collect();
    let reading: Promise = read.call1(&JsValue::NULL, &keys)?.dyn_into()?;
    let texts: Array = JsFuture::from(reading).await?.dyn_into()?;
    Ok(texts.iter().map(|text| text.as_string()).collect())
}
