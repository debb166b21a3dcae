//! What the extension keeps in this browser, read and written from the outside.

use anyhow::{Result, bail};
use serde_json::Value;

use super::Browser;

impl Browser {
    /// All records that this browser keeps, by their keys.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn records(&self) -> Result<Value> {
        const READ: &str = r"
            const done = arguments[0];
            const opening = indexedDB.open('keystead');
            opening.onerror = () => done(null);
            opening.onsuccess = () => {
                const records = {};
                const reading = opening.result.transaction('records').objectStore('records').openCursor();
                reading.onsuccess = () => {
                    const cursor = reading.result;
                    if (cursor) {
                        records[cursor.key] = cursor.value;
                        cursor.continue();
                    } else {
                        opening.result.close();
                        done(records);
                    }
                };
                reading.onerror = () => done(null);
            };
        ";
        self.in_own_page(async |session| {
            let records = session.execute_async(READ, vec![]).await?.json().clone();
            if records.is_object() { Ok(records) } else { bail!("the records cannot be read") }
        })
        .await
    }

    /// Writes records over those that this browser keeps, as another version of the extension would.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn write_records(&self, records: &Value) -> Result<()> {
        const WRITE: &str = r"
            const [records, done] = arguments;
            const opening = indexedDB.open('keystead');
            opening.onerror = () => done('not opened');
            opening.onsuccess = () => {
                const transaction = opening.result.transaction('records', 'readwrite');
                for (const [key, value] of Object.entries(records)) transaction.objectStore('records').put(value, key);
                transaction.oncomplete = () => { opening.result.close(); done('written'); };
                transaction.onabort = () => done('not written');
            };
        ";
        self.in_own_page(async |session| {
            let said = session.execute_async(WRITE, vec![records.clone()]).await?.json().clone();
            if said == "written" { Ok(()) } else { bail!("the records were {said}") }
        })
        .await
    }
}
