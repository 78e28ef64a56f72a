//! `bench connect`: from nothing to the first answer, many connections, and how fast and how well a failure is told.
//!
//! Against a real Milvus, but for the failures that no healthy server produces; those come from faulty ports.

use std::net::SocketAddr;

use anyhow::Context as _;
use milvus_bench::client::{Target, Work};
use milvus_bench::report::Report;
use milvus_testkit::fault::{
    FaultListener, FaultServer, FaultServerOptions, FaultTls, ListenerFault,
};
use milvus_testkit::real::{Milvus, MilvusOptions, Server};
use milvus_testkit::{Certificates, Identity, Scratch};
use tokio::runtime::Runtime;

use crate::programs::{self, Clients, Who, number};

const CONNECTIONS: usize = 100;
/// What all clients are told that connecting may take, in seconds: those that don't know better spend it all.
const TIMEOUT: f64 = 5.0;
const QUICK_TIMEOUT: f64 = 1.5;

/// How long each measurement of lookups takes, in milliseconds.
const LOOKUP_TIME: u64 = 200;

const STARTERS: [Who; 5] = [
    Who::Ours,
    Who::TonicWithHandshake,
    Who::Tonic,
    Who::MilvusSdk,
    Who::Pymilvus,
];
const MILVUS_CLIENTS: [Who; 3] = [Who::Ours, Who::MilvusSdk, Who::Pymilvus];

/// Runs the benchmark.
pub(crate) fn run(report: &mut Report, quick: bool) -> anyhow::Result<()> {
    let clients = Clients::prepare()?;
    let authorized = MilvusOptions {
        authorization: true,
        ..MilvusOptions::default()
    };
    let servers = Milvus::start_all(vec![MilvusOptions::default(), authorized])?;
    let [open, closed] = servers.as_slice() else {
        anyhow::bail!("two servers were started");
    };
    let timeout = if quick { QUICK_TIMEOUT } else { TIMEOUT };
    let target = of_server(&open.server(), timeout);
    first_answer(report, &clients, &target, if quick { 2 } else { 15 })?;
    many_connections(report, &clients, &target, if quick { 1 } else { 5 })?;
    registry_lookups(report, &target, if quick { 1 } else { 5 })?;
    let target = of_server(&closed.server(), timeout);
    failures(report, &clients, &target, if quick { 1 } else { 2 })
}

fn registry_lookups(report: &mut Report, target: &Target, rounds: usize) -> anyhow::Result<()> {
    let rounds = if report.wants("registry lookup") {
        rounds
    } else {
        0
    };
    for _ in 0..rounds {
        let outcome = programs::registry_lookups(target, LOOKUP_TIME)?;
        for row in outcome["lookups"].as_array().into_iter().flatten() {
            let case = format!("registry lookup, {} threads", row["threads"]);
            report.add(
                &case,
                "ours",
                "get: CPU per lookup [ns]",
                number(row, "get")?,
            );
            report.add(
                &case,
                "ours",
                "with: CPU per lookup [ns]",
                number(row, "with")?,
            );
        }
    }
    Ok(())
}

fn of_server(server: &Server, timeout: f64) -> Target {
    Target {
        uri: server.uri(),
        token: server.credentials.is_some().then(|| server.token()),
        timeout: Some(timeout),
        ..Target::default()
    }
}

fn first_answer(
    report: &mut Report,
    clients: &Clients,
    target: &Target,
    rounds: usize,
) -> anyhow::Result<()> {
    let case = "process start to first answer";
    let rounds = if report.wants(case) { rounds } else { 0 };
    for _ in 0..rounds {
        for who in STARTERS {
            let (_, time) = clients.run(who, target, &Work::FirstAnswer, None)?;
            let milliseconds = time.as_secs_f64() * 1e3;
            report.add(case, who.name(), "time [ms]", milliseconds);
        }
    }
    Ok(())
}

fn many_connections(
    report: &mut Report,
    clients: &Clients,
    target: &Target,
    rounds: usize,
) -> anyhow::Result<()> {
    for _ in 0..rounds {
        for shared in [false, true] {
            let case = if shared {
                "of one configuration"
            } else {
                "that share nothing"
            };
            let case = format!("{CONNECTIONS} connections {case}");
            if !report.wants(&case) {
                continue;
            }
            let work = Work::Connections {
                count: CONNECTIONS,
                shared,
            };
            for who in MILVUS_CLIENTS {
                let (outcome, _) = clients.run(who, target, &work, None)?;
                report.add(
                    &case,
                    who.name(),
                    "time [ms]",
                    number(&outcome, "seconds")? * 1e3,
                );
                report.add(
                    &case,
                    who.name(),
                    "memory [MB]",
                    number(&outcome, "bytes")? / 1e6,
                );
                report.add(&case, who.name(), "sockets", number(&outcome, "sockets")?);
            }
        }
    }
    Ok(())
}

