//! A private Milvus 2.3.5 from the PyPI wheel (x86-64 Linux): own ports, own data, own process.
//!
//! Invariant: a server is handed out only after its proxy answers, and it can be killed, paused and started again on the
//! same ports and data, which is what tests of reconnection need.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use rustix::process::Signal;

use super::configuration::fill_template;
use super::python::{MILVUS_SERVER, Python, prepare_once};
use super::{ROOT_PASSWORD, ROOT_USER, Server, ServerTls};
use crate::certificates::{Certificates, Identity};
use crate::ports::free_ports;
use crate::process::run_to_end;
use crate::{Failure, Scratch, ServerProcess};

/// Healthy after 8 to 20 s on two idle cores; a machine that compiles at the same time takes a few times that.
const START_LIMIT: Duration = Duration::from_secs(180);
const UNPACK_LIMIT: Duration = Duration::from_secs(10 * 60);
/// How often a start is tried: another process may take one of the ports between the check and Milvus's bind.
const START_ATTEMPTS: usize = 3;

/// Milvus's `tlsMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain text.
    #[default]
    Off,
    /// The server shows a certificate.
    OneWay,
    /// Both sides show one; Milvus then speaks TLS 1.3 only.
    Mutual,
}

/// How to start a [`Milvus`].
#[derive(Clone, Debug, Default)]
pub struct MilvusOptions {
    /// Whether calls need `root:Milvus` or the credentials of a user made later.
    pub authorization: bool,
    /// TLS on the public port.
    pub tls: TlsMode,
    /// Where the certificates are; needed unless `tls` is [`TlsMode::Off`].
    pub certificates: Option<Certificates>,
    /// The certificate to show, when it is not [`Certificates::server`].
    pub server_certificate: Option<Identity>,
}

/// A running Milvus; dropping it stops the server and removes its data.
#[derive(Debug)]
pub struct Milvus {
    // Declared before the data so that the server is gone when its directory is removed.
    process: ServerProcess,
    installation: PathBuf,
    data: Scratch,
    ports: Ports,
    options: MilvusOptions,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    proxy: u16,
    metrics: u16,
    etcd: u16,
    etcd_peer: u16,
    inner: [u16; 7],
}

impl Milvus {
    /// Installs Milvus below the testkit's directory when it is not there yet.
    ///
    /// # Errors
    /// When it can't be installed.
    pub fn install() -> Result<(), Failure> {
        installation().map(drop)
    }

    /// Installs Milvus when it is not there yet, starts one, and waits until it answers.
    ///
    /// # Errors
    /// When it can't be installed, or does not get ready; the error shows the end of its log.
    pub fn start(options: MilvusOptions) -> Result<Self, Failure> {
        let mut failure = Failure::new("Milvus was not started");
        for _ in 0..START_ATTEMPTS {
            let started = Self::launch(options.clone())
                .and_then(|mut server| server.wait_until_ready().map(|()| server));
            match started {
                Ok(server) => return Ok(server),
                Err(e) if e.to_string().contains("address already in use") => failure = e,
                Err(e) => return Err(e),
            }
        }
        Err(failure)
    }

    /// As [`Milvus::start`], for several servers at once; they come up side by side.
    ///
    /// # Errors
    /// As [`Milvus::start`], for the first that fails.
    pub fn start_all(options: Vec<MilvusOptions>) -> Result<Vec<Self>, Failure> {
        installation()?;
        std::thread::scope(|scope| {
            let starts: Vec<_> = options
                .into_iter()
                .map(|options| scope.spawn(|| Self::start(options)))
                .collect();
            starts
                .into_iter()
                .map(|start| {
                    start.join().unwrap_or_else(|_| {
                        Err(Failure::new("the thread that started Milvus panicked"))
                    })
                })
                .collect()
        })
    }

    fn launch(options: MilvusOptions) -> Result<Self, Failure> {
        let installation = installation()?;
        let data = Scratch::new("milvus")?;
        let [proxy, metrics, etcd, etcd_peer, inner @ ..] = free_ports::<11>()?;
        let ports = Ports {
            proxy,
            metrics,
            etcd,
            etcd_peer,
            inner,
        };
        write_configuration(&installation, data.path(), ports, &options)?;
        let process = spawn(&installation, data.path(), ports)?;
        Ok(Self {
            process,
            installation,
            data,
            ports,
            options,
        })
    }

