//! The clock, and dates as people write them: `2026-11-21` or `2026-11-21T08:30:00Z`, always UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use keystead_core::time::UnixMillis;

const DAY: u64 = 86_400_000;

/// The time.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Reads a date from 1970 to 9999.
///
/// # Errors
/// A sentence where the text is none.
pub fn parse_date(text: &str) -> Result<UnixMillis, &'static str> {
    read(text).ok_or("no date such as 2026-11-21 or 2026-11-21T08:30:00Z")
}

fn read(text: &str) -> Option<UnixMillis> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let real = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = (hour * 60 + minute) * 60 + second;
    real.then(|| UnixMillis(days_before(year, month, day) * DAY + seconds * 1000))
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let parts: Vec<_> = text.split(separator).collect();
    let parts: [&str; 3] = parts.try_into().ok()?;
    let mut found = [0; 3];
    for ((part, length), number) in parts.iter().zip(digits).zip(&mut found) {
        let all_digits = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| all_digits)?;
    }
    Some(found)
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days from 1970-01-01 to a date.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    years + (1..month).map(|month| days_in(year, month)).sum::<u64>() + day - 1
}

/// Writes a time to the second.
#[must_use]
pub fn show_date(time: UnixMillis) -> String {
    let (mut days, seconds) = (time.0 / DAY, time.0 % DAY / 1000);
    let (mut year, mut month) = (1970, 1);
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799_000),
            ("2026-11-21T00:00:00Z", 1_795_219_200_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ] {
            assert_eq!(parse_date(text), Ok(UnixMillis(millis)), "{text}");
            assert_eq!(show_date(UnixMillis(millis)), text);
        }
        assert_eq!(parse_date("2026-11-21"), Ok(UnixMillis(1_795_219_200_000)));
    }

    #[test]
    fn every_day_for_a_century_is_read_as_it_is_written() {
        for day in 0..36_525 {
            let time = UnixMillis(day * DAY + 3_723_000);
            assert_eq!(parse_date(&show_date(time)), Ok(time));
        }
    }

    #[test]
    fn what_is_no_date() {
        for bad in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-00-01",
            "2026-01-00",
            "1969-12-31",
            "2026-1-1",
            "21.11.2026",
            "2026-11-21T24:00:00Z",
            "2026-11-21T08:30:00",
            "2026-11-21T08:30Z",
            "+026-11-21",
            "2026-11-21 ",
        ] {
            assert!(parse_date(bad).is_err(), "{bad:?}");
        }
    }
}
