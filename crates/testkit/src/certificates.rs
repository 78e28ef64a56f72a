//! The certificates that TLS tests need, made anew for each run.
//!
//! Invariant: each bad certificate is bad in exactly one way, so that a test that sees an error knows which check failed.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::Failure;

/// The name in the certificate of the Zilliz-Cloud-like front; no resolver knows it, tests give it as server name.
pub const CLOUD_SERVER_NAME: &str = "in01-0123456789abcdef.vectordb.zillizcloud.test";

/// The name in the certificate that was made out for somebody else.
pub const OTHER_SERVER_NAME: &str = "milvus.elsewhere.test";

/// Paths of a certificate (chain) and its private key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PKCS #8 in PEM, readable by the owner only.
    pub key: PathBuf,
}

impl Identity {
    fn in_directory(directory: &Path, name: &str) -> Self {
        Self {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        }
    }
}

/// A directory of PEM files: a certificate authority, good certificates, and bad ones.
///
/// ```
/// # use milvus_testkit::{Certificates, Scratch};
/// let directory = Scratch::new("certificates").unwrap();
/// let certificates = Certificates::generate(directory.path()).unwrap();
/// assert!(certificates.ca().exists() && certificates.server().key.exists());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    directory: PathBuf,
}

impl Certificates {
    /// Makes all certificates in `directory`, which must exist.
    ///
    /// # Errors
    /// When a certificate can't be made or written.
    pub fn generate(directory: &Path) -> Result<Self, Failure> {
        let failed = |e: rcgen::Error| Failure::because("could not make the test certificates", e);
        let certificates = Self {
            directory: directory.to_owned(),
        };
        let authority = Authority::generate("milvus-connections test authority").map_err(failed)?;
        let unknown = Authority::generate("an authority that nobody trusts").map_err(failed)?;
        write(&certificates.ca(), &authority.pem)?;
        write(&certificates.unknown_ca(), &unknown.pem)?;

        let local = ["localhost", "127.0.0.1", "::1"];
        let server = |names: &[&str]| {
            parameters(
                "milvus test server",
                names,
                ExtendedKeyUsagePurpose::ServerAuth,
            )
        };
        authority.issue(&server(&local).map_err(failed)?, &certificates.server())?;
        authority.issue(
            &server(&[OTHER_SERVER_NAME]).map_err(failed)?,
            &certificates.other_name(),
        )?;
        authority.issue(
            &server(&[CLOUD_SERVER_NAME, "localhost"]).map_err(failed)?,
            &certificates.cloud(),
        )?;
        unknown.issue(
            &server(&local).map_err(failed)?,
            &certificates.unknown_authority(),
        )?;

        let mut expired = server(&local).map_err(failed)?;
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2021, 1, 1);
        authority.issue(&expired, &certificates.expired())?;
        let mut future = server(&local).map_err(failed)?;
        future.not_before = date_time_ymd(2400, 1, 1);
        future.not_after = date_time_ymd(2401, 1, 1);
        authority.issue(&future, &certificates.not_yet_valid())?;

        let client = || {
            parameters(
                "milvus test client",
                &["client"],
                ExtendedKeyUsagePurpose::ClientAuth,
            )
        };
        authority.issue(&client().map_err(failed)?, &certificates.client())?;
        unknown.issue(&client().map_err(failed)?, &certificates.unknown_client())?;
        Ok(certificates)
    }

    /// The certificates that an earlier [`Certificates::generate`] wrote to `directory`.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The directory that holds all files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The certificate authority that clients and servers of the tests trust, PEM.
    pub fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Another certificate authority, PEM.
    pub fn unknown_ca(&self) -> PathBuf {
        self.directory.join("unknown-ca.pem")
    }

    /// A good server certificate for `localhost`, `127.0.0.1` and `::1`.
    pub fn server(&self) -> Identity {
        self.identity("server")
    }

    /// A server certificate for [`CLOUD_SERVER_NAME`] and `localhost`.
    pub fn cloud(&self) -> Identity {
        self.identity("cloud")
    }

    /// As [`Certificates::server`], but valid in the year 2020 only.
    pub fn expired(&self) -> Identity {
        self.identity("expired")
    }

    /// As [`Certificates::server`], but valid in the year 2400 only.
    pub fn not_yet_valid(&self) -> Identity {
        self.identity("not-yet-valid")
    }

    /// A server certificate for [`OTHER_SERVER_NAME`] only.
    pub fn other_name(&self) -> Identity {
        self.identity("other-name")
    }

    /// As [`Certificates::server`], but issued by [`Certificates::unknown_ca`].
    pub fn unknown_authority(&self) -> Identity {
        self.identity("unknown-authority")
    }

    /// A good client certificate.
    pub fn client(&self) -> Identity {
        self.identity("client")
    }

    /// A client certificate issued by [`Certificates::unknown_ca`].
    pub fn unknown_client(&self) -> Identity {
        self.identity("unknown-client")
    }

    fn identity(&self, name: &str) -> Identity {
        Identity::in_directory(&self.directory, name)
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn generate(name: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    fn issue(&self, params: &CertificateParams, identity: &Identity) -> Result<(), Failure> {
        let failed = |e: rcgen::Error| Failure::because("could not make the test certificates", e);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        write(&identity.certificate, &certificate.pem())?;
        write(&identity.key, &key.serialize_pem())
    }
}

fn parameters(
    name: &str,
    names: &[&str],
    purpose: ExtendedKeyUsagePurpose,
) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    Ok(params)
}

fn write(path: &Path, pem: &str) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
        .open(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, pem.as_bytes()))
        .map_err(|e| Failure::because(format!("could not write {}", path.display()), e))
}
