//! Takes connections in, a bounded number of them, and drops those on which nothing comes.
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Each costs a descriptor and some kilobytes; Meta calls from a few hundred connections at most.
const MAX_CONNECTIONS: usize = 2_048;
/// How long a connection may keep its place.
#[derive(Clone, Copy)]
struct Patience {
    /// Without a byte from the caller. Longer than any answer takes, and than most callers keep an idle connection.
    silence: Duration,
    /// Without an answer from us: ends a caller that sends its request a byte a minute. Longer than the silence and the
    /// slowest honest request together.
    unanswered: Duration,
}

const PATIENCE: Patience = Patience { silence: Duration::from_secs(60), unanswered: Duration::from_secs(120) };
/// After a failed accept (no descriptors left), so that the loop does not spin.
const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
#[error("Cannot listen on {address} ({key}): {why}. {remedy}")]
pub struct BindError {
    pub address: String,
    /// The configuration key that names the address.
    pub key: String,
    pub why: String,
    pub remedy: String,
}

/// A bound socket; `local_addr` tells the port where 0 was asked for.
pub struct Listener {
    tcp: TcpListener,
    places: Arc<Semaphore>,
    patience: Patience,
}

/// Binds `address` ("host:port"), which the configuration has under `key`.
pub async fn bind(address: &str, key: &str) -> Result<Listener, BindError> {
    match TcpListener::bind(address).await {
        Ok(tcp) => Ok(Listener { tcp, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)), patience: PATIENCE }),
        Err(error) => {
            let remedy = remedy(&error, key);
            Err(BindError { address: address.to_owned(), key: key.to_owned(), why: error.to_string(), remedy })
        }
    }
}

fn remedy(error: &io::Error, key: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("Stop the program that listens there, or choose another port in `{key}`."),
        io::ErrorKind::PermissionDenied => {
            format!("Choose a port from 1024 upwards in `{key}`, or grant the right to bind this one.")
        }
        io::ErrorKind::AddrNotAvailable => format!("Write an address of this machine in `{key}`, or 0.0.0.0 for all of them."),
        _ => format!("Write `{key}` as host:port, for example 127.0.0.1:8080."),
    }
}

impl Listener {
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    async fn next(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.tcp.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_the_callers_fault(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted");
                    sleep(AFTER_A_FAILURE).await;
                }
            }
        }
    }
}

fn is_the_callers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = self.places.clone().acquire_owned().await.expect("the semaphore of places is never closed");
        let (tcp, address) = self.next().await;
        // Answers are one small packet; waiting to fill it would cost 40 ms. Without it the connection still works.
        let _ = tcp.set_nodelay(true);
        let now = Instant::now();
        let connection =
            Connection { tcp, patience: self.patience, last_byte: now, last_answer: now, alarm: None, _place: place };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A connection that ends itself when its patience is over.
pub struct Connection {
    tcp: TcpStream,
    patience: Patience,
    last_byte: Instant,
    last_answer: Instant,
    /// Set when a read first has to wait; looks at the two times when it rings, so that a byte costs no timer.
    alarm: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let due = (self.last_byte + self.patience.silence).min(self.last_answer + self.patience.unanswered);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        while alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.tcp).poll_read(cx, buf) {
            Poll::Ready(read) => {
                self.last_byte = Instant::now();
                Poll::Ready(read)
            }
            Poll::Pending => self.poll_silence(cx),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.last_answer = Instant::now();
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.last_answer = Instant::now();
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::sync::CancellationToken;

    const SHORT: Patience = Patience { silence: Duration::from_millis(200), unanswered: Duration::from_millis(500) };

    /// Sends one byte every `pause` until the server hangs up; how long that took.
    async fn dripping(pause: Duration) -> Duration {
        let mut listener = bind("127.0.0.1:0", "server.listen").await.unwrap();
        listener.patience = SHORT;
        let mut tcp = TcpStream::connect(listener.address().unwrap()).await.unwrap();
        tokio::spawn(crate::server::serve(listener, axum::Router::new(), CancellationToken::new()));
        let began = Instant::now();
        let (mut answers, mut request) = tcp.split();
        let drip = async {
            while request.write_all(b"G").await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        };
        let hang_up = async { answers.read(&mut [0; 64]).await };
        tokio::select! {
            () = drip => {}
            _ = hang_up => {}
        }
        began.elapsed()
    }

    #[tokio::test]
    async fn a_silent_caller_and_a_dripping_one_lose_their_places() {
        let silent = dripping(Duration::from_secs(5)).await;
        assert!((SHORT.silence..SHORT.unanswered).contains(&silent), "{silent:?}");
        let slow = dripping(Duration::from_millis(50)).await;
        assert!((SHORT.unanswered..Duration::from_secs(3)).contains(&slow), "{slow:?}");
    }
}
