//! What the extension's popup shows, as its background tells it.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Browser, until};

/// All that the popup shows.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// Where the policy comes from.
    pub policy: String,
    /// What is wrong with it: a code and a path.
    pub policy_problem: Option<(String, String)>,
    /// The policy's deployments.
    pub deployments: Vec<Deployment>,
}

/// One deployment.
#[derive(Clone, Debug, Deserialize)]
pub struct Deployment {
    /// Its origin.
    pub origin: String,
    /// Who is logged in.
    pub account: Option<String>,
    /// Whether the extension may act there.
    pub permitted: bool,
    /// How far things are.
    pub progress: Progress,
    /// The people whose keys are not as they were.
    #[serde(default)]
    pub people: Vec<Value>,
    /// What is wrong with what the person's browsers share (a code), and since when.
    #[serde(default)]
    pub shared: Option<(String, u64)>,
}

/// How far a first set-up is.
#[derive(Clone, Debug, Deserialize)]
pub struct Progress {
    /// Where the account stands.
    pub state: State,
    /// The step under way.
    pub step: Option<String>,
    /// Who may open the sealed recovery.
    pub recipients: Vec<Value>,
    /// When it was last proven, in milliseconds since 1970.
    pub sealed_proven_at: Option<u64>,
    /// What went wrong last (a code), and when.
    pub problem: Option<(String, u64)>,
    /// When the next try is due, in milliseconds since 1970.
    pub retry_at: Option<u64>,
    /// What is asked of the person.
    pub question: Option<Value>,
    /// Recipients that are to come or expire, and what a compromise means.
    pub rotation: Value,
}

/// Where an account stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words are the popup's
pub enum State {
    NoPolicy,
    SignedOut,
    Working,
    Complete,
    Waiting,
    Foreign,
    Declined,
    Confirm,
    Keep,
    Recover,
    Believe,
    Adopt,
    Failed,
}

impl Progress {
    /// The code of what went wrong last.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.problem.as_ref().map(|(code, _)| code.as_str())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "policy {}", self.policy)?;
        if let Some((code, path)) = &self.policy_problem {
            write!(formatter, " ({code} at {path})")?;
        }
        for Deployment { account, permitted, progress, .. } in &self.deployments {
            let who = if account.is_some() { "an account" } else { "no account" };
            let may = if *permitted { "" } else { ", no permission" };
            write!(formatter, "; {who}{may}, {:?}", progress.state)?;
            if let Some(step) = &progress.step {
                write!(formatter, " at {step}")?;
            }
            if let Some(code) = progress.code() {
                write!(formatter, " with {code}")?;
            }
        }
        Ok(())
    }
}

impl Browser {
    /// What the popup would show now.
    ///
    /// # Errors
    /// If the background does not answer, or with something else.
    pub async fn status(&self) -> Result<Status> {
        let answer = self.ask(&json!({ "ask": "status" })).await?;
        serde_json::from_value(answer).context("the background answered no status")
    }

    /// Waits until the (only) deployment stands as `wanted`.
    ///
    /// # Errors
    /// If it does not within `limit`, with what the popup shows.
    pub async fn wait_for_state(&self, wanted: State, limit: Duration) -> Result<Deployment> {
        self.wait_for(&format!("{wanted:?}"), limit, |deployment| deployment.progress.state == wanted).await
    }

    /// Waits until the popup shows a problem with this code.
    ///
    /// # Errors
    /// If it does not within `limit`, with what the popup shows.
    pub async fn wait_for_code(&self, code: &str, limit: Duration) -> Result<Deployment> {
        self.wait_for(code, limit, |deployment| deployment.progress.code() == Some(code)).await
    }

    /// Waits until the (only) deployment is as `wanted` likes it.
    ///
    /// # Errors
    /// If it is not within `limit`, with what the popup shows.
    pub async fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Deployment) -> bool,
    ) -> Result<Deployment> {
        let seen = until(what, limit, async || {
            let status = self.status().await?;
            let found = status.deployments.iter().find(|deployment| wanted(deployment)).cloned();
            found.map(Some).ok_or_else(|| anyhow!("the popup shows: {status}"))
        });
        seen.await
    }
}
