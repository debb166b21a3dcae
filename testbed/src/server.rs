//! An HTTP server on loopback that ends, with every connection, when it is dropped.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;

use anyhow::{Context, Result, anyhow};
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A handler's answer: `Err` closes the connection without a word.
pub(crate) type Reply = Result<Response<Body>, Box<dyn Error + Send + Sync>>;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    scheme: &'static str,
    address: SocketAddr,
    task: JoinHandle<()>,
    network: watch::Sender<Network>,
}

/// The state of the network in front of a server.
#[derive(Clone, Copy, Debug, Default)]
struct Network {
    cut: bool,
    /// How often it was cut: a cut that was mended at once has broken the connections all the same.
    cuts: usize,
}

impl Server {
    /// Serves `handler` on a free loopback port.
    pub(crate) fn start<H, F>(handler: H) -> Result<Self>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::start_as(None, handler)
    }

    /// The same, over HTTPS where there is an acceptor.
    pub(crate) fn start_as<H, F>(tls: Option<TlsAcceptor>, handler: H) -> Result<Self>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (sender, network) = watch::channel(Network::default());
        let task = runtime()?.spawn(async move {
            // Binding happened above; only a runtime that shuts down can refuse the listener.
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                accept(listener, network, tls, handler).await;
            }
        });
        Ok(Self { scheme, address, task, network: sender })
    }

    /// The server's address, such as `http://127.0.0.1:4711`.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Cuts all connections and every new one, or lets new ones in again.
    pub(crate) fn set_reachable(&self, reachable: bool) {
        self.network.send_modify(|network| {
            network.cuts += usize::from(!reachable);
            network.cut = !reachable;
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Dropping the accepting task drops its connections with it.
        self.task.abort();
    }
}

/// The runtime of all servers: they are shared between tests, and the runtime of one test ends with that test.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    // Made exactly once: a second one would have to be dropped, which a thread of another runtime may not do.
    static RUNTIME: LazyLock<io::Result<Runtime>> =
        LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).thread_name("testbed").enable_all().build());
    RUNTIME.as_ref().map_err(|error| anyhow!("cannot start the testbed's runtime: {error}"))
}

async fn serve<I, H, F>(stream: I, handler: H)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    // A connection that breaks is the other side's business.
    let _ =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(handler)).await;
}

async fn accept<H, F>(
    listener: tokio::net::TcpListener,
    mut network: watch::Receiver<Network>,
    tls: Option<TlsAcceptor>,
    handler: H,
) where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut cuts = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if network.borrow().cut {
                    // Reset instead of a polite end: this is what a cut network looks like from the other side.
                    let _ = stream.set_zero_linger();
                    continue;
                }
                let _ = stream.set_nodelay(true);
                let (handler, tls) = (handler.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, handler).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, handler).await;
                            }
                        }
                    }
                });
            }
            changed = network.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = network.borrow_and_update().cuts;
                if std::mem::replace(&mut cuts, now) != now {
                    connections.abort_all();
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
