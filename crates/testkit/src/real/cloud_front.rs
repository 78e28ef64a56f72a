//! An nginx that stands in front of a Milvus as Zilliz Cloud's load balancer does: TLS, ALPN `h2`, a name that must be
//! asked for (SNI), and gRPC passed on with its metadata.
//!
//! Invariant: nothing of the system's nginx is touched: own configuration, own directory, own port, own processes.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::python::prepare_once;
use super::{Server, ServerTls};
use crate::certificates::{CLOUD_SERVER_NAME, Certificates};
use crate::ports::free_port;
use crate::process::{find_program, run_to_end};
use crate::{Failure, Scratch, ServerProcess};

const START_LIMIT: Duration = Duration::from_secs(60);
const INSTALL_LIMIT: Duration = Duration::from_secs(5 * 60);

/// A running front; dropping it stops nginx.
#[derive(Debug)]
pub struct CloudFront {
    _process: ServerProcess,
    server: Server,
    _directory: Scratch,
}

impl CloudFront {
    /// Starts nginx in front of `upstream`, a Milvus without TLS, and waits until its port accepts connections.
    ///
    /// # Errors
    /// When nginx is not installed, or does not start.
    pub fn start(upstream: &Server, certificates: &Certificates) -> Result<Self, Failure> {
        let nginx = installation()?;
        let directory = Scratch::new("nginx")?;
        let port = free_port()?;
        let configuration = directory.write(
            "nginx.conf",
            &configuration(&directory, port, upstream, certificates),
        )?;
        let mut process =
            ServerProcess::spawn("nginx", &nginx, &directory.path().join("log"), |command| {
                command
                    .arg("-p")
                    .arg(directory.path())
                    .arg("-c")
                    .arg(&configuration)
                    .args(["-e", "stderr"]);
            })?;
        process.wait_until(START_LIMIT, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })?;
        let tls = ServerTls {
            ca: certificates.ca(),
            server_name: Some(CLOUD_SERVER_NAME.to_owned()),
            client: None,
        };
        let credentials = upstream.credentials.clone();
        let server = Server {
            host: "127.0.0.1".to_owned(),
            port,
            credentials,
            tls: Some(tls),
        };
        Ok(Self {
            _process: process,
            server,
            _directory: directory,
        })
    }

    /// How to reach it.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// The system's nginx; else Debian's package, unpacked beside the other servers. Installing the package would need root
/// and might start a web server on port 80; unpacking it does neither.
fn installation() -> Result<PathBuf, Failure> {
    if let Some(nginx) = find_program("nginx") {
        return Ok(nginx);
    }
    let advice = "the tests need nginx, and Debian's package could not be unpacked: install nginx (`apt-get install nginx`)";
    let directory = prepare_once("nginx", |directory| {
        fs::create_dir_all(directory).map_err(|e| Failure::because(advice, e))?;
        unpack_debian_package(directory).map_err(|e| Failure::because(advice, e))
    })?;
    Ok(directory.join("usr/sbin/nginx"))
}

fn unpack_debian_package(directory: &Path) -> Result<(), Failure> {
    let scratch = Scratch::new("nginx-package")?;
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(directory)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run_to_end(&mut command, INSTALL_LIMIT, scratch.path())
    };
    if run("apt-get", &["download", "nginx"]).is_err() {
        run("apt-get", &["update"])?;
        run("apt-get", &["download", "nginx"])?;
    }
    run(
        "sh",
        &[
            "-c",
            "dpkg-deb --extract nginx_*.deb . && ./usr/sbin/nginx -v",
        ],
    )
    .map(drop)
}

/// A client that asks for an unknown name, or for none, is turned away during the handshake.
fn configuration(
    directory: &Scratch,
    port: u16,
    upstream: &Server,
    certificates: &Certificates,
) -> String {
    let path = |path: PathBuf| path.display().to_string();
    let identity = certificates.cloud();
    let (certificate, key) = (path(identity.certificate), path(identity.key));
    let temporary = |name: &str| format!("{name}_temp_path {};", path(directory.path().join(name)));
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(temporary)
        .join("\n  ");
    // Only root may give the workers another user, and only then would they lose access to the directory.
    let user = if rustix::process::geteuid().is_root() {
        "user root root;\n"
    } else {
        ""
    };
    format!(
        r"{user}daemon off;
pid {pid};
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server_names_hash_bucket_size 128;
  {temporary}
  server {{
    listen 127.0.0.1:{port} ssl http2 default_server;
    ssl_reject_handshake on;
  }}
  server {{
    listen 127.0.0.1:{port} ssl http2;
    server_name {CLOUD_SERVER_NAME} localhost;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    client_max_body_size 0;
    location / {{
      grpc_pass grpc://{upstream};
      grpc_read_timeout 1h;
      grpc_send_timeout 1h;
    }}
  }}
}}
",
        pid = path(directory.path().join("pid")),
        upstream = upstream.address(),
    )
}
