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
/// Longer than any answer takes, and than most clients keep an idle connection.
const SILENCE: Duration = Duration::from_secs(60);
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
}

/// Binds `address` ("host:port"), which the configuration has under `key`.
pub async fn bind(address: &str, key: &str) -> Result<Listener, BindError> {
    match TcpListener::bind(address).await {
        Ok(tcp) => Ok(Listener { tcp, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }),
        Err(error) => {
            let remedy = remedy(&error, key);
            Err(BindError { address: address.to_owned(), key: key.to_owned(), why: error.to_string(), remedy })
        }
    }
}

fn remedy(error: &io::Error, key: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("Stop the program that listens there, or choose another port in `{key}`."),
        io::ErrorKind::PermissionDenied => format!("Choose a port from 1024 upwards in `{key}`, or grant the right to bind this one."),
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
        (Connection { tcp, last_byte: Instant::now(), alarm: None, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A connection that ends itself after a minute of silence.
pub struct Connection {
    tcp: TcpStream,
    last_byte: Instant,
    /// Set when a read first has to wait; looks at `last_byte` when it rings, so that a byte costs no timer.
    alarm: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let due = self.last_byte + SILENCE;
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
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
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