/// What is wrong, and where.
struct Failing {
    case: &'static str,
    target: Target,
}

fn failures(
    report: &mut Report,
    clients: &Clients,
    milvus: &Target,
    rounds: usize,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let directory = Scratch::new("bench-certificates")?;
    let certificates = Certificates::generate(directory.path())?;
    let (ports, failing) = runtime.block_on(failing_targets(&certificates, milvus))?;
    for _ in 0..rounds {
        for Failing { case, target } in &failing {
            let case = format!("failing: {case}");
            let clients_asked: &[Who] = if report.wants(&case) {
                &MILVUS_CLIENTS
            } else {
                &[]
            };
            for &who in clients_asked {
                let (outcome, _) = clients.run(who, target, &Work::Fail, None)?;
                report.add(
                    &case,
                    who.name(),
                    "time [ms]",
                    number(&outcome, "seconds")? * 1e3,
                );
                let said = outcome["said"].as_str().unwrap_or("(no error)");
                report.remark(&case, who.name(), &said.replace('\n', " "));
            }
        }
    }
    shut_down(runtime, ports);
    Ok(())
}

/// The faulty ports, open until they are dropped.
#[derive(Default)]
struct Ports {
    servers: Vec<FaultServer>,
    listeners: Vec<FaultListener>,
}

fn shut_down(runtime: Runtime, ports: Ports) {
    let _entered = runtime.enter();
    drop(ports);
}

impl Ports {
    async fn server(&mut self, identity: Option<Identity>) -> anyhow::Result<SocketAddr> {
        let server = FaultServer::start(FaultServerOptions {
            tls: identity.map(FaultTls::new),
            ..FaultServerOptions::default()
        })
        .await?;
        let address = server.address();
        self.servers.push(server);
        Ok(address)
    }

    async fn listener(&mut self, fault: ListenerFault) -> anyhow::Result<SocketAddr> {
        let listener = FaultListener::start(fault).await?;
        let address = listener.address();
        self.listeners.push(listener);
        Ok(address)
    }
}

async fn failing_targets(
    certificates: &Certificates,
    milvus: &Target,
) -> anyhow::Result<(Ports, Vec<Failing>)> {
    let mut ports = Ports::default();
    let plain = |address: SocketAddr| Target {
        uri: format!("http://{address}"),
        token: Some("root:Milvus".to_owned()),
        timeout: milvus.timeout,
        ..Target::default()
    };
    let secure = |address: SocketAddr| Target {
        uri: format!("https://localhost:{}", address.port()),
        ca: Some(certificates.ca()),
        ..plain(address)
    };
    let nowhere = Target {
        uri: "http://no-such-host.invalid:19530".to_owned(),
        ..plain(([127, 0, 0, 1], 1).into())
    };
    let refusing = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.local_addr()?
    };
    let overflowing = ports
        .listener(ListenerFault::FullBacklog)
        .await
        .context("no port with a full queue")?;
    let http_one = ports.listener(ListenerFault::HttpOne).await?;
    let silent = ports.listener(ListenerFault::Silent).await?;
    let with_tls = ports.server(Some(certificates.server())).await?;
    let without_tls = ports.server(None).await?;
    let expired = ports.server(Some(certificates.expired())).await?;
    let other_name = ports.server(Some(certificates.other_name())).await?;
    let unknown_authority = ports.server(Some(certificates.unknown_authority())).await?;
    let wrong_password = Target {
        token: Some("root:wrong".to_owned()),
        ..milvus.clone()
    };
    let unknown_database = Target {
        database: Some("nope".to_owned()),
        ..milvus.clone()
    };
    let failing = [
        ("name unknown to DNS", nowhere),
        ("refused", plain(refusing)),
        (
            "no answer to TCP (cannot be known before the timeout)",
            plain(overflowing),
        ),
        ("HTTP/1.1 server", plain(http_one)),
        ("TLS server spoken to in plain text", plain(with_tls)),
        ("plain server spoken to with TLS", secure(without_tls)),
        ("certificate expired", secure(expired)),
        ("certificate for another name", secure(other_name)),
        ("unknown certificate authority", secure(unknown_authority)),
        ("wrong password", wrong_password),
        ("unknown database", unknown_database),
        (
            "proxy not ready (cannot be known before the timeout)",
            plain(silent),
        ),
    ];
    let failing = failing
        .into_iter()
        .map(|(case, target)| Failing { case, target })
        .collect();
    Ok((ports, failing))
}
