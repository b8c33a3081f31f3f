//! What could be reached at best: the same front with nothing behind it, as processes of their own.
use crate::load::SECRET;
use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use liaison::adapters::clock::SystemClock;
use liaison::adapters::symphony::{FeedSettings, FeedState, Pace, Symphony, SymphonySettings, Translator, Transport, feed};
use liaison::domain::event::{Event, Fact};
use liaison::domain::ids::UserId;
use liaison::ports::{Inbox, Later, Receipt};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

type Waiting = (Bytes, oneshot::Sender<()>);

struct Appender {
    key: hmac::Key,
    to_disk: mpsc::Sender<Waiting>,
}

/// Checks the signature, appends the raw body with others in one fdatasync, answers. Prints its address.
pub async fn webhooks(folder: &Path) {
    let (to_disk, waiting) = mpsc::channel();
    let path = folder.join("bodies");
    std::thread::spawn(move || append_groups(&path, &waiting));
    let appender = Appender { key: hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), to_disk };
    let router = Router::new().route("/webhooks/whatsapp", post(receive)).with_state(Arc::new(appender));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    println!("{}", listener.local_addr().expect("a bound listener has an address"));
    axum::serve(listener, router).await.expect("the server runs");
}

async fn receive(State(appender): State<Arc<Appender>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let tag = headers.get("x-hub-signature-256").and_then(|tag| hex::decode(tag.as_bytes().strip_prefix(b"sha256=")?).ok());
    if tag.is_none_or(|tag| hmac::verify(&appender.key, &body, &tag).is_err()) {
        return StatusCode::UNAUTHORIZED;
    }
    let (done, durable) = oneshot::channel();
    appender.to_disk.send((body, done)).expect("the appender lives as long as the server");
    durable.await.map_or(StatusCode::SERVICE_UNAVAILABLE, |()| StatusCode::OK)
}

fn append_groups(path: &Path, waiting: &mpsc::Receiver<Waiting>) {
    let mut file = crate::measure::fresh(path);
    while let Ok(first) = waiting.recv() {
        let group: Vec<Waiting> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let bytes: Vec<u8> = group.iter().flat_map(|(body, _)| body.iter().copied()).collect();
        crate::measure::append(&mut file, &bytes);
        for (_, done) in group {
            let _ = done.send(());
        }
    }
}

/// Answers every chat message with the same words, over the same feed and the same calls.
pub async fn echo(pod: &str, key: &Path, username: &str) {
    let settings = SymphonySettings {
        pod_url: pod.to_owned(),
        agent_url: pod.to_owned(),
        key_manager_url: pod.to_owned(),
        username: username.to_owned(),
        private_key_pem: std::fs::read_to_string(key).expect("the key was written before"),
        ca_file: None,
        proxy: None,
    };
    let symphony = Arc::new(Symphony::new(settings, Arc::new(SystemClock::new())).expect("the key is sound"));
    let me = symphony.me().await.expect("the pod knows us").id.map(UserId).expect("users have ids");
    let url = format!("{}/agent/v5/datafeeds/ws", pod.replacen("http", "ws", 1));
    let settings = FeedSettings { transport: Transport::WebSocket { url }, tag: "echo".to_owned(), pace: Pace::default() };
    let translator = Translator::new(me, [username.to_owned()]);
    let (state, mut seen) = watch::channel(FeedState::default());
    tokio::spawn(async move {
        if seen.wait_for(|state| state.connected).await.is_ok() {
            println!("ready");
        }
    });
    let inbox = Arc::new(Echo { symphony: Arc::clone(&symphony), me });
    feed::run(symphony.session(), settings, inbox, translator, state, CancellationToken::new()).await;
}

struct Echo {
    symphony: Arc<Symphony>,
    me: UserId,
}

impl Inbox for Echo {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        if let Fact::RoomMessage(said) = event.fact
            && said.author.id != self.me
        {
            let symphony = Arc::clone(&self.symphony);
            tokio::spawn(async move {
                let markup = "<messageML>echo</messageML>";
                symphony.message_create(&said.stream, markup, &json!({}), &[]).await.expect("the pod takes an echo");
            });
        }
        Box::pin(std::future::ready(Receipt::Kept))
    }
}
