//! TLS for the fault server, with what can be wrong about it.
//!
//! Invariant: the server's side of TLS is honest; what is wrong is the certificate that it was given, its protocols, or
//! what it wants to see of the client.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

use crate::certificates::Identity;

/// How a fault server speaks TLS.
#[derive(Clone, Debug)]
pub struct FaultTls {
    /// The certificate that it shows.
    pub identity: Identity,
    /// The protocols that it can be asked for by ALPN. Empty: it has never heard of ALPN.
    pub protocols: Vec<String>,
    /// The authority of the clients' certificates, PEM; without it no certificate is asked for.
    pub client_ca: Option<std::path::PathBuf>,
}

impl FaultTls {
    /// TLS with this certificate and ALPN `h2`.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            protocols: vec!["h2".to_owned()],
            client_ca: None,
        }
    }

    pub(super) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let provider = Arc::new(crypto::ring::default_provider());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&self.identity.certificate)
            .map_err(io::Error::other)?
            .collect();
        let chain = chain.map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_file(&self.identity.key).map_err(io::Error::other)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                let authority = CertificateDer::from_pem_file(path).map_err(io::Error::other)?;
                roots.add(authority).map_err(io::Error::other)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(io::Error::other)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut configuration = builder
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        configuration.alpn_protocols = self
            .protocols
            .iter()
            .map(|name| name.clone().into_bytes())
            .collect();
        Ok(TlsAcceptor::from(Arc::new(configuration)))
    }
}
