//! How TLS is done, and what a TLS failure means.
//!
//! Invariant: a peer is trusted only through the system's roots or the files that the user named; nothing here can turn
//! verification off. HTTP/2 (ALPN `h2`) is offered and nothing else.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

mod failure;

pub(crate) use failure::{find_tls_error, tls_failure};

/// Files and names for TLS; all optional. Paths are read at each dial, so that replaced files take effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsOptions {
    /// PEM file of the certificate authorities to trust instead of the system's.
    pub ca_pem_path: Option<PathBuf>,
    /// PEM file of the client's certificate chain, for mutual TLS; goes with `client_key_path`.
    pub client_pem_path: Option<PathBuf>,
    /// PEM file of the client's private key, for mutual TLS; goes with `client_pem_path`.
    pub client_key_path: Option<PathBuf>,
    /// PEM file of the server's own certificate (or of its authority), trusted instead of the system's roots.
    pub server_pem_path: Option<PathBuf>,
    /// The name that the server's certificate must be valid for, and that is sent as SNI; by default the target's host.
    pub server_name: Option<String>,
}

/// A TLS option that can't be used: which file or name, and why. Holds no key material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsConfigError(pub(crate) String);

impl TlsOptions {
    /// True when nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the files and makes the client side of TLS; without a certificate, `asked` learns whether one was wanted.
    pub(crate) fn client_config(
        &self,
        asked: &Arc<NoCertificate>,
    ) -> Result<Arc<ClientConfig>, TlsConfigError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (roots, pinned) = self.trust()?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|e| TlsConfigError(format!("the trusted certificates can't be used: {e}")))?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsConfigError(format!("TLS can't be set up: {e}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedOrTrusted { verifier, pinned }));
        let mut config = match (&self.client_pem_path, &self.client_key_path) {
            (Some(certificate), Some(key)) => {
                let chain = certificates("client_pem_path", certificate)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|e| unreadable("client_key_path", key, &e))?;
                builder.with_client_auth_cert(chain, key).map_err(|e| {
                    TlsConfigError(format!(
                        "client_pem_path and client_key_path can't be used together: {e}"
                    ))
                })?
            }
            (None, None) => {
                builder.with_client_cert_resolver(Arc::clone(asked) as Arc<dyn ResolvesClientCert>)
            }
            (Some(_), None) => {
                return Err(TlsConfigError(
                    "client_pem_path is given without client_key_path".into(),
                ));
            }
            (None, Some(_)) => {
                return Err(TlsConfigError(
                    "client_key_path is given without client_pem_path".into(),
                ));
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// The roots to trust, and server certificates that are trusted as they are.
    fn trust(&self) -> Result<(Arc<RootCertStore>, Vec<CertificateDer<'static>>), TlsConfigError> {
        if self.ca_pem_path.is_none() && self.server_pem_path.is_none() {
            return system_roots().map(|roots| (roots, Vec::new()));
        }
        let mut roots = RootCertStore::empty();
        let mut pinned = Vec::new();
        if let Some(path) = &self.ca_pem_path {
            roots.add_parsable_certificates(certificates("ca_pem_path", path)?);
        }
        if let Some(path) = &self.server_pem_path {
            pinned = certificates("server_pem_path", path)?;
            roots.add_parsable_certificates(pinned.iter().cloned());
        }
        if roots.is_empty() {
            return Err(TlsConfigError("ca_pem_path or server_pem_path holds no certificate that can be used as a trust anchor".into()));
        }
        Ok((Arc::new(roots), pinned))
    }

    /// The name to verify and to send as SNI.
    pub(crate) fn verified_name(&self, host: &str) -> Result<ServerName<'static>, TlsConfigError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned())
            .map_err(|_| TlsConfigError(format!("{name:?} is no valid server name for TLS")))
    }
}

fn certificates(field: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| unreadable(field, path, &e))?;
    if chain.is_empty() {
        return Err(TlsConfigError(format!(
            "{field}: {} holds no PEM certificate",
            path.display()
        )));
    }
    Ok(chain)
}

fn unreadable(field: &str, path: &Path, error: &rustls_pki_types::pem::Error) -> TlsConfigError {
    TlsConfigError(format!(
        "{field}: {} can't be read: {error}",
        path.display()
    ))
}

/// The system's roots, read once per process: it costs tens of milliseconds.
fn system_roots() -> Result<Arc<RootCertStore>, TlsConfigError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(TlsConfigError(
            "the system has no trusted root certificates (install the package ca-certificates, or give ca_pem_path)".into(),
        ));
    }
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}

/// Has no client certificate, and remembers whether the server asked for one: a server that refuses the lack of it by
/// resetting the connection may leave no other trace.
#[derive(Debug, Default)]
pub(crate) struct NoCertificate {
    asked: AtomicBool,
}

impl NoCertificate {
    pub(crate) fn was_asked_for(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for NoCertificate {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// The usual verification, and beside it: a server certificate that the user handed over as `server_pem_path` is
/// trusted as it is, even where it is marked as an authority (as self-signed ones from `openssl req -x509` are).
#[derive(Debug)]
struct PinnedOrTrusted {
    verifier: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for PinnedOrTrusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match &verdict {
            Err(rustls::Error::InvalidCertificate(reason))
                if failure::is_about_the_chain(reason) && self.pinned.contains(end_entity) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            _ => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