    /// How to reach it.
    pub fn server(&self) -> Server {
        let credentials = self
            .options
            .authorization
            .then(|| (ROOT_USER.to_owned(), ROOT_PASSWORD.to_owned()));
        let tls = self
            .options
            .certificates
            .as_ref()
            .filter(|_| self.options.tls != TlsMode::Off);
        let tls = tls.map(|certificates| ServerTls {
            ca: certificates.ca(),
            server_name: None,
            client: (self.options.tls == TlsMode::Mutual).then(|| certificates.client()),
        });
        Server {
            host: "127.0.0.1".to_owned(),
            port: self.ports.proxy,
            credentials,
            tls,
        }
    }

    /// The process that answers.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Stops the process where it stands (SIGSTOP): the port still accepts connections, and nothing answers.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn pause(&self) -> Result<(), Failure> {
        self.process.pause()
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Errors
    /// When the server is gone.
    pub fn resume(&self) -> Result<(), Failure> {
        self.process.signal(Signal::CONT)
    }

    /// Kills the process (SIGKILL): its connections break, the port refuses.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts a killed server again, on the same port and data, without waiting: the port refuses, then accepts and
    /// stays silent for some seconds, then answers. See [`Milvus::wait_until_ready`].
    ///
    /// # Errors
    /// When the process can't be started.
    pub fn begin_restart(&mut self) -> Result<(), Failure> {
        self.process.terminate(Duration::from_secs(10));
        self.process = spawn(&self.installation, self.data.path(), self.ports)?;
        Ok(())
    }

    /// Waits until the server answers.
    ///
    /// # Errors
    /// When it ends or takes too long.
    pub fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let Ports { proxy, metrics, .. } = self.ports;
        let secure = self.options.tls != TlsMode::Off;
        self.process.wait_until(START_LIMIT, || {
            is_healthy(metrics) && (secure || answers_http2(proxy))
        })
    }

    /// [`Milvus::begin_restart`], then [`Milvus::wait_until_ready`].
    ///
    /// # Errors
    /// As they do.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.begin_restart()?;
        self.wait_until_ready()
    }
}

/// The wheel keeps its program and libraries compressed; unpacking them once saves each server 5 s and 250 MB.
const UNPACK: &str = r#"
import importlib.util, lzma, os, shutil, sys
source = os.path.join(importlib.util.find_spec("milvus").submodule_search_locations[0], "data")
target = sys.argv[1]
os.makedirs(os.path.join(target, "bin"))
for name in os.listdir(os.path.join(source, "bin")):
    path = os.path.join(target, "bin", name.removesuffix(".lzma"))
    with lzma.open(os.path.join(source, "bin", name)) as packed, open(path, "wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
    os.chmod(path, 0o755)
for name in ("config.yaml.template", "glog.conf"):
    shutil.copy(os.path.join(source, name), target)
"#;

/// The directory with Milvus's program, libraries and configuration template.
fn installation() -> Result<PathBuf, Failure> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Failure::new(
            "the PyPI wheel of Milvus 2.3.5 runs on x86-64 Linux only",
        ));
    }
    let python = Python::prepare(MILVUS_SERVER)?;
    prepare_once("milvus-2.3.5-unpacked", |directory| {
        let scratch = Scratch::new("unpack")?;
        let mut unpack = Command::new(python.interpreter());
        unpack.args(["-c", UNPACK]).arg(directory);
        run_to_end(&mut unpack, UNPACK_LIMIT, scratch.path()).map(drop)
    })
}

fn spawn(installation: &Path, data: &Path, ports: Ports) -> Result<ServerProcess, Failure> {
    let libraries = installation.join("bin");
    ServerProcess::spawn(
        "Milvus",
        &libraries.join("milvus"),
        &data.join("log"),
        |command| {
            let inherited = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
            let search = env::join_paths(
                [libraries.clone()]
                    .into_iter()
                    .chain(env::split_paths(&inherited)),
            );
            // Variables with Milvus's prefixes override its configuration file; none of the tests' own is meant for it.
            for (name, _) in env::vars_os() {
                if name
                    .to_str()
                    .is_some_and(|name| name.starts_with("MILVUS_") || name.starts_with("ETCD_"))
                {
                    command.env_remove(&name);
                }
            }
            command
                .args(["run", "standalone"])
                .current_dir(data)
                .env(
                    "LD_LIBRARY_PATH",
                    search.unwrap_or_else(|_| libraries.clone().into()),
                )
                .env("DEPLOY_MODE", "STANDALONE")
                .env("METRICS_PORT", ports.metrics.to_string())
                .env("MILVUS_RUN_DIR", data.join("run"))
                .env("ETCD_CONFIG_PATH", data.join("configs/etcd.yaml"));
        },
    )
}

