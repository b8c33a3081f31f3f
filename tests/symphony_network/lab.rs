//! The embedded pod, the ways to it, and a client whose calls and feed are tried on them.
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use liaison::adapters::clock::SystemClock;
use liaison::adapters::symphony::{
    FeedSettings, FeedState, Pace, Session, Symphony, SymphonySettings, Translator, Transport, feed,
};
use liaison::domain::event::{Event, Fact};
use liaison::domain::ids::UserId;
use liaison::ports::{Inbox, Later, Receipt};
use liaison::sandbox::keys::new_key_pair;
use liaison::sandbox::pod::Pod;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(20);
const PACE: Pace = Pace {
    first: Duration::from_millis(20),
    longest: Duration::from_millis(100),
    slow: Duration::from_secs(1),
    steady: PATIENCE,
    read_wait: Duration::from_secs(8),
    watchdog: Duration::from_secs(60),
};

/// The pod on a plain port, and the paths that were called there.
pub struct Lab {
    pub pod: Pod,
    pub at: SocketAddr,
    calls: Arc<Mutex<Vec<String>>>,
    pub bot: u64,
    pub jane: u64,
}

fn keys() -> &'static (String, String) {
    static KEYS: OnceLock<(String, String)> = OnceLock::new();
    KEYS.get_or_init(new_key_pair)
}

impl Lab {
    pub async fn new() -> Lab {
        // The one provider of cryptography of the process; a second call would only say that it is there.
        let _there = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let now = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let pod = Pod::open(Arc::new(now), None).unwrap();
        pod.set_hold_ms(500);
        let bot = pod.add_user("Liaison", "", "liaison@acme.com", "liaison", true, Some(keys().1.clone()));
        let jane = pod.add_user("Jane", "Doe", "jane.doe@acme.com", "jane.doe", false, None);
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let at = serve(pod.router(), calls.clone()).await;
        Lab { pod, at, calls, bot, jane }
    }

    /// How often a path with this beginning was called.
    pub fn called(&self, path: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| call.starts_with(path)).count()
    }

    pub fn settings(&self) -> SymphonySettings {
        settings(&format!("http://{}", self.at))
    }

    /// Jane writes, and her words come to the inbox over this feed.
    pub async fn is_read(&self, symphony: &Symphony, transport: Transport) {
        let reader = Reader::start(symphony.session(), transport);
        let said = format!("words {}", fastrand::u32(..));
        let stream = self.pod.im(self.bot, self.jane);
        reader.connected().await;
        self.pod.post_as(self.jane, &stream, &said).unwrap();
        reader.hears(&said).await;
        reader.cancel.cancel();
        tokio::time::timeout(PATIENCE, reader.task).await.unwrap().unwrap();
    }
}

async fn serve(router: Router, calls: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let noted = from_fn(move |request: Request, next: Next| {
        calls.lock().unwrap().push(request.uri().path().to_owned());
        next.run(request)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router.layer(noted)).await.unwrap() });
    at
}

pub fn settings(url: &str) -> SymphonySettings {
    SymphonySettings {
        pod_url: url.to_owned(),
        agent_url: url.to_owned(),
        key_manager_url: url.to_owned(),
        username: "liaison".to_owned(),
        private_key_pem: keys().0.clone(),
        ca_file: None,
        proxy: None,
    }
}

pub fn symphony(settings: SymphonySettings) -> Symphony {
    Symphony::new(settings, Arc::new(SystemClock::new())).unwrap()
}

/// A datafeed that is read, and what it brought.
pub struct Reader {
    heard: Arc<Heard>,
    pub state: watch::Receiver<FeedState>,
    pub cancel: CancellationToken,
    pub task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Inbox for Heard {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        self.0.lock().unwrap().push(event);
        Box::pin(std::future::ready(Receipt::Kept))
    }
}

impl Reader {
    pub fn start(session: Arc<Session>, transport: Transport) -> Reader {
        let (heard, cancel) = (Arc::new(Heard::default()), CancellationToken::new());
        let (state_in, state) = watch::channel(FeedState::default());
        let settings = FeedSettings { transport, tag: "liaison".to_owned(), pace: PACE };
        let translator = Translator::new(UserId(1), []);
        let task = tokio::spawn(feed::run(session, settings, heard.clone(), translator, state_in, cancel.clone()));
        Reader { heard, state, cancel, task }
    }

    pub async fn connected(&self) {
        self.until(|state| state.connected).await;
    }

    pub async fn until(&self, holds: impl FnMut(&FeedState) -> bool) {
        let mut state = self.state.clone();
        let came = tokio::time::timeout(PATIENCE, state.wait_for(holds)).await.is_ok();
        assert!(came, "{:?}", self.state.borrow());
    }

    pub async fn hears(&self, said: &str) {
        let is_it = |event: &Event| matches!(&event.fact, Fact::RoomMessage(message) if message.text == said);
        let begun = std::time::Instant::now();
        while !self.heard.0.lock().unwrap().iter().any(is_it) {
            assert!(begun.elapsed() < PATIENCE, "{said} was never read: {:?}", self.state.borrow());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
