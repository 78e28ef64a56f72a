//! A Milvus of a test's own can be paused, killed and started again, and its port behaves as clients will see it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use milvus_testkit::real::{Milvus, MilvusOptions};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[derive(Debug, PartialEq)]
enum Port {
    Refuses,
    AcceptsSilently,
    Answers,
}

fn ask(port: u16) -> Port {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return Port::Refuses;
    };
    stream
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    if stream.write_all(PREFACE).is_err() {
        return Port::Refuses;
    }
    match stream.read(&mut [0; 64]) {
        Ok(n) if n > 0 => Port::Answers,
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Port::AcceptsSilently
        }
        _ => Port::Refuses,
    }
}

#[test]
fn a_milvus_is_paused_killed_and_restarted_on_its_port() {
    let mut milvus = Milvus::start(MilvusOptions::default()).unwrap();
    let port = milvus.server().port;
    assert_eq!(ask(port), Port::Answers);

    milvus.pause().unwrap();
    assert_eq!(ask(port), Port::AcceptsSilently);
    milvus.resume().unwrap();
    let resumed = Instant::now();
    while ask(port) != Port::Answers {
        assert!(
            resumed.elapsed() < Duration::from_secs(60),
            "a resumed server answers again"
        );
    }

    milvus.kill();
    assert_eq!(ask(port), Port::Refuses);

    milvus.begin_restart().unwrap();
    let begun = Instant::now();
    let mut seen = Vec::new();
    while seen.last() != Some(&Port::Answers) {
        assert!(
            begun.elapsed() < Duration::from_secs(180),
            "a restarted server answers again"
        );
        let now = ask(port);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    // For seconds the port accepts connections and says nothing: what a client must take for "not ready".
    assert!(seen.contains(&Port::AcceptsSilently), "{seen:?}");
    milvus.wait_until_ready().unwrap();
    assert_eq!(milvus.server().port, port);
    assert_eq!(ask(port), Port::Answers);
}
