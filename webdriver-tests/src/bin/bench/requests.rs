//! The extension's own requests: which they were, how long they took, and how long a plain client takes for the same.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use keystead_testbed::Recorded;
use keystead_webdriver_tests::Desk;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use reqwest::{Client, Method};

/// One of the extension's requests, and the service that it went to.
pub(crate) struct Own {
    service: String,
    request: Recorded,
}

impl Own {
    fn path(&self) -> &str {
        &self.request.asked.path
    }

    /// Does it list all of the account's documents?
    pub(crate) fn lists(&self) -> bool {
        self.path().ends_with("/sync")
    }

    /// Does it read the account's published identity?
    pub(crate) fn reads_identity(&self) -> bool {
        self.path().ends_with("/keys/query")
    }

    /// Does it write one of the documents that are about secrets?
    pub(crate) fn writes(&self) -> bool {
        self.request.asked.method == Method::PUT && self.path().contains("/account_data/")
    }
}

/// From the first of the requests to the last one's answer.
pub(crate) fn from_first_to_last(requests: &[Own]) -> Duration {
    let first = requests.iter().map(|own| own.request.at).min();
    let last = requests.iter().map(|own| own.request.at + own.request.waited.unwrap_or_default()).max();
    first.zip(last).map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first))
}

/// The requests of a run that the extension made, in the order in which they came in: everything but Element's.
pub(crate) fn own(desk: &Desk) -> Vec<Own> {
    let page = desk.element.url();
    let of_page = |request: &Recorded| request.asked.headers.get(ORIGIN).is_some_and(|origin| *origin == *page);
    let mut all = Vec::new();
    for proxy in [&desk.homeserver, &desk.keyserver] {
        let requests = proxy.requests().into_iter();
        let requests = requests.filter(|request| request.asked.method != Method::OPTIONS && !of_page(request));
        all.extend(requests.map(|request| Own { service: proxy.url(), request }));
    }
    all.sort_by_key(|own| own.request.at);
    all
}

/// For how long at least one of the requests was under way.
pub(crate) fn under_way(requests: &[Own]) -> Duration {
    let mut total = Duration::ZERO;
    let mut until: Option<Instant> = None;
    for Own { request, .. } in requests {
        let end = request.at + request.waited.unwrap_or_default();
        let from = until.map_or(request.at, |until| until.max(request.at));
        total += end.saturating_duration_since(from);
        until = Some(until.map_or(end, |until| until.max(end)));
    }
    total
}

/// How long a plain client takes for the same requests, one after the other.
pub(crate) async fn floor(requests: &[Own]) -> Result<Duration> {
    let client = Client::builder().no_proxy().build()?;
    let began = Instant::now();
    for Own { service, request } in requests {
        let asked = &request.asked;
        let query = if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
        let mut again = client.request(asked.method.clone(), format!("{service}{}{query}", asked.path));
        for name in [AUTHORIZATION, CONTENT_TYPE] {
            if let Some(value) = asked.headers.get(&name) {
                again = again.header(name, value);
            }
        }
        let answer = again.body(asked.body.clone()).send().await?;
        let status = answer.status().as_u16();
        answer.bytes().await?;
        // After the run some things are there that were not.
        let expected = request.status.is_some_and(|first| first == status || (first == 404 && status == 200));
        ensure!(expected, "{} {} was answered {:?}, now {status}", asked.method, asked.path, request.status);
    }
    Ok(began.elapsed())
}
