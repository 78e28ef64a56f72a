//! What is said when the server is up: where it is, how to get in, how to stop it.

use serde::Serialize;

use super::ServeArguments;
use super::root_password::RootPassword;
use crate::output::{Paint, Report, Tone, labelled};

/// The server, for people and programs.
#[derive(Debug, Serialize)]
pub(super) struct Announcement {
    event: &'static str,
    database: String,
    /// URIs, as clients take them.
    addresses: Vec<String>,
    authentication: bool,
    tls: bool,
    /// The file with a password that was made up at this start.
    #[serde(skip_serializing_if = "Option::is_none")]
    root_password_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
    process: u32,
    version: &'static str,
    #[serde(skip)]
    password: Option<RootPassword>,
    #[serde(skip)]
    client_certificates: bool,
}

impl Announcement {
    pub(super) fn new(
        arguments: &ServeArguments,
        addresses: &[String],
        probes: Option<&str>,
        password: Option<RootPassword>,
    ) -> Self {
        let tls = arguments.tls_cert.is_some();
        let scheme = if tls { "https" } else { "http" };
        let uri = |address: &String| match address.strip_prefix("unix:") {
            Some(_) => address.clone(),
            None => format!("{scheme}://{address}"),
        };
        let addresses: Vec<String> = addresses.iter().map(uri).collect();
        let own = probes.map(|address| format!("http://{address}"));
        let web = match &own {
            Some(_) => own.as_ref(),
            None => addresses.iter().find(|uri| uri.starts_with("http")),
        };
        let root_password_file = match &password {
            Some(RootPassword::Generated(path)) => Some(path.display().to_string()),
            _ => None,
        };
        Self {
            event: "serving",
            database: arguments.path.display().to_string(),
            health: web.map(|uri| format!("{uri}/healthz")),
            metrics: web.map(|uri| format!("{uri}/metrics")),
            addresses,
            authentication: password.is_some(),
            tls,
            root_password_file,
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            password,
            client_certificates: arguments.client_ca.is_some(),
        }
    }

    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    fn who(&self) -> String {
        match &self.password {
            None => "everybody (--no-auth)".into(),
            Some(RootPassword::Kept) => {
                "root with its password, other users, API keys (`milvusctl key`)".into()
            }
            Some(RootPassword::Given) => {
                "root with the password that was given; it will not be asked for again".into()
            }
            Some(RootPassword::Generated(path)) => {
                format!("root with the password in {}", path.display())
            }
        }
    }

    /// A line of Python and one of Rust that connect.
    fn examples(&self) -> (String, String) {
        let uri = self.addresses.first().cloned().unwrap_or_default();
        let mut python = format!("MilvusClient({uri:?}");
        let mut rust =
            format!("connections().add_connection([(\"here\", ConnectionParams::uri({uri:?})");
        if let Some(password) = &self.password {
            let file = match password {
                RootPassword::Generated(path) => path.display().to_string(),
                _ => "PASSWORD-FILE".into(),
            };
            python.push_str(&format!(", user=\"root\", password=open({file:?}).read()"));
            rust.push_str(&format!(".user(\"root\").password_file({file:?})"));
        }
        if uri.starts_with("unix:") {
            // gRPC's C core names the socket's path as the authority otherwise, which HTTP/2 doesn't allow.
            python.push_str(", grpc_options={\"grpc.default_authority\": \"localhost\"}");
        } else if self.tls {
            // With one-way TLS PyMilvus takes its authorities from `server_pem_path` only.
            let python_ca = if self.client_certificates {
                "ca_pem_path"
            } else {
                "server_pem_path"
            };
            python.push_str(&format!(", secure=True, {python_ca}=\"ca.pem\""));
            rust.push_str(".ca_pem_path(\"ca.pem\")");
        }
        if self.client_certificates && !uri.starts_with("unix:") {
            python.push_str(", client_pem_path=\"client.pem\", client_key_path=\"client.key\"");
            rust.push_str(".client_pem_path(\"client.pem\").client_key_path(\"client.key\")");
        }
        python.push(')');
        rust.push_str(")])?");
        (python, rust)
    }
}

impl Report for Announcement {
    fn render(&self, paint: Paint) -> String {
        let (python, rust) = self.examples();
        let addresses = self.addresses.join(", ");
        let who = self.who();
        let mut parts = vec![
            ("who", who.as_str()),
            ("PyMilvus", python.as_str()),
            ("Rust", rust.as_str()),
        ];
        if let Some(health) = &self.health {
            parts.push(("probes", health));
        }
        if let Some(metrics) = &self.metrics {
            parts.push(("metrics", metrics));
        }
        parts.push(("stop", "Ctrl-C, or SIGTERM"));
        format!(
            "{} serving {} at {}\n{}",
            paint.tone(Tone::Good, "✓"),
            paint.tone(Tone::Strong, &self.database),
            paint.tone(Tone::Strong, &addresses),
            labelled(&parts, paint)
        )
    }
}
