//! `keystead manifest check` against a server that serves a release as it should, and in every way that it should not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions shared by tests are test code too"
)]

mod releases;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anyhow::Result;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};
use releases::{files, key, make_manifest, manifest, said, vectors};
use serde_json::Value;
use tempfile::TempDir;

#[derive(Clone)]
enum Served {
    Bytes(Vec<u8>),
    Redirect(String),
    /// So many bytes more than there should be.
    Longer(Vec<u8>, usize),
    Endless(Vec<u8>),
}

type Pages = Arc<Mutex<BTreeMap<String, Served>>>;

async fn answer(State(pages): State<Pages>, uri: Uri) -> Response {
    let path = if uri.path().ends_with('/') { format!("{}index.html", uri.path()) } else { uri.path().to_owned() };
    let found = pages.lock().unwrap().get(&path).cloned();
    match found {
        None => (StatusCode::NOT_FOUND, "<html>nothing</html>").into_response(),
        Some(Served::Bytes(bytes)) => bytes.into_response(),
        Some(Served::Redirect(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Some(Served::Longer(bytes, more)) => [bytes, vec![b' '; more]].concat().into_response(),
        Some(Served::Endless(bytes)) => {
            let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
            Body::from_stream(first.chain(stream::pending())).into_response()
        }
    }
}

struct Deployment {
    folder: TempDir,
    pages: Pages,
    url: String,
}

impl Deployment {
    async fn start(base: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        make_manifest(folder.path()).await?;
        let pages: Pages = Arc::default();
        for part in ["release", "site"] {
            for (path, bytes) in files(&vectors().join(part))? {
                pages.lock().unwrap().insert(format!("{base}{path}"), Served::Bytes(bytes));
            }
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}{base}", listener.local_addr()?);
        let app = Router::new().fallback(answer).with_state(pages.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { folder, pages, url })
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        match self.pages.lock().unwrap().get(path) {
            Some(Served::Bytes(bytes)) => bytes.clone(),
            _ => panic!("{path}"),
        }
    }

    fn serve(&self, path: &str, served: Served) {
        self.pages.lock().unwrap().insert(path.to_owned(), served);
    }

    async fn check(&self, more: &[&str]) -> Result<(Option<i32>, String)> {
        let arguments = [&["check", &*self.url, "--manifest", "manifest.json", "--timeout", "2"], more].concat();
        let output = manifest(self.folder.path(), &arguments).await?;
        Ok((output.status.code(), said(&output)))
    }
}

#[tokio::test]
async fn a_deployment_that_is_as_it_should_be_passes() -> Result<()> {
    for base in ["/", "/element/"] {
        let deployment = Deployment::start(base).await?;
        let (code, said) = deployment.check(&[]).await?;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.ends_with(": Element Web 1.12.0, 24 of 24 files are as listed\n"), "{said}");
        // However the settings are written, their values are what counts.
        let config = format!("{base}config.json");
        let values: Value = serde_json::from_slice(&deployment.bytes(&config))?;
        deployment.serve(&config, Served::Bytes(serde_json::to_vec(&values)?));
        assert_eq!(deployment.check(&[]).await?.0, Some(0));
    }
    Ok(())
}

#[tokio::test]
async fn everything_that_is_not_as_it_should_be_is_named() -> Result<()> {
    let bundle = "/bundles/0123456789abcdef0123/bundle.js";
    let flipped = |mut bytes: Vec<u8>| {
        bytes[10] ^= 1;
        Served::Bytes(bytes)
    };
    let deployment = Deployment::start("/").await?;
    let original = deployment.pages.lock().unwrap().clone();
    let of = |path: &str| deployment.bytes(path);
    let config = String::from_utf8(of("/config.json"))?;
    let config = |from: &str, to: &str| Served::Bytes(config.replace(from, to).into_bytes());
    let table: Vec<(&str, &str, Option<Served>)> = vec![
        (bundle, "KS-INT-CHANGED", Some(flipped(of(bundle)))),
        (bundle, "KS-INT-CHANGED", Some(Served::Longer(of(bundle), 1))),
        (bundle, "KS-INT-CHANGED", Some(Served::Bytes(of(bundle)[1..].to_vec()))),
        (bundle, "KS-INT-MISSING", None),
        (bundle, "KS-INT-TOO-LARGE", Some(Served::Longer(of(bundle), 5 << 20))),
        (bundle, "KS-INT-UNREACHABLE", Some(Served::Endless(of(bundle)))),
        (bundle, "KS-INT-REDIRECT", Some(Served::Redirect("http://localhost:9/x.js".into()))),
        ("/index.html", "KS-INT-CHANGED", Some(flipped(of("/index.html")))),
        ("/usercontent/index.html", "KS-INT-CHANGED", Some(flipped(of("/usercontent/index.html")))),
        ("/welcome.html", "KS-INT-CHANGED", Some(Served::Bytes(b"<h1>Welcome to Element</h1>\n".to_vec()))),
        ("/modules/company.js", "KS-INT-CHANGED", Some(flipped(of("/modules/company.js")))),
        ("/config.json", "KS-INT-CONFIG", Some(config("matrix.example.org", "matrix.example.net"))),
        ("/config.json", "KS-INT-CONFIG", Some(config("\"modules/company.js\"", "\"modules/company.js\", \"x.js\""))),
        ("/config.json", "KS-INT-CONFIG", Some(config("{", "{\"brand\": \"Chat\", "))),
        ("/config.json", "KS-INT-CONFIG", Some(Served::Bytes(b"<html>".to_vec()))),
        ("/config.json", "KS-INT-MISSING", None),
        ("/config.127.0.0.1.json", "KS-INT-UNLISTED", Some(Served::Bytes(b"{}".to_vec()))),
    ];
    for (path, code, served) in table {
        *deployment.pages.lock().unwrap() = original.clone();
        match served {
            Some(served) => deployment.serve(path, served),
            None => drop(deployment.pages.lock().unwrap().remove(path)),
        }
        let (exit, said) = deployment.check(&[]).await?;
        let expected = format!("{}: {code}: ", path.trim_start_matches('/'));
        assert!(said.starts_with(&expected), "{expected} and not {said}");
        // What is served beside what is listed takes nothing away.
        let good = if code == "KS-INT-UNLISTED" { 24 } else { 23 };
        assert!(exit == Some(1) && said.contains(&format!(" {good} of 24 files")), "{said}");
        let (exit, json) = deployment.check(&["--json"]).await?;
        let line: Value = serde_json::from_str(json.trim_end())?;
        assert_eq!((exit, &line["path"], &line["code"]), (Some(1), &path[1..].into(), &code.into()));
    }
    // A server that answers with its page wherever there is nothing brings no settings.
    *deployment.pages.lock().unwrap() = original.clone();
    deployment.serve("/config.127.0.0.1.json", Served::Bytes(b"<html>".to_vec()));
    assert_eq!(deployment.check(&[]).await?.0, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed() -> Result<()> {
    let deployment = Deployment::start("/").await?;
    let bundle = "/bundles/0123456789abcdef0123/bundle.js";
    deployment.serve("/elsewhere.js", Served::Bytes(deployment.bytes(bundle)));
    deployment.serve(bundle, Served::Redirect("/elsewhere.js".into()));
    let (code, said) = deployment.check(&[]).await?;
    assert_eq!(code, Some(0), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_signature_of_the_manifest_is_checked_where_signers_are_given() -> Result<()> {
    let deployment = Deployment::start("/").await?;
    let folder = deployment.folder.path();
    manifest(folder, &["sign", "manifest.json", "--key", &key("signer.sec.asc")]).await?;
    assert_eq!(deployment.check(&["--signer", &key("signer.asc")]).await?.0, Some(0));
    let (code, said) = deployment.check(&["--signer", &key("stranger.asc")]).await?;
    assert!(code == Some(1) && said.starts_with("KS-SGN-SIGNER: "), "{said}");
    Ok(())
}
