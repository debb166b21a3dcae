//! The driver keeps the contract of `effect::HttpRequest`, also with a server that does not keep its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

use anyhow::{Context as _, Result};
use axum::http::{Method as HttpMethod, header};
use keystead_cli::{Driver, Homeserver, Http, NoPage};
use keystead_core::{
    effect::{
        Answer as CoreAnswer, Effect, HttpRequest, HttpResponse, Method, PageAnswer, PageCommand, StoreCommand, Target,
        TransportError, VaultCommand,
    },
    ident::KeyId,
    recovery::{FailingVault, MemoryVault, RecoveryKey},
    secret::SecretText,
    store::{FailingStore, MemoryStore},
    time::UnixMillis,
};
use keystead_testbed::{Action, Answer, Proxy, Rule};
use url::Url;

/// Nobody listens there: every request must be decided by a rule.
const NOBODY: &str = "http://127.0.0.1:9";

fn request(target: Target) -> HttpRequest {
    HttpRequest { name: "test", method: Method::Get, target, body: None, timeout_ms: 10_000, max_bytes: 1000 }
}

fn get(base: &str, path: &str) -> HttpRequest {
    request(Target::Url(Url::parse(&format!("{base}{path}")).unwrap()))
}

fn server(rules: impl IntoIterator<Item = Rule>) -> Result<Proxy> {
    let proxy = Proxy::start(NOBODY)?;
    proxy.set_rules(rules);
    Ok(proxy)
}

async fn send(requests: Vec<HttpRequest>) -> Vec<Result<HttpResponse, TransportError>> {
    ask(&Driver::new(Http::new().unwrap()), requests).await
}

