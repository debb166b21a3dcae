//! Talking to the homeserver from within a flow: tries again where that helps, and says when it does not.

use std::time::Duration;

use super::MatrixError;
use crate::{
    effect::{Answer, Effect, HttpRequest, HttpResponse, Io, PageAnswer, PageCommand, TransportError},
    error::{Code, Coded},
    time::UnixMillis,
};

/// Pauses between tries: short ones within a run, then the run ends and is taken up again later.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];
/// A server that asks for a longer pause ends the run; it is taken up again when the pause is over.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// A server that asks for more than this is asked again after this: its word must not end a set-up for ever.
const LONGEST_WANTED: Duration = Duration::from_secs(60 * 60);

/// Why a flow cannot go on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", code.as_str())]
pub struct Stop {
    /// The reason.
    pub code: Code,
    /// When the server wants to be asked again, if it said so.
    pub not_before: Option<UnixMillis>,
}

impl<E: Coded> From<E> for Stop {
    fn from(error: E) -> Self {
        Self { code: error.code(), not_before: None }
    }
}

/// The deployment's homeserver as a flow sees it.
#[derive(Clone, Copy)]
pub struct Homeserver<'a> {
    io: &'a Io,
}

enum Verdict {
    Fine,
    Renew,
    Pause(Code, Option<u64>),
    Wrong(Code),
}

impl<'a> Homeserver<'a> {
    /// Speaks over this wire.
    #[must_use]
    pub const fn new(io: &'a Io) -> Self {
        Self { io }
    }

    /// Sends one request; see [`Self::send_all`].
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Stop> {
        let mut responses = self.send_all(vec![request]).await?;
        responses.pop().ok_or(Stop { code: Code::NetAnswer, not_before: None })
    }

    /// Sends requests at the same time, again and again while the server is away, busy or asks to wait, and once more
    /// after a token was refreshed. All of them must bear being repeated. What is returned has a status below 500 and
    /// neither 401 nor 429.
    ///
    /// # Errors
    /// [`Stop`] after the last try.
    pub async fn send_all(&self, requests: Vec<HttpRequest>) -> Result<Vec<HttpResponse>, Stop> {
        let mut pauses = PAUSES.iter();
        let mut renewed = false;
        loop {
            let Answer::Http(results) = self.io.ask(Effect::Http(requests.clone())).await else {
                return Err(Stop { code: Code::NetUnreachable, not_before: None });
            };
            match results.iter().map(judge).max_by_key(Verdict::weight) {
                None | Some(Verdict::Fine) => return Ok(results.into_iter().filter_map(Result::ok).collect()),
                Some(Verdict::Wrong(code)) => return Err(Stop { code, not_before: None }),
                Some(Verdict::Renew) if renewed => return Err(Stop { code: Code::NetToken, not_before: None }),
                Some(Verdict::Renew) => {
                    renewed = true;
                    let command = Effect::Page(PageCommand::RenewToken);
                    if !matches!(self.io.ask(command).await, Answer::Page(PageAnswer::Done)) {
                        return Err(Stop { code: Code::NetToken, not_before: None });
                    }
                }
                Some(Verdict::Pause(code, wanted)) => {
                    let wanted = wanted.map(|ms| Duration::from_millis(ms).min(LONGEST_WANTED));
                    let stop = Stop { code, not_before: wanted.map(|pause| self.io.now().plus(pause)) };
                    let Some(usual) = pauses.next() else { return Err(stop) };
                    let pause = wanted.unwrap_or(*usual).max(*usual);
                    if pause > LONGEST_PAUSE {
                        return Err(stop);
                    }
                    self.io.ask(Effect::SleepUntil(self.io.now().plus(pause))).await;
                }
            }
        }
    }
}

impl Verdict {
    /// Of several answers the one that matters most: there is no use in waiting for a server that has refused.
    const fn weight(&self) -> u64 {
        match self {
            Self::Fine => 0,
            Self::Pause(_, None) => 1,
            Self::Pause(_, Some(ms)) => 2 + if *ms > 1 << 40 { 1 << 40 } else { *ms },
            Self::Renew => 1 << 42,
            Self::Wrong(_) => 1 << 43,
        }
    }
}

fn judge(result: &Result<HttpResponse, TransportError>) -> Verdict {
    match result {
        Err(TransportError::Unreachable | TransportError::Timeout) => Verdict::Pause(Code::NetUnreachable, None),
        Err(TransportError::NoToken) => Verdict::Renew,
        Err(TransportError::TooLarge | TransportError::Redirected) => Verdict::Wrong(Code::NetAnswer),
        Ok(response) => match MatrixError::of_status(response) {
            Some(MatrixError::Limited { retry_after_ms }) => Verdict::Pause(Code::NetLimited, retry_after_ms),
            Some(MatrixError::Server { .. }) => Verdict::Pause(Code::NetServer, None),
            Some(MatrixError::Token) => Verdict::Renew,
            Some(MatrixError::Transport(_) | MatrixError::Refused { .. } | MatrixError::Answer(_)) | None => {
                Verdict::Fine
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        effect::{Run, Step},
        matrix::session,
    };

    #[test]
    fn a_server_cannot_ask_to_wait_for_ever() {
        let now = UnixMillis(1_700_000_000_000);
        for wanted in [3_600_001, 1 << 53, u64::MAX] {
            let response =
                HttpResponse { status: 429, content_type: String::new(), retry_after_ms: Some(wanted), body: vec![] };
            let mut run = Run::start(now, |io| async move { Homeserver::new(&io).send(session::whoami()).await });
            assert!(matches!(run.step(), Step::Do(Effect::Http(_))));
            run.answer(Answer::Http(vec![Ok(response)]), now);
            let Step::Done(Err(stop)) = run.step() else { panic!("it goes on") };
            assert_eq!((stop.code, stop.not_before), (Code::NetLimited, Some(now.plus(LONGEST_WANTED))), "{wanted}");
        }
    }
}
