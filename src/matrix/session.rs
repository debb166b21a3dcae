//! Whose session this is (Client-Server API, "Current account information", "Third-party identifiers").

use serde::Deserialize;

use super::{MatrixError, error::read, request};
use crate::{
    effect::{HttpRequest, HttpResponse},
    ident::{DeviceId, EmailAddress, UserId},
};

/// Who a session belongs to, by the homeserver's word.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Whoami {
    /// The account.
    pub user_id: UserId,
    /// The device; a session that an administrator made may have none.
    pub device_id: Option<DeviceId>,
    /// Is it a guest?
    #[serde(default)]
    pub is_guest: bool,
}

/// Asks whose session this is.
#[must_use]
pub fn whoami() -> HttpRequest {
    request::get("whoami", &["account", "whoami"])
}

/// Reads the answer to [`whoami`].
///
/// # Errors
/// [`MatrixError`]
pub fn read_whoami(response: &HttpResponse) -> Result<Whoami, MatrixError> {
    read(response, "whoami")
}

/// Asks for the account's third-party identifiers.
#[must_use]
pub fn third_party_ids() -> HttpRequest {
    request::get("third_party_ids", &["account", "3pid"])
}

/// Reads the e-mail addresses out of the answer to [`third_party_ids`]. They are the homeserver's word: nothing may be
/// sealed to them before something else confirms that they belong to the account.
///
/// # Errors
/// [`MatrixError`]
pub fn read_email_addresses(response: &HttpResponse) -> Result<Vec<EmailAddress>, MatrixError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        threepids: Vec<ThirdPartyId>,
    }
    #[derive(Deserialize)]
    struct ThirdPartyId {
        medium: String,
        address: String,
    }
    let answer: Answer = read(response, "third-party identifiers")?;
    let addresses = answer.threepids.iter().filter(|id| id.medium == "email");
    Ok(addresses.filter_map(|id| EmailAddress::parse(&id.address).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(body: &str) -> HttpResponse {
        HttpResponse { status: 200, content_type: String::new(), retry_after_ms: None, body: body.into() }
    }

    #[test]
    fn a_session_may_lack_a_device_but_not_an_account() {
        let whoami = read_whoami(&response(r#"{"user_id":"@a:b","is_guest":false}"#)).unwrap();
        assert_eq!((whoami.user_id.as_str(), whoami.device_id, whoami.is_guest), ("@a:b", None, false));
        for bad in ["{}", r#"{"user_id":"a"}"#, r#"{"user_id":"@a:b","device_id":""}"#] {
            assert_eq!(read_whoami(&response(bad)), Err(MatrixError::Answer("whoami")), "{bad}");
        }
    }

    #[test]
    fn only_e_mail_addresses_are_taken() {
        let body = r#"{"threepids":[{"medium":"msisdn","address":"49"},{"medium":"email","address":"no address"},
            {"medium":"email","address":"Ann@Example.org","validated_at":1}]}"#;
        let addresses = read_email_addresses(&response(body)).unwrap();
        assert_eq!(addresses.iter().map(EmailAddress::as_str).collect::<Vec<_>>(), ["Ann@example.org"]);
    }
}
