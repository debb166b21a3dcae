//! What a source's answer amounts to, before anything in it is believed.

use crate::{
    effect::{HttpRequest, HttpResponse, Method, Target, TransportError},
    error::{Code, Coded},
    openpgp::{Certificate, ParseError},
};

/// Time limit for one exchange with a source, in milliseconds.
const TIMEOUT_MS: u32 = 10_000;

/// The most bytes of an answer that are read.
pub(super) const MAX_ANSWER: u32 = 1 << 20;

/// Why a source has no usable answer. (That it does not have the certificate is an answer.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It cannot be reached.
    #[error("the source cannot be reached")]
    Unreachable,
    /// It took longer than ten seconds.
    #[error("the source did not answer in time")]
    Timeout,
    /// It answered more than 1 MiB, or more certificates than are looked at.
    #[error("the source answered too much")]
    TooLarge,
    /// It sent us elsewhere.
    #[error("the source redirects to another host")]
    Redirected,
    /// It answered something that is neither a certificate nor an index.
    #[error("the source answered something else than certificates")]
    NotAKey,
    /// It answered another certificate than the one that was asked for.
    #[error("the source answered another certificate")]
    Fingerprint,
    /// It answered with an error.
    #[error("the source failed")]
    Server,
    /// It asks to wait.
    #[error("the source asks to wait")]
    Limited,
}

impl Coded for SourceError {
    fn code(&self) -> Code {
        match self {
            Self::Unreachable => Code::DirUnreachable,
            Self::Timeout => Code::DirTimeout,
            Self::TooLarge => Code::DirTooLarge,
            Self::Redirected => Code::DirRedirect,
            Self::NotAKey => Code::DirNotAKey,
            Self::Fingerprint => Code::DirFingerprint,
            Self::Server => Code::NetServer,
            Self::Limited => Code::NetLimited,
        }
    }
}

impl From<TransportError> for SourceError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Unreachable | TransportError::NoToken => Self::Unreachable,
            TransportError::Timeout => Self::Timeout,
            TransportError::TooLarge => Self::TooLarge,
            TransportError::Redirected => Self::Redirected,
        }
    }
}

impl From<ParseError> for SourceError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::NotAKey => Self::NotAKey,
            ParseError::TooLarge => Self::TooLarge,
        }
    }
}

/// What the driver has for one request.
pub type Answered = Result<HttpResponse, TransportError>;

pub(super) fn request(name: &'static str, url: url::Url) -> HttpRequest {
    HttpRequest {
        name,
        method: Method::Get,
        target: Target::Url(url),
        body: None,
        timeout_ms: TIMEOUT_MS,
        max_bytes: MAX_ANSWER,
    }
}

/// The body of an answer, `None` where the source says that it has nothing. What stands in the body of a refusal does
/// not matter (`sks` writes a web page).
pub(super) fn body(answered: Answered) -> Result<Option<Vec<u8>>, SourceError> {
    let response = answered?;
    match response.status {
        200 if response.body.len() > MAX_ANSWER as usize => Err(SourceError::TooLarge),
        200 => Ok(Some(response.body)),
        404 | 410 => Ok(None),
        300..=399 => Err(SourceError::Redirected),
        429 => Err(SourceError::Limited),
        _ => Err(SourceError::Server),
    }
}

/// The certificates of an answer, none where the source has none.
pub(super) fn certificates(answered: Answered) -> Result<Vec<Certificate>, SourceError> {
    body(answered)?.map_or(Ok(Vec::new()), |body| Ok(Certificate::parse_all(&body)?))
}
