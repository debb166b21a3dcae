//! HTTPS on loopback, with a certificate that is made for it and that nobody vouches for.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const REQUEST: [&str; 13] = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "7",
    "-subj",
    "/CN=127.0.0.1",
    "-addext",
    "subjectAltName=IP:127.0.0.1",
];

/// Makes key and certificate.
pub(crate) fn acceptor() -> Result<TlsAcceptor> {
    let openssl = keystead_tools::on_path("openssl").context("openssl is not installed")?;
    let dir = tempfile::Builder::new().prefix("keystead-tls-").tempdir()?;
    let (key, certificate) = (dir.path().join("key.pem"), dir.path().join("certificate.pem"));
    let made = Command::new(openssl).args(REQUEST).arg("-keyout").arg(&key).arg("-out").arg(&certificate).output()?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    let key = PrivateKeyDer::from_pem_file(&key)?;
    let certificate = CertificateDer::from_pem_file(&certificate)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
