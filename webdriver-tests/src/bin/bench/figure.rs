//! Figures: what was measured, beside what else, and whether it is as good as it has to be.

use std::fmt;

use serde_json::{Value, json};

/// What was measured again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// The median.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Between the 10th and the 90th of a hundred.
    pub(crate) fn spread(&self) -> [f64; 2] {
        [self.quantile(0.1), self.quantile(0.9)]
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// One of them alone, by how many of all are at most that.
    pub(crate) fn only(&self, part: f64) -> Self {
        Self(vec![self.quantile(part)])
    }

    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
        let place = part * last as f64;
        let at = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
        let (below, above) = (at(place.floor()), at(place.ceil()));
        below + (above - below) * place.fract()
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        Self(samples.into_iter().collect())
    }
}

impl Extend<f64> for Samples {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, samples: I) {
        self.0.extend(samples);
    }
}

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At most this.
    AtMost(f64),
    /// At most this much more than what it is measured beside.
    AtMostMore(f64),
    /// At most so many times what it is measured beside.
    AtMostTimes(f64),
    /// At least so many times as fast as what it is measured beside.
    TimesAsFast(f64),
}

impl Target {
    fn holds(self, value: f64, against: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtMostMore(more) => value <= against + more,
            Self::AtMostTimes(times) => value <= against * times,
            Self::TimesAsFast(times) => value * times <= against,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(formatter, "at most {limit}"),
            Self::AtMostMore(more) => write!(formatter, "at most {more} more"),
            Self::AtMostTimes(times) => write!(formatter, "at most {times} times"),
            Self::TimesAsFast(times) => write!(formatter, "at least {times} times as fast"),
        }
    }
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// The bench that it comes from.
    pub(crate) bench: &'static str,
    /// What was measured.
    pub(crate) figure: String,
    /// Where, if in a browser.
    pub(crate) browser: Option<&'static str>,
    /// In what unit.
    pub(crate) unit: &'static str,
    /// How it came out.
    pub(crate) value: Samples,
    /// Beside what, and how that came out.
    pub(crate) against: Option<(&'static str, Samples)>,
    /// What it must be; none for what is only told.
    pub(crate) target: Option<Target>,
}

impl Figure {
    /// Whether it is as it must be; none if nothing is asked of it.
    pub(crate) fn holds(&self) -> Option<bool> {
        let against = self.against.as_ref().map_or(f64::NAN, |(_, samples)| samples.median());
        self.target.map(|target| target.holds(self.value.median(), against))
    }

    fn ratio(&self) -> Option<f64> {
        self.against.as_ref().map(|(_, samples)| self.value.median() / samples.median())
    }

    /// One object of JSON.
    pub(crate) fn json(&self) -> Value {
        let against = self.against.as_ref();
        json!({
            "bench": self.bench,
            "figure": self.figure,
            "value": rounded(self.value.median()),
            "unit": self.unit,
            "against": against.map(|(name, _)| name),
            "against_value": against.map(|(_, samples)| rounded(samples.median())),
            "ratio": self.ratio().map(rounded),
            "target": self.target.map(|target| target.to_string()),
            "holds": self.holds(),
            "browser": self.browser,
            "runs": self.value.len(),
            "spread": self.value.spread().map(rounded),
            "against_spread": against.map(|(_, samples)| samples.spread().map(rounded)),
        })
    }

    fn cells(&self) -> [String; 8] {
        let measured = |samples: &Samples| {
            let [low, high] = samples.spread();
            let median = short(samples.median());
            if samples.len() > 1 { format!("{median} ({}–{})", short(low), short(high)) } else { median }
        };
        let verdict = match self.holds() {
            Some(true) => "holds",
            Some(false) => "MISSED",
            None => "",
        };
        [
            self.bench.to_owned(),
            self.browser.unwrap_or_default().to_owned(),
            self.figure.clone(),
            format!("{} {}", measured(&self.value), self.unit),
            self.against.as_ref().map(|(name, samples)| format!("{name}: {}", measured(samples))).unwrap_or_default(),
            self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.target.map(|target| target.to_string()).unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

/// All figures as a table for people.
pub(crate) fn table(figures: &[Figure]) -> String {
    let head = ["bench", "browser", "figure", "median (p10–p90)", "beside", "ratio", "target", ""].map(str::to_owned);
    let rows: Vec<[String; 8]> = std::iter::once(head).chain(figures.iter().map(Figure::cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..8).map(width).collect();
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// To a thousandth: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// As a person reads it: three digits at least.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: &[f64], against: &[f64], target: Target) -> Figure {
        let samples = |values: &[f64]| values.iter().copied().collect::<Samples>();
        let against = Some(("rival", samples(against)));
        let (figure, value, target) = ("time".to_owned(), samples(value), Some(target));
        Figure { bench: "bench", figure, browser: None, unit: "ms", value, against, target }
    }

    #[test]
    fn medians_and_spreads() {
        let samples: Samples = [5.0, 1.0, 4.0, 2.0, 3.0].into_iter().collect();
        assert_eq!((samples.median(), samples.spread()), (3.0, [1.4, 4.6]));
        let even: Samples = [1.0, 2.0].into_iter().collect();
        assert_eq!(even.median(), 1.5);
    }

    #[test]
    fn targets_hold_at_their_bounds_and_not_beyond() {
        let table = [
            (Target::AtMost(10.0), 10.0, 0.0, 10.1),
            (Target::AtMostMore(4.0), 10.0, 6.0, 10.1),
            (Target::AtMostTimes(2.0), 10.0, 5.0, 10.1),
            (Target::TimesAsFast(3.0), 2.0, 6.0, 2.1),
        ];
        for (target, good, against, bad) in table {
            assert_eq!(figure(&[good], &[against], target).holds(), Some(true), "{target}");
            assert_eq!(figure(&[bad], &[against], target).holds(), Some(false), "{target}");
        }
    }

    #[test]
    fn json_has_the_agreed_fields() {
        let json = figure(&[1.0, 2.0, 6.0], &[4.0], Target::TimesAsFast(3.0)).json();
        assert_eq!(json["value"], 2.0);
        assert_eq!(json["ratio"], 0.5);
        assert_eq!(json["holds"], false);
        for field in ["bench", "figure", "unit", "against", "against_value", "target", "spread", "runs"] {
            assert!(!json[field].is_null(), "{field}");
        }
    }
}
