//! The server's side of TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::options::{ServeError, ServerTls};

pub(crate) fn acceptor(tls: &ServerTls) -> Result<TlsAcceptor, ServeError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |what: &str, reason: String| ServeError::Tls {
        what: what.to_owned(),
        reason,
    };
    let chain = certificates("the server's certificate", &tls.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| {
        failed(
            &format!("the server's key {} can't be read", tls.key.display()),
            error.to_string(),
        )
    })?;
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS can't be set up", error.to_string()))?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates("the clients' authority", path)?);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| {
                failed("the clients' authority can't be used", error.to_string())
            })?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        failed(
            "the server's certificate and key can't be used together",
            error.to_string(),
        )
    })?;
    // HTTP/1.1 is for /healthz and /metrics.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let failed = |reason: String| ServeError::Tls {
        what: format!("{what} {} can't be read", path.display()),
        reason,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| failed(error.to_string()))?;
    if chain.is_empty() {
        Err(failed("there is no PEM certificate in it".into()))
    } else {
        Ok(chain)
    }
}
