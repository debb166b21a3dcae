//! `keystead directory check`: before a roll-out, who has no usable certificate, and why.

use std::{collections::BTreeMap, path::PathBuf, rc::Rc, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use keystead_core::{
    directory::{DirectoryConfig, Wanted, choose, lookup},
    error::Code,
    openpgp::{AcceptanceRule, RecipientAccepted},
    policy::{KeyServerUrl, Policy},
    time::UnixMillis,
};
use serde_json::json;
use tokio::{
    sync::Semaphore,
    task::{JoinSet, LocalSet},
};

use crate::{
    dates::{now, parse_date},
    driver::Driver,
    failure::{Ending, Failure},
    files,
    http::Http,
    plan::{Plan, Planned},
    policy,
    staff::{self, Row},
    words::words,
};

/// How many people are looked up at the same time: quick, and no key server takes it for an attack.
const AT_ONCE: usize = 8;

fn key_server(text: &str) -> Result<KeyServerUrl, String> {
    KeyServerUrl::parse(text).map_err(|_| "not the URL of a key server such as https://keys.example.org".into())
}

/// Look up the certificate of everybody in a list of people.
#[derive(Debug, Args)]
pub struct DirectoryCheck {
    /// CSV with the columns matrix_id and email, and perhaps fingerprint.
    staff: PathBuf,
    /// A key server; may be given several times.
    #[arg(long, value_parser = key_server, value_name = "URL")]
    hkp: Vec<KeyServerUrl>,
    /// Ask the Web Key Directory of each address's domain.
    #[arg(long)]
    wkd: bool,
    /// A file with certificates; only user IDs that one of them has certified are accepted.
    #[arg(long, value_name = "FILE")]
    certifier: Vec<PathBuf>,
    /// Certifications older than this many days count as none.
    #[arg(long, value_name = "DAYS", requires = "certifier", value_parser = clap::value_parser!(u64).range(1..=36500))]
    max_age: Option<u64>,
    /// Check what the extension will do under this policy: its sources, certifiers, addresses, roster and escrow.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["hkp", "wkd", "certifier", "max_age"])]
    policy: Option<PathBuf>,
    /// Check for this time (default: now).
    #[arg(long, value_parser = parse_date, value_name = "DATE")]
    at: Option<UnixMillis>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// What was found for one person.
struct Found {
    outcome: Result<RecipientAccepted, Code>,
    problems: Vec<(String, Code)>,
    asked: Option<bool>,
}

impl DirectoryCheck {
    /// Does it; what to read goes to `out`.
    ///
    /// # Errors
    /// [`Failure`] where there is nobody or nothing to ask, or the policy's roster is refused.
    pub async fn run(self, out: &mut String) -> Result<Ending, Failure> {
        let policy = self.policy.as_deref().map(policy::read).transpose()?;
        let servers = policy.iter().flat_map(|policy| &policy.deployments);
        let servers: Vec<_> = servers.map(|deployment| deployment.server_name.as_str().to_owned()).collect();
        let rows = staff::read(&files::read_text(&self.staff)?, &servers)?;
        if rows.is_empty() {
            return Err(Failure::Usage(format!("{} lists nobody", self.staff.display())));
        }
        let config = policy.as_ref().map_or_else(|| self.config(), Policy::directory_config);
        if config.hkp.is_empty() && !config.wkd {
            return Err(Failure::Usage("no source to ask: give --hkp, --wkd or a --policy with a directory".into()));
        }
        let http = Http::new().map_err(|error| Failure::Usage(error.to_string()))?;
        let (driver, at) = (Driver::new(http), self.at.unwrap_or_else(now));
        let plan = match &policy {
            Some(policy) => Plan::make(&driver, policy, &rows, at).await?,
            None => self.by_list(config, &rows)?,
        };
        let escrow_holds = self.say_escrow(&plan, out);
        let found = check_all(driver, plan, at).await;
        let ready = found.iter().filter(|found| found.outcome.is_ok()).count();
        for (row, found) in rows.iter().zip(&found) {
            out.push_str(&if self.json { as_json(row, found) } else { as_text(row, found) });
            out.push('\n');
        }
        if !self.json {
            sources(&found, out);
            out.push_str(&format!("{ready} of {} people are ready\n", rows.len()));
        }
        Ok(if ready == rows.len() && escrow_holds { Ending::Fine } else { Ending::NotFine })
    }

    fn config(&self) -> DirectoryConfig {
        DirectoryConfig { hkp: self.hkp.iter().filter_map(KeyServerUrl::url).collect(), wkd: self.wkd }
    }

    fn by_list(&self, config: DirectoryConfig, rows: &[Row]) -> Result<Plan, Failure> {
        let rule = AcceptanceRule {
            certifiers: files::certificates(&self.certifier)?,
            certification_max_age: self.max_age.map(|days| Duration::from_secs(days * 86_400)),
            ..AcceptanceRule::default()
        };
        let people = rows.iter().map(|row| Planned::by_list(row, &rule)).collect();
        Ok(Plan { config, people, escrow: Vec::new() })
    }

    /// Says of each escrow certificate whether it holds; returns whether all do. Without one nobody's set-up begins.
    fn say_escrow(&self, plan: &Plan, out: &mut String) -> bool {
        for (fingerprint, outcome) in &plan.escrow {
            let fingerprint = fingerprint.as_str();
            let line = match (outcome, self.json) {
                (outcome, true) => {
                    json!({ "escrow": fingerprint, "ok": outcome.is_ok(), "code": outcome.err() }).to_string()
                }
                (Ok(()), false) => format!("escrow {fingerprint}: OK"),
                (Err(code), false) => {
                    let next = words(Code::DirEscrow).next;
                    format!("escrow {fingerprint}: {}: {} {next}", code.as_str(), words(*code).sentence)
                }
            };
            out.push_str(&line);
            out.push('\n');
        }
        plan.escrow.iter().all(|(_, outcome)| outcome.is_ok())
    }
}

/// Looks everybody up; the answers in the order of the people.
async fn check_all(driver: Driver, plan: Plan, at: UnixMillis) -> Vec<Found> {
    let progress = ProgressBar::new(plan.people.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{pos} of {len} people {bar:40} {elapsed}") {
        progress.set_style(style);
    }
    let (driver, config, places) = (Rc::new(driver), Rc::new(plan.config), Rc::new(Semaphore::new(AT_ONCE)));
    let local = LocalSet::new();
    let mut under_way = JoinSet::new();
    for (index, mine) in plan.people.into_iter().enumerate() {
        let (driver, config, places) = (Rc::clone(&driver), Rc::clone(&config), Rc::clone(&places));
        let progress = progress.clone();
        under_way.spawn_local_on(
            async move {
                let _place = places.acquire().await;
                let found = find(&driver, &config, &mine, at).await;
                progress.inc(1);
                (index, found)
            },
            &local,
        );
    }
    let gathered = local.run_until(async move {
        let mut gathered = Vec::new();
        while let Some(ended) = under_way.join_next().await {
            gathered.extend(ended);
        }
        gathered
    });
    let mut gathered = gathered.await;
    progress.finish_and_clear();
    gathered.sort_by_key(|(index, _)| *index);
    gathered.into_iter().map(|(_, found)| found).collect()
}

async fn find(driver: &Driver, config: &DirectoryConfig, mine: &Planned, at: UnixMillis) -> Found {
    let (rule, asked) = (&mine.rule, mine.asked);
    let Some(address) = rule.address.as_ref().filter(|_| mine.refused.is_none()) else {
        return Found { outcome: Err(mine.refused.unwrap_or(Code::DirNoAddress)), problems: Vec::new(), asked };
    };
    let wanted = Wanted { address, fingerprints: rule.fingerprint.as_slice(), certifiers: &rule.certifiers };
    let looked = driver.run(|io| async move { lookup(&io, config, &wanted, Vec::new()).await }).await;
    Found { outcome: mine.judge(choose(&looked, rule, at)), problems: looked.problems, asked }
}

fn as_text(row: &Row, found: &Found) -> String {
    let who = row.matrix_id.as_str();
    match &found.outcome {
        Ok(recipient) => {
            let asked = if found.asked == Some(true) { ", asked once" } else { "" };
            format!("{who}: OK {}{asked}", recipient.fingerprint().as_str())
        }
        Err(code) => {
            let words = words(*code);
            format!("{who}: {}: {} {}", code.as_str(), words.sentence, words.next)
        }
    }
}

fn as_json(row: &Row, found: &Found) -> String {
    let mut line = json!({ "matrix_id": row.matrix_id, "email": row.email, "ok": found.outcome.is_ok() });
    match &found.outcome {
        Ok(recipient) => {
            line["fingerprint"] = json!(recipient.fingerprint());
            line["user_id"] = json!(recipient.user_id());
            if let Some(asked) = found.asked {
                line["asked"] = json!(asked);
            }
        }
        Err(code) => {
            let words = words(*code);
            line["code"] = json!(code);
            line["sentence"] = json!(words.sentence);
            line["what_to_do"] = json!(words.next);
        }
    }
    let sources = found.problems.iter().map(|(source, code)| json!({ "source": source, "code": code }));
    line["sources"] = sources.collect();
    line.to_string()
}

/// Which sources had problems, and for how many people.
fn sources(found: &[Found], out: &mut String) {
    let mut counts: BTreeMap<(&str, &str), (Code, usize)> = BTreeMap::new();
    for (source, code) in found.iter().flat_map(|found| &found.problems) {
        counts.entry((source, code.as_str())).or_insert((*code, 0)).1 += 1;
    }
    for ((source, name), (code, count)) in counts {
        out.push_str(&format!("{source}: {name} for {count} people: {}\n", words(code).sentence));
    }
}
