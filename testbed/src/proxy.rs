//! A reverse proxy that misbehaves on command, in front of any service.
//!
//! Rules are tried in the order in which they were given; the first that applies decides, and where none applies the
//! request passes unchanged. Every request is recorded, also those that never reached the service.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio_rustls::TlsAcceptor;

use crate::rules::{Action, Answer, Begun, Rule};
use crate::server::{Reply, Server};
use crate::tls;

/// Headers about one connection, which a proxy does not pass on.
const OF_ONE_CONNECTION: [header::HeaderName; 5] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::TE, header::UPGRADE];

/// A request as rules see it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path as it was sent, still percent-encoded.
    pub path: String,
    /// The query without its question mark, or nothing.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The request.
    pub asked: Asked,
    /// The status that the client got; none for a connection that was dropped or is still waiting.
    pub status: Option<u16>,
    /// The name of the rule that decided, if one did.
    pub rule: Option<String>,
    /// When the request arrived.
    pub at: Instant,
    /// How long the client waited for the head of the answer; none as for `status`.
    pub waited: Option<Duration>,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    log: Mutex<Vec<Recorded>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Starts a proxy in front of `upstream` (such as `http://127.0.0.1:4711`) that passes everything.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(upstream: &str) -> Result<Self> {
        Self::start_as(upstream, None)
    }

    fn start_as(upstream: &str, tls: Option<TlsAcceptor>) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let upstream = upstream.trim_end_matches('/').to_owned();
        let shared = Arc::new(Shared { upstream, http, rules: Mutex::default(), log: Mutex::default() });
        let of_server = Arc::clone(&shared);
        let server = Server::start_as(tls, move |request| handle(Arc::clone(&of_server), request))?;
        Ok(Self { server, shared })
    }

    /// The same over HTTPS, with a certificate that nobody vouches for.
    ///
    /// # Errors
    /// If no port is free, or openssl makes no certificate.
    pub fn start_https(upstream: &str) -> Result<Self> {
        Self::start_as(upstream, Some(tls::acceptor()?))
    }

    /// The proxy's address.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Adds a rule after those that stand.
    pub fn add(&self, rule: Rule) {
        lock(&self.shared.rules).push(rule);
    }

    /// Replaces all rules.
    pub fn set_rules(&self, rules: impl IntoIterator<Item = Rule>) {
        *lock(&self.shared.rules) = rules.into_iter().collect();
    }

    /// Takes all rules away: everything passes.
    pub fn behave(&self) {
        self.set_rules([]);
    }

    /// Cuts the network: open connections break, new ones are reset.
    pub fn cut(&self) {
        self.server.set_reachable(false);
    }

    /// Lets connections in again.
    pub fn mend(&self) {
        self.server.set_reachable(true);
    }

    /// The requests so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.log).clone()
    }

    /// The requests so far, which are then forgotten.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Recorded> {
        std::mem::take(&mut *lock(&self.shared.log))
    }
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Reply {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    };
    let decided = shared.decide(&asked);
    let number = {
        let mut log = lock(&shared.log);
        let rule = decided.as_ref().map(|(name, _)| name.clone());
        log.push(Recorded { asked: asked.clone(), status: None, rule, at, waited: None });
        log.len() - 1
    };
    let action = decided.map_or(Action::Pass, |(_, action)| action);
    let reply = shared.perform(action, &asked).await;
    if let (Ok(answer), Some(recorded)) = (&reply, lock(&shared.log).get_mut(number))
        && recorded.at == at
    {
        recorded.status = Some(answer.status().as_u16());
        recorded.waited = Some(at.elapsed());
    }
    reply
}

impl Shared {
    fn decide(&self, asked: &Asked) -> Option<(String, Action)> {
        lock(&self.rules).iter_mut().find_map(|rule| rule.applies(asked))
    }

    async fn perform(&self, action: Action, asked: &Asked) -> Reply {
        let mut action = action;
        loop {
            action = match action {
                Action::Pass => return Ok(stream(self.forward(asked).await?)),
                Action::Answer(answer) => return Ok(allow_everyone(answer, asked).into_response()),
                Action::Drop => return Err("dropped by a rule".into()),
                Action::Stall => std::future::pending().await,
                Action::Delay(time, then) => {
                    tokio::time::sleep(time).await;
                    *then
                }
                Action::Wait(gate, then) => {
                    gate.passed().await;
                    *then
                }
                Action::PassThenDrop => {
                    self.forward(asked).await?.bytes().await?;
                    return Err("dropped by a rule after the service had answered".into());
                }
                Action::Rewrite(rewrite) => {
                    let answer = self.forward(asked).await?;
                    let (status, headers) = (answer.status(), passed_on(answer.headers()));
                    let body = answer.bytes().await?.to_vec();
                    let rewritten = rewrite(asked, Answer { status: status.as_u16(), headers, body });
                    return Ok(rewritten.into_response());
                }
                Action::Begin(mut answer) => {
                    let begun = Begun(Some(std::mem::take(&mut answer.body).into()));
                    let mut response = allow_everyone(answer, asked).into_response();
                    *response.body_mut() = Body::new(begun);
                    return Ok(response);
                }
                Action::Endless { content_type, chunk } => return Ok(endless(asked, content_type, chunk)),
            };
        }
    }

    async fn forward(&self, asked: &Asked) -> Result<reqwest::Response> {
        let query = if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
        let url = format!("{}{}{query}", self.upstream, asked.path);
        let mut headers = passed_on(&asked.headers);
        headers.remove(header::HOST);
        // Rules that rewrite must see plain text.
        headers.remove(header::ACCEPT_ENCODING);
        let request = self.http.request(asked.method.clone(), &url).headers(headers).body(asked.body.clone());
        request.send().await.with_context(|| format!("{url} does not answer"))
    }
}

fn stream(answer: reqwest::Response) -> Response<Body> {
    let (status, headers) = (answer.status(), passed_on(answer.headers()));
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn endless(asked: &Asked, content_type: &'static str, chunk: Bytes) -> Response<Body> {
    let empty = Answer::new(200, content_type, Vec::new());
    let mut response = allow_everyone(empty, asked).into_response();
    *response.body_mut() = Body::new(crate::rules::Endless(chunk));
    response
}

/// A made-up answer must be as readable to a page as the service's own.
fn allow_everyone(mut answer: Answer, asked: &Asked) -> Answer {
    if asked.headers.contains_key(header::ORIGIN) {
        answer.headers.entry(header::ACCESS_CONTROL_ALLOW_ORIGIN).or_insert(HeaderValue::from_static("*"));
    }
    answer
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    for name in OF_ONE_CONNECTION {
        passed.remove(name);
    }
    passed
}

impl Answer {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        response
    }
}

/// A test that panicked while it held the lock has failed already; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
