//! The web server of a deployment: the files of an Element Web build, or of the host page, and a generated `config.json`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::routing::get;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value, json};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::server::Server;

/// What a test wants of the deployment beyond the defaults.
#[derive(Clone, Debug, Default)]
pub struct HostPageOptions {
    /// Fields that are added to `config.json` or replace the testbed's.
    pub config: Map<String, Value>,
    /// The folder that it is served from, such as `/element`; the origin's root where it is empty.
    pub folder: String,
}

/// A running web server for one deployment.
#[derive(Debug)]
pub struct HostPage {
    server: Server,
    dir: PathBuf,
}

impl HostPage {
    /// Serves `dir`, with a `config.json` that names the homeserver.
    ///
    /// # Errors
    /// If `dir` has no `index.html`.
    pub fn start(dir: &Path, homeserver_url: &str, server_name: &str, options: HostPageOptions) -> Result<Self> {
        if !dir.join("index.html").is_file() {
            bail!("{} is no host page and no Element Web build: it has no index.html", dir.display());
        }
        let folder = options.folder.clone();
        let config = configuration(homeserver_url, server_name, options).to_string();
        let config = get(move || async move { ([(header::CONTENT_TYPE, "application/json")], config) });
        // Nobody may see the files of an earlier test on the same port.
        let fresh = SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let files = ServeDir::new(dir);
        let inner = Router::new().route("/config.json", config).fallback_service(files).layer(fresh);
        let router = if folder.is_empty() { inner } else { Router::new().nest_service(&folder, inner) };
        let service = TowerToHyperService::new(router);
        let server = Server::start(move |request| {
            let service = service.clone();
            async move { Ok(service.call(request).await?) }
        })?;
        Ok(Self { server, dir: dir.to_owned() })
    }

    /// The origin of the deployment, such as `http://127.0.0.1:4711`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The directory that is served.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn configuration(homeserver_url: &str, server_name: &str, options: HostPageOptions) -> Value {
    let mut config = json!({
        "default_server_config": {"m.homeserver": {"base_url": homeserver_url, "server_name": server_name}},
        "disable_custom_urls": true,
        "disable_guests": true,
        "disable_3pid_login": true,
        "brand": "Element",
        "default_theme": "light",
        "show_labs_settings": false,
        "room_directory": {"servers": [server_name]},
    });
    if let Some(config) = config.as_object_mut() {
        config.extend(options.config);
    }
    config
}
