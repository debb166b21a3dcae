//! What a [`Proxy`](crate::Proxy) does with which request.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use hyper::body::{Body, Frame};
use serde_json::Value;
use tokio::sync::watch;

use crate::proxy::Asked;

/// An answer that a rule makes or changes.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, without those about one connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer of one content type.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: body.into() }
    }

    /// An answer in JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// Matrix's error answer with an `errcode` such as `M_NOT_FOUND`.
    #[must_use]
    pub fn matrix_error(status: u16, errcode: &str) -> Self {
        Self::json(status, &serde_json::json!({"errcode": errcode, "error": "made up by the testbed's proxy"}))
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

type Rewriter = Arc<dyn Fn(&Asked, Answer) -> Answer + Send + Sync>;
type Matcher = Arc<dyn Fn(&Asked) -> bool + Send + Sync>;

/// Holds requests up until it is opened; a clone is the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed one.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets through whatever waits, and whatever comes.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn passed(&self) {
        // The sender is here: it is not gone while this waits.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// What happens to a request.
#[derive(Clone)]
pub enum Action {
    /// The service answers; long answers are streamed.
    Pass,
    /// This answer, and the service hears nothing.
    Answer(Answer),
    /// The connection closes without an answer, and the service hears nothing.
    Drop,
    /// The service hears and acts, and the connection closes without its answer.
    PassThenDrop,
    /// No answer ever, while the connection stays open.
    Stall,
    /// Something after a while.
    Delay(Duration, Box<Action>),
    /// Something once a gate is open.
    Wait(Gate, Box<Action>),
    /// The service answers, and the answer is changed.
    Rewrite(Rewriter),
    /// This answer, whose body never ends: no more of it comes.
    Begin(Answer),
    /// An answer of status 200 that never ends.
    Endless {
        /// Its type.
        content_type: &'static str,
        /// What is sent again and again; not empty.
        chunk: Bytes,
    },
}

impl Action {
    /// Changes the service's answers that are JSON; others pass unchanged.
    pub fn rewrite_json(change: impl Fn(&Asked, &mut Value) + Send + Sync + 'static) -> Self {
        Self::Rewrite(Arc::new(move |asked, mut answer| {
            if let Ok(mut body) = serde_json::from_slice(&answer.body) {
                change(asked, &mut body);
                answer.body = body.to_string().into_bytes();
            }
            answer
        }))
    }

    /// Changes the service's answers as a whole.
    pub fn rewrite(change: impl Fn(&Asked, Answer) -> Answer + Send + Sync + 'static) -> Self {
        Self::Rewrite(Arc::new(change))
    }

    /// A redirect with status 302.
    #[must_use]
    pub fn redirect(to: &str) -> Self {
        Self::Answer(Answer::new(302, "text/plain", "").with_header(header::LOCATION, to))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => formatter.write_str("Pass"),
            Self::Answer(answer) => write!(formatter, "Answer({})", answer.status),
            Self::Drop => formatter.write_str("Drop"),
            Self::PassThenDrop => formatter.write_str("PassThenDrop"),
            Self::Stall => formatter.write_str("Stall"),
            Self::Delay(time, then) => write!(formatter, "Delay({time:?}, {then:?})"),
            Self::Wait(_, then) => write!(formatter, "Wait({then:?})"),
            Self::Rewrite(_) => formatter.write_str("Rewrite"),
            Self::Begin(answer) => write!(formatter, "Begin({})", answer.status),
            Self::Endless { content_type, .. } => write!(formatter, "Endless({content_type})"),
        }
    }
}

/// One rule of a [`Proxy`](crate::Proxy): which requests, and what happens to them.
#[derive(Clone)]
pub struct Rule {
    name: String,
    matcher: Matcher,
    action: Action,
    skip: usize,
    times: usize,
}

impl Rule {
    /// For requests of one method whose path starts with `prefix`. Browsers' CORS preflights are OPTIONS and pass.
    #[must_use]
    pub fn on(method: Method, prefix: &str, action: Action) -> Self {
        let name = format!("{method} {prefix}");
        let prefix = prefix.to_owned();
        Self::when(&name, move |asked| asked.method == method && asked.path.starts_with(&prefix), action)
    }

    /// For requests of any method but OPTIONS whose path starts with `prefix`.
    #[must_use]
    pub fn on_any(prefix: &str, action: Action) -> Self {
        let name = format!("any {prefix}");
        let prefix = prefix.to_owned();
        Self::when(&name, move |asked| asked.method != Method::OPTIONS && asked.path.starts_with(&prefix), action)
    }

    /// For requests that `matcher` picks.
    #[must_use]
    pub fn when(name: &str, matcher: impl Fn(&Asked) -> bool + Send + Sync + 'static, action: Action) -> Self {
        Self { name: name.to_owned(), matcher: Arc::new(matcher), action, skip: 0, times: usize::MAX }
    }

    /// Only for the first `times` requests that match (after those that are skipped).
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Not for the first `skip` requests that match.
    #[must_use]
    pub fn skip(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// The name and action of this rule if it decides about the request.
    pub(crate) fn applies(&mut self, asked: &Asked) -> Option<(String, Action)> {
        if self.times == 0 || !(self.matcher)(asked) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some((self.name.clone(), self.action.clone()))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rule").field("name", &self.name).field("action", &self.action).finish_non_exhaustive()
    }
}

/// A body of which the beginning comes, and then nothing.
pub(crate) struct Begun(pub(crate) Option<Bytes>);

impl Body for Begun {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// A body that never ends.
pub(crate) struct Endless(pub(crate) Bytes);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(self.0.clone()))))
    }
}
