//! Bulk data leaves in as few segments as the network takes.
//!
//! HTTP/2 cuts a message into frames, mostly of 16 KiB, and each frame is a write. With Nagle's algorithm switched off each write
//! is a segment as well, which costs the kernel a pass through the network stack and the receiver a wake-up. Behind a cork the
//! kernel puts them together.
//!
//! Invariant: nothing stays behind a cork when the connection has nothing more to write. h2 flushes after each frame that it
//! hands over in two buffers, and once more when it has no other; a flush with nothing (or less than such a frame) written
//! before it is therefore the last one. Should that change, the kernel itself lets go after 200 ms.

use std::io::IoSlice;

use tokio::net::TcpStream;

/// Whether a socket holds back an incomplete segment.
#[derive(Debug, Default)]
pub(super) struct Cork {
    corked: bool,
    /// What was written last, and not flushed, is a frame of bulk data.
    bulk: bool,
}

#[cfg(target_os = "linux")]
impl Cork {
    /// The payload of most peers' largest frame.
    const BULK: usize = 16 * 1024;

    pub(super) fn before_write(&mut self, socket: Option<&TcpStream>, bufs: &[IoSlice<'_>]) {
        // Many small frames are put together into one buffer, and then the flush after it can be the last.
        let frame: usize = bufs.iter().map(|buf| buf.len()).sum();
        self.bulk = bufs.len() > 1 && frame >= Self::BULK;
        if self.bulk && !self.corked {
            self.set(socket, true);
        }
    }

    pub(super) fn before_flush(&mut self, socket: Option<&TcpStream>) {
        if self.corked && !self.bulk {
            self.set(socket, false);
        }
        self.bulk = false;
    }

    fn set(&mut self, socket: Option<&TcpStream>, corked: bool) {
        // A socket that can't be corked is written to as ever.
        let set = socket.map(|socket| socket2::SockRef::from(socket).set_tcp_cork(corked));
        self.corked = corked && matches!(set, Some(Ok(())));
    }
}

#[cfg(not(target_os = "linux"))]
impl Cork {
    pub(super) fn before_write(&mut self, _: Option<&TcpStream>, _: &[IoSlice<'_>]) {}

    pub(super) fn before_flush(&mut self, _: Option<&TcpStream>) {}
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use socket2::{SockRef, Socket};
    use tokio::net::TcpListener;

    use super::*;
    use crate::dial::Stream;
    use crate::http2::handshake;

    /// Both ends of a connection.
    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn a_socket_is_corked_from_the_first_frame_of_bulk_data_to_the_flush_after_the_last() {
        let (near, _far) = connected().await;
        let (head, payload) = ([0; 9], vec![0; Cork::BULK]);
        let frame = [IoSlice::new(&head), IoSlice::new(&payload)];
        let mut cork = Cork::default();
        let is_corked = || SockRef::from(&near).tcp_cork().unwrap();
        for _ in 0..2 {
            cork.before_write(Some(&near), &frame);
            assert!(is_corked());
            cork.before_flush(Some(&near));
            assert!(is_corked(), "there may be more");
        }
        cork.before_flush(Some(&near));
        assert!(!is_corked(), "there is no more");

        cork.before_write(Some(&near), &frame);
        cork.before_flush(Some(&near));
        cork.before_write(Some(&near), &[IoSlice::new(&head)]);
        cork.before_flush(Some(&near));
        assert!(!is_corked(), "a small frame may be the last");
        let many_small_frames = vec![0; 2 * Cork::BULK];
        cork.before_write(Some(&near), &[IoSlice::new(&many_small_frames)]);
        assert!(!is_corked());
    }

    async fn wait_until_uncorked(socket: &Socket) {
        let uncorked = async {
            while socket.tcp_cork().unwrap() {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), uncorked).await;
        assert!(waited.is_ok(), "the cork is still in");
    }

    /// Sends bodies of these sizes at once to a server with a window of 65,535 bytes, and looks at the cork when all of each
    /// window has arrived, and when all has been answered.
    async fn send(sizes: &[usize]) {
        let (near, far) = connected().await;
        let socket = SockRef::from(&near).try_clone().unwrap();
        let (sender, connection) = handshake(Stream::tcp(near)).await.unwrap();
        let driver = tokio::spawn(connection);
        let at_rest = socket.try_clone().unwrap();
        let server = tokio::spawn(async move {
            let mut server = h2::server::handshake(far).await.unwrap();
            while let Some(call) = server.accept().await {
                let (request, mut respond) = call.unwrap();
                let at_rest = at_rest.try_clone().unwrap();
                tokio::spawn(async move {
                    let (mut body, mut held) = (request.into_body(), 0);
                    while let Some(chunk) = body.data().await {
                        held += chunk.unwrap().len();
                        // Until the window is used up, which the client can't know when it writes.
                        if held >= 65_535 {
                            wait_until_uncorked(&at_rest).await;
                            body.flow_control().release_capacity(held).unwrap();
                            held = 0;
                        }
                    }
                    respond
                        .send_response(http::Response::new(()), true)
                        .unwrap();
                });
            }
        });
        let calls = sizes.iter().map(|size| {
            let mut sender = sender.clone();
            let body = Bytes::from(vec![0; *size]);
            async move {
                let request = http::Request::post("http://localhost/call")
                    .body(())
                    .unwrap();
                let (response, mut stream) = sender.send_request(request, false).unwrap();
                stream.send_data(body, true).unwrap();
                response.await.unwrap();
            }
        });
        futures_util::future::join_all(calls).await;
        wait_until_uncorked(&socket).await;
        driver.abort();
        server.abort();
    }

    #[tokio::test]
    async fn nothing_stays_behind_the_cork() {
        for size in [
            0, 1, 16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 300_000,
        ] {
            send(&[size]).await;
        }
        send(&[20_000]).await;
        send(&[16_384, 16_384, 16_384]).await;
    }
}
