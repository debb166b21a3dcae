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

    /// Sets fields of one record, whatever else writes to it at the time.
    ///
    /// # Errors
    /// If the database refuses, or has no such record.
    pub async fn set_in_record(&self, key: &str, fields: &Value) -> Result<()> {
        const SET: &str = r"
            const [key, fields, done] = arguments;
            const opening = indexedDB.open('keystead');
            opening.onerror = () => done('not opened');
            opening.onsuccess = () => {
                const transaction = opening.result.transaction('records', 'readwrite');
                const records = transaction.objectStore('records');
                const reading = records.get(key);
                reading.onsuccess = () => {
                    if (!reading.result) return transaction.abort();
                    const record = JSON.parse(reading.result);
                    for (const name of Object.keys(fields)) record[name] = fields[name];
                    records.put(JSON.stringify(record), key);
                };
                transaction.oncomplete = () => { opening.result.close(); done('changed'); };
                transaction.onabort = () => { opening.result.close(); done('not changed'); };
            };
        ";
        self.in_own_page(async |session| {
            let said = session.execute_async(SET, vec![key.into(), fields.clone()]).await?.json().clone();
            if said == "changed" { Ok(()) } else { bail!("the record was {said}") }
        })
        .await
    }
}
