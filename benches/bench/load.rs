//! A generator of webhooks that costs little: raw HTTP/1.1 over kept connections, bodies signed before the clock starts.
use aws_lc_rs::hmac;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const CONNECTIONS: usize = 32;
pub const SECRET: &str = "bench-secret";
pub const LINE: &str = "100000000000001";
const MOST_ANSWER: usize = 4096;

/// Never the same message twice, over all rounds of a process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The number of the n-th known client, as WhatsApp writes it.
pub fn wa_id(client: u64) -> String {
    format!("4915{:09}", 100_000_000 + client)
}

/// Signed requests with distinct bodies of about 620 bytes, from `senders` clients in turn.
pub fn requests(count: usize, senders: u64) -> Vec<Vec<u8>> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
    (0..count).map(|_| request(&key, NEXT.fetch_add(1, Ordering::Relaxed), senders, at)).collect()
}

fn request(key: &hmac::Key, number: u64, senders: u64, at: u64) -> Vec<u8> {
    let from = wa_id(number % senders);
    let body = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"200000000000001","changes":[{{"value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550100001","phone_number_id":"{LINE}"}},"contacts":[{{"profile":{{"name":"Client {from}"}},"wa_id":"{from}"}}],"messages":[{{"from":"{from}","id":"wamid.HBgNNDkxNTExMjM0NTY3OBUCABIYFjNFQjBDOUM5RjU{number:016}","timestamp":"{at}","text":{{"body":"Good morning, number {number}: could we talk on Friday about the bonds that you named, and about what the new year brings for the portfolio as a whole?"}},"type":"text"}}]}},"field":"messages"}}]}}]}}"#
    );
    let tag = hex::encode(hmac::sign(key, body.as_bytes()));
    let length = body.len();
    let head = format!(
        "POST /webhooks/whatsapp HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         x-hub-signature-256: sha256={tag}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// What a round gave.
pub struct Round {
    pub per_second: f64,
    /// From when the request was due to its answer.
    pub times: Vec<Duration>,
    /// Answers other than 200.
    pub refused: usize,
}

/// As fast as the connections go, or so many a second.
pub async fn round(to: SocketAddr, requests: Vec<Vec<u8>>, per_second: Option<f64>) -> Round {
    let count = requests.len();
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let tcp = TcpStream::connect(to).await.expect("the server under test listens");
        tcp.set_nodelay(true).expect("a connection has this option");
        open.push(tcp);
    }
    let begun = Instant::now();
    let tasks: Vec<_> = open
        .into_iter()
        .map(|tcp| tokio::spawn(client(tcp, Arc::clone(&requests), Arc::clone(&next), begun, per_second)))
        .collect();
    let (mut times, mut refused) = (Vec::with_capacity(count), 0);
    for task in tasks {
        let (some, not_ok) = task.await.expect("a client ends in order");
        times.extend(some);
        refused += not_ok;
    }
    Round { per_second: count as f64 / begun.elapsed().as_secs_f64(), times, refused }
}

async fn client(
    mut tcp: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    begun: Instant,
    per_second: Option<f64>,
) -> (Vec<Duration>, usize) {
    let (mut times, mut refused) = (Vec::new(), 0);
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(nth) else { return (times, refused) };
        // A late generator must not hide a slow server: time counts from when the request was due.
        let due = per_second.map(|rate| begun + Duration::from_secs_f64(nth as f64 / rate));
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let from = due.unwrap_or_else(Instant::now);
        tcp.write_all(request).await.expect("the server under test reads");
        refused += usize::from(!is_ok(&mut tcp).await);
        times.push(from.elapsed());
    }
}

async fn is_ok(tcp: &mut TcpStream) -> bool {
    let (mut answer, mut length) = ([0; MOST_ANSWER], 0);
    loop {
        let read = tcp.read(&mut answer[length..]).await.expect("the server under test answers");
        assert!(read > 0, "the server under test hung up");
        length += read;
        // The answers under test have no body.
        if answer[..length].ends_with(b"\r\n\r\n") {
            return answer.starts_with(b"HTTP/1.1 200");
        }
    }
}