async fn ask(driver: &Driver, requests: Vec<HttpRequest>) -> Vec<Result<HttpResponse, TransportError>> {
    match driver.perform(Effect::Http(requests)).await {
        CoreAnswer::Http(answers) => answers,
        _ => panic!("another answer"),
    }
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests_whatever_their_status() -> Result<()> {
    let busy = Answer::matrix_error(429, "M_LIMIT_EXCEEDED").with_header(header::RETRY_AFTER, "3");
    let slow = Action::Delay(std::time::Duration::from_millis(200), Box::new(Action::Answer(busy)));
    let proxy = server([
        Rule::on_any("/slow", slow),
        Rule::on_any("/gone", Action::Drop),
        Rule::on_any("/quick", Action::Answer(Answer::new(200, "text/plain", "hello"))),
    ])?;
    let base = proxy.url();
    let answers = send(vec![get(&base, "/slow"), get(&base, "/gone"), get(&base, "/quick")]).await;
    let slow = answers[0].as_ref().unwrap();
    assert_eq!((slow.status, slow.retry_after_ms), (429, Some(3000)));
    assert_eq!(answers[1], Err(TransportError::Unreachable));
    let quick = answers[2].as_ref().unwrap();
    assert_eq!((quick.status, quick.content_type.as_str(), quick.body.as_slice()), (200, "text/plain", &b"hello"[..]));
    Ok(())
}

#[tokio::test]
async fn no_more_than_the_limit_is_read() -> Result<()> {
    let endless = Action::Endless { content_type: "text/plain", chunk: vec![b'x'; 100].into() };
    let proxy = server([
        Rule::on_any("/exact", Action::Answer(Answer::new(200, "text/plain", vec![b'x'; 1000]))),
        Rule::on_any("/more", Action::Answer(Answer::new(200, "text/plain", vec![b'x'; 1001]))),
        Rule::on_any("/endless", endless),
    ])?;
    let base = proxy.url();
    let answers = send(vec![get(&base, "/exact"), get(&base, "/more"), get(&base, "/endless")]).await;
    assert_eq!(answers[0].as_ref().unwrap().body.len(), 1000);
    assert_eq!(answers[1], Err(TransportError::TooLarge));
    assert_eq!(answers[2], Err(TransportError::TooLarge));
    Ok(())
}

#[tokio::test]
async fn the_time_limit_holds_for_the_whole_exchange() -> Result<()> {
    let proxy = server([Rule::on_any("/", Action::Stall)])?;
    let mut stalled = get(&proxy.url(), "/");
    stalled.timeout_ms = 100;
    assert_eq!(send(vec![stalled]).await, [Err(TransportError::Timeout)]);
    Ok(())
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_origin_only() -> Result<()> {
    let other = server([Rule::on_any("/", Action::Answer(Answer::new(200, "text/plain", "elsewhere")))])?;
    let proxy = server([
        Rule::on_any("/here", Action::redirect("/there")),
        Rule::on_any("/there", Action::Answer(Answer::new(200, "text/plain", "there"))),
        Rule::on_any("/other", Action::redirect(&format!("{}/", other.url()))),
        Rule::on_any("/loop", Action::redirect("/loop")),
    ])?;
    let base = proxy.url();
    let answers = send(vec![get(&base, "/here"), get(&base, "/other"), get(&base, "/loop")]).await;
    assert_eq!(answers[0].as_ref().unwrap().body, b"there");
    assert_eq!(answers[1], Err(TransportError::Redirected));
    assert_eq!(answers[2], Err(TransportError::Redirected));
    assert!(other.requests().is_empty(), "the other origin was never asked");
    Ok(())
}

#[tokio::test]
async fn the_token_goes_to_the_homeserver_and_nowhere_else() -> Result<()> {
    let (homeserver, other) = (server([])?, server([])?);
    for proxy in [&homeserver, &other] {
        proxy.add(Rule::on_any("/", Action::Answer(Answer::new(200, "text/plain", ""))));
    }
    let mut driver = Driver::new(Http::new()?);
    let path = |path: &str| request(Target::Homeserver(path.into()));
    assert_eq!(ask(&driver, vec![path("/_matrix/x")]).await, [Err(TransportError::NoToken)]);
    driver.homeserver = Some(Homeserver { base: Url::parse(&homeserver.url())?, token: None });
    assert_eq!(ask(&driver, vec![path("/_matrix/x")]).await, [Err(TransportError::NoToken)]);

    let token = Some(SecretText::new("syt_secret".into()));
    driver.homeserver = Some(Homeserver { base: Url::parse(&homeserver.url())?, token });
    let host = Url::parse(&other.url())?;
    let sideways = format!("@127.0.0.1:{}/", host.port().context("a port")?);
    let answers = ask(
        &driver,
        vec![path("/_matrix/x?y=z"), get(&other.url(), "/key"), get(&homeserver.url(), "/plain"), path(&sideways)],
    )
    .await;
    assert!(answers[..3].iter().all(Result::is_ok));
    assert_eq!(answers[3], Err(TransportError::Redirected), "a path that would be another host");

    let authorization = |proxy: &Proxy| -> Vec<_> {
        let requests = proxy.requests().into_iter();
        let mut found: Vec<_> = requests
            .map(|request| (request.asked.path, request.asked.headers.get(header::AUTHORIZATION).is_some()))
            .collect();
        found.sort();
        found
    };
    assert_eq!(authorization(&homeserver), [("/_matrix/x".into(), true), ("/plain".into(), false)]);
    assert_eq!(authorization(&other), [("/key".into(), false)]);
    Ok(())
}

#[tokio::test]
async fn bodies_are_json_and_methods_are_kept() -> Result<()> {
    let proxy = server([Rule::on(HttpMethod::PUT, "/", Action::Answer(Answer::new(200, "text/plain", "")))])?;
    let put = HttpRequest { method: Method::Put, body: Some("{\"a\":1}".into()), ..get(&proxy.url(), "/") };
    assert!(send(vec![put]).await[0].is_ok());
    let asked = proxy.requests().remove(0).asked;
    assert_eq!(asked.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(&asked.body[..], b"{\"a\":1}");
    assert!(asked.headers.get(header::COOKIE).is_none() && asked.headers.get(header::REFERER).is_none());
    Ok(())
}

#[tokio::test]
async fn vault_store_page_and_clock_are_those_that_were_given() -> Result<()> {
    let driver = Driver::new(Http::new()?);
    let text = driver
        .run(|io| async move {
            io.ask(Effect::Store(StoreCommand::Put("a".into(), "1".into()))).await;
            let before = io.now();
            io.ask(Effect::SleepUntil(UnixMillis(before.0 + 20))).await;
            assert!(io.now().0 >= before.0 + 20, "slept");
            assert!(matches!(io.ask(Effect::Page(PageCommand::RenewToken)).await, CoreAnswer::Page(PageAnswer::Gone)));
            match io.ask(Effect::Store(StoreCommand::Get("a".into()))).await {
                CoreAnswer::Record(text) => text,
                _ => None,
            }
        })
        .await;
    assert_eq!(text.as_deref(), Some("1"));

    let id = KeyId::parse("k1")?;
    let admit = Effect::Vault(VaultCommand::Admit { id: id.clone(), key: RecoveryKey::make_random()? });
    let CoreAnswer::Wrapped(wrapped) = driver.perform(admit).await else { panic!("not wrapped") };
    let derive = Effect::Vault(VaultCommand::Derive { id: id.clone(), wrapped, info: String::new() });
    assert!(matches!(driver.perform(derive).await, CoreAnswer::Derived(_)));
    assert!(matches!(driver.perform(Effect::Vault(VaultCommand::Forget(id.clone()))).await, CoreAnswer::Done));
    assert!(matches!(driver.perform(Effect::Vault(VaultCommand::Holds(id))).await, CoreAnswer::Holds(false)));

    let failing = Driver::with(Http::new()?, None, FailingVault, FailingStore, NoPage);
    let get = Effect::Store(StoreCommand::Get("a".into()));
    assert!(matches!(failing.perform(get).await, CoreAnswer::Failed));
    let holds = Effect::Vault(VaultCommand::Holds(KeyId::parse("k1")?));
    assert!(matches!(failing.perform(holds).await, CoreAnswer::Failed));
    let mixed = Driver::with(Http::new()?, None, MemoryVault::default(), MemoryStore::default(), NoPage);
    assert!(matches!(mixed.perform(Effect::SleepUntil(UnixMillis(0))).await, CoreAnswer::Done));
    Ok(())
}
