//! What tests ask of the homeserver outside any Matrix client: accounts, sessions, the administrator's view.

use anyhow::{Context, Result, bail};
use hmac::{Hmac, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};
use sha1::Sha1;

use crate::synapse::{REGISTRATION_SECRET, Synapse};

/// A logged-in device.
#[derive(Clone, Debug)]
pub struct Session {
    /// The full Matrix ID.
    pub user_id: String,
    /// The device's id; empty for a session that the administrator opened, which has no device.
    pub device_id: String,
    /// The token for requests.
    pub access_token: String,
}

/// One answer of the homeserver.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where it is not JSON.
    pub body: Value,
}

impl Answered {
    /// The body of a 2xx answer.
    ///
    /// # Errors
    /// For any other status, with Matrix's own error text.
    pub fn ok(self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("the homeserver answered {}: {}", self.status, self.body);
        }
        Ok(self.body)
    }
}

impl Synapse {
    /// Makes an account without a device; answers its Matrix ID.
    ///
    /// # Errors
    /// If the name is taken or not allowed.
    pub async fn register_user(&self, name: &str, password: &str) -> Result<String> {
        self.register(name, password, false).await?;
        Ok(format!("@{name}:{}", self.server_name()))
    }

    /// Makes an account; answers its token if it is an administrator's, else makes no device for it.
    pub(crate) async fn register(&self, name: &str, password: &str, admin: bool) -> Result<String> {
        const PATH: &str = "/_synapse/admin/v1/register";
        let nonce = self.call(Method::GET, PATH, None, None).await?.ok()?;
        let nonce = text(&nonce, "nonce")?;
        let role = if admin { "admin" } else { "notadmin" };
        let mut mac = Hmac::<Sha1>::new_from_slice(REGISTRATION_SECRET.as_bytes()).context("HMAC key")?;
        mac.update([nonce.as_str(), name, password, role].join("\0").as_bytes());
        let mac: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({
            "nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac, "inhibit_login": !admin,
        });
        let made = self.call(Method::POST, PATH, None, Some(&body)).await?.ok()?;
        if admin { text(&made, "access_token") } else { Ok(String::new()) }
    }

    /// Logs a person in on a new device.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn login(&self, name: &str, password: &str) -> Result<Session> {
        let body = json!({
            "type": "m.login.password", "password": password,
            "identifier": {"type": "m.id.user", "user": name},
        });
        let made = self.call(Method::POST, "/_matrix/client/v3/login", None, Some(&body)).await?.ok()?;
        Ok(Session {
            user_id: text(&made, "user_id")?,
            device_id: text(&made, "device_id")?,
            access_token: text(&made, "access_token")?,
        })
    }

    /// Opens a session for someone as the administrator: without a device, invisible to the person.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn login_as(&self, user_id: &str) -> Result<Session> {
        let path = format!("/_synapse/admin/v1/users/{}/login", encoded(user_id));
        let made = self.administer(Method::POST, &path, Some(&json!({}))).await?.ok()?;
        let access_token = text(&made, "access_token")?;
        Ok(Session { user_id: user_id.to_owned(), device_id: String::new(), access_token })
    }

    /// Everything in a person's global and room account data, as the administrator sees it.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn account_data(&self, user_id: &str) -> Result<Value> {
        let path = format!("/_synapse/admin/v1/users/{}/accountdata", encoded(user_id));
        let mut answer = self.administer(Method::GET, &path, None).await?.ok()?;
        Ok(answer["account_data"].take())
    }

    /// Replaces the e-mail addresses of a person.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn set_addresses(&self, user_id: &str, addresses: &[&str]) -> Result<()> {
        let addresses: Vec<_> =
            addresses.iter().map(|address| json!({"medium": "email", "address": address})).collect();
        let path = format!("/_synapse/admin/v2/users/{}", encoded(user_id));
        self.administer(Method::PUT, &path, Some(&json!({"threepids": addresses}))).await?.ok()?;
        Ok(())
    }

    /// One request with the administrator's token.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn administer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answered> {
        self.call(method, path, Some(&self.admin_token), body).await
    }

    /// One request, with a token or without.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answered> {
        let mut request = self.http.request(method, format!("{}{path}", self.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| format!("Synapse does not answer {path}"))?;
        let status = answer.status().as_u16();
        Ok(Answered { status, body: answer.json().await.unwrap_or(Value::Null) })
    }
}

fn encoded(user_id: &str) -> String {
    utf8_percent_encode(user_id, NON_ALPHANUMERIC).to_string()
}

fn text(answer: &Value, field: &str) -> Result<String> {
    Ok(answer[field].as_str().with_context(|| format!("Synapse's answer has no {field}"))?.to_owned())
}