fn write_configuration(
    installation: &Path,
    data: &Path,
    ports: Ports,
    options: &MilvusOptions,
) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::because("could not write Milvus's configuration", e);
    let [
        root_coord,
        proxy_internal,
        query_coord,
        query_node,
        index_node,
        data_coord,
        data_node,
    ] = ports.inner;
    let path = |name: &str| data.join(name).display().to_string();
    let mut values = HashMap::from([
        ("proxy_port", ports.proxy.to_string()),
        ("etcd_port", ports.etcd.to_string()),
        ("root_coord_port", root_coord.to_string()),
        ("proxy_internal_port", proxy_internal.to_string()),
        ("query_coord_port", query_coord.to_string()),
        ("query_node_port", query_node.to_string()),
        ("index_node_port", index_node.to_string()),
        // The index coordinator is part of the data coordinator since 2.3; nothing listens on a port of its own.
        ("index_coord_port", data_coord.to_string()),
        ("data_coord_port", data_coord.to_string()),
        ("data_node_port", data_node.to_string()),
        ("etcd_log_level", "warn".to_owned()),
        ("etcd_log_path", path("logs/etcd.log")),
        ("etcd_data_dir", path("data/etcd")),
        ("local_storage_dir", path("data")),
        ("rocksmq_data_dir", path("data/rocksmq")),
        ("system_log_path", path("logs")),
        ("authorization_enabled", options.authorization.to_string()),
        ("tls_mode", (options.tls as u8).to_string()),
    ]);
    if options.tls != TlsMode::Off {
        let certificates = options.certificates.as_ref();
        let certificates =
            certificates.ok_or_else(|| Failure::new("a Milvus with TLS needs certificates"))?;
        let identity = options
            .server_certificate
            .clone()
            .unwrap_or_else(|| certificates.server());
        values.insert(
            "server_pem_path",
            identity.certificate.display().to_string(),
        );
        values.insert("server_key_path", identity.key.display().to_string());
        values.insert("ca_pem_path", certificates.ca().display().to_string());
    }
    for directory in ["configs", "data", "logs", "run"] {
        fs::create_dir_all(data.join(directory)).map_err(failed)?;
    }
    let template = fs::read_to_string(installation.join("config.yaml.template")).map_err(failed)?;
    let etcd_configuration = data.join("configs/etcd.yaml");
    let milvus = fill_template(&template, &values)?.replacen(
        "\netcd:\n",
        &format!(
            "\netcd:\n  config:\n    path: {}\n",
            etcd_configuration.display()
        ),
        1,
    );
    fs::write(data.join("configs/milvus.yaml"), milvus).map_err(failed)?;
    fs::copy(
        installation.join("glog.conf"),
        data.join("configs/glog.conf"),
    )
    .map_err(failed)?;
    fs::write(etcd_configuration, etcd_yaml(data, ports)).map_err(failed)
}

/// The embedded etcd's own file: without it every server's etcd listens for peers on port 2380.
fn etcd_yaml(data: &Path, ports: Ports) -> String {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let data = data.display();
    [
        "name: testkit".to_owned(),
        format!("data-dir: {data}/data/etcd"),
        format!("listen-client-urls: {client}"),
        format!("advertise-client-urls: {client}"),
        format!("listen-peer-urls: {peer}"),
        format!("initial-advertise-peer-urls: {peer}"),
        format!("initial-cluster: testkit={peer}"),
        "logger: zap".to_owned(),
        "log-level: warn".to_owned(),
        format!("log-outputs: [{data}/logs/etcd.log]\n"),
    ]
    .join("\n")
}

const PROBE_LIMIT: Duration = Duration::from_secs(5);

fn exchange(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PROBE_LIMIT).ok()?;
    stream.set_read_timeout(Some(PROBE_LIMIT)).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = vec![0; 512];
    let length = stream.read(&mut answer).ok()?;
    answer.truncate(length);
    Some(answer)
}

/// Whether `GET /healthz` on the metrics port says that all parts of Milvus are up.
fn is_healthy(metrics_port: u16) -> bool {
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    exchange(metrics_port, request).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}

/// Whether a plain port answers HTTP/2's preface with a SETTINGS frame (type 4 on stream 0, RFC 9113, 3.4).
///
/// A Milvus that is starting accepts the connection and stays silent.
pub(super) fn answers_http2(port: u16) -> bool {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    exchange(port, preface).is_some_and(|answer| answer.get(3) == Some(&4))
}
