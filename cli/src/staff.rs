//! The list of people as an administrator has it: CSV with a header line.
//!
//! Columns in any order: `matrix_id`, `email`, `fingerprint`, `master_key`, `since`. A spreadsheet's byte order mark and its
//! semicolons are understood. Every error is given, each with its line; none shows what stands there.

use keystead_core::{
    ident::{EmailAddress, Fingerprint, UserId},
    identity::PublicKey,
    signed::{Person, Roster, RosterError},
    time::UnixMillis,
};

use crate::{dates::parse_date, failure::Failure};

const COLUMNS: [&str; 5] = ["matrix_id", "email", "fingerprint", "master_key", "since"];

/// One person, by the administrator's list.
#[derive(Debug)]
pub(crate) struct Row {
    /// The line of the file, from 1.
    pub(crate) line: u64,
    pub(crate) matrix_id: UserId,
    pub(crate) email: EmailAddress,
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) master_key: Option<PublicKey>,
    pub(crate) since: Option<UnixMillis>,
}

/// Reads the list. Everybody must be on one of these servers; where none is given, on the first person's.
pub(crate) fn read(text: &str, servers: &[String]) -> Result<Vec<Row>, Failure> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let header_line = text.lines().next().unwrap_or_default();
    let delimiter = if header_line.contains(';') && !header_line.contains(',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| wrong(&["line 1: no header".into()]))?.clone();
    check_header(&header)?;
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                match row(line, &header, &record) {
                    Ok(row) => rows.push(row),
                    Err(found) => errors.extend(found.into_iter().map(|what| format!("line {line}: {what}"))),
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                errors.push(format!("line {line}: not as many fields as the header"));
            }
        }
    }
    foreigners(&rows, servers, &mut errors);
    duplicates(&rows, &mut errors);
    errors.sort_by_key(|error| line_of(error));
    if errors.is_empty() { Ok(rows) } else { Err(wrong(&errors)) }
}

fn wrong(errors: &[String]) -> Failure {
    Failure::Usage(format!("the list of people has errors\n  {}", errors.join("\n  ")))
}

fn check_header(header: &csv::StringRecord) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for (index, name) in header.iter().enumerate() {
        if !COLUMNS.contains(&name) {
            errors.push(format!("line 1: column {} is none of {}", index + 1, COLUMNS.join(", ")));
        } else if header.iter().take(index).any(|earlier| earlier == name) {
            errors.push(format!("line 1: column {name} stands twice"));
        }
    }
    for name in ["matrix_id", "email"] {
        if !header.iter().any(|column| column == name) {
            errors.push(format!("line 1: no column {name}"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(wrong(&errors)) }
}

fn row(line: u64, header: &csv::StringRecord, record: &csv::StringRecord) -> Result<Row, Vec<String>> {
    let field = |name: &str| header.iter().position(|column| column == name).and_then(|index| record.get(index));
    let given = |name: &str| field(name).filter(|text| !text.is_empty());
    let mut errors = Vec::new();
    let matrix_id = UserId::parse(field("matrix_id").unwrap_or_default());
    let matrix_id = matrix_id.map_err(|error| errors.push(format!("matrix_id: {error}"))).ok();
    let email = EmailAddress::parse(field("email").unwrap_or_default());
    let email = email.map_err(|error| errors.push(format!("email: {error}"))).ok();
    let fingerprint = given("fingerprint").map(Fingerprint::parse).transpose();
    let fingerprint = fingerprint.map_err(|error| errors.push(format!("fingerprint: {error}"))).ok().flatten();
    let master_key = given("master_key").map(PublicKey::parse).transpose();
    let master_key = master_key.map_err(|error| errors.push(format!("master_key: {error}"))).ok().flatten();
    let since = given("since").map(parse_date).transpose();
    let since = since.map_err(|error| errors.push(format!("since: {error}"))).ok().flatten();
    match (matrix_id, email) {
        (Some(matrix_id), Some(email)) if errors.is_empty() => {
            Ok(Row { line, matrix_id, email, fingerprint, master_key, since })
        }
        _ => Err(errors),
    }
}

/// The line that an error is about.
fn line_of(error: &str) -> u64 {
    let number = error.strip_prefix("line ").and_then(|rest| rest.split(':').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Who is not on the deployment's homeserver, by another server or by capitals that no homeserver writes.
fn foreigners(rows: &[Row], servers: &[String], errors: &mut Vec<String>) {
    for row in rows {
        let server = row.matrix_id.server_name();
        if row.matrix_id.as_str().chars().any(|c| c.is_ascii_uppercase()) {
            errors.push(format!("line {}: matrix_id: has capitals; homeservers write it in lower case", row.line));
        } else if !servers.is_empty() && !servers.iter().any(|home| home == server) {
            errors.push(format!("line {}: matrix_id: not on {}", row.line, servers.join(" or ")));
        } else if let Some(first) =
            rows.first().filter(|first| servers.is_empty() && first.matrix_id.server_name() != server)
        {
            errors.push(format!("line {}: matrix_id: on another server than in line {}", row.line, first.line));
        }
    }
}

fn duplicates(rows: &[Row], errors: &mut Vec<String>) {
    let mut seen = std::collections::BTreeMap::new();
    for row in rows {
        let fields = [
            ("matrix_id", Some(row.matrix_id.as_str().to_lowercase())),
            // Directories do not tell capitals in addresses.
            ("email", Some(row.email.as_str().to_lowercase())),
            ("fingerprint", row.fingerprint.as_ref().map(|fingerprint| fingerprint.as_str().to_owned())),
        ];
        for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if let Some(first) = seen.get(&(name, value.clone())) {
                errors.push(format!("line {}: the same {name} as in line {first}", row.line));
            } else {
                seen.insert((name, value), row.line);
            }
        }
    }
}

/// Makes a roster of the list; here everybody needs a fingerprint.
pub(crate) fn roster(rows: Vec<Row>) -> Result<Roster, Failure> {
    let lines: Vec<u64> = rows.iter().map(|row| row.line).collect();
    let bare: Vec<_> = rows.iter().filter(|row| row.fingerprint.is_none()).collect();
    if !bare.is_empty() {
        let errors: Vec<_> = bare.iter().map(|row| format!("line {}: no fingerprint", row.line)).collect();
        return Err(wrong(&errors));
    }
    let person = |row: Row| {
        let Row { matrix_id, email, fingerprint, master_key, since, .. } = row;
        fingerprint.map(|fingerprint| Person { matrix_id, email, fingerprint, master_key, since })
    };
    Roster::new(rows.into_iter().filter_map(person).collect()).map_err(|error| match error {
        RosterError::Twice(index) => wrong(&[format!("line {}: the matrix_id stands twice", lines[index])]),
        RosterError::SinceAlone(index) => wrong(&[format!("line {}: since without a master_key", lines[index])]),
    })
}
