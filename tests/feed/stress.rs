//! The feed against the sandbox's pod while connections are cut and feeds are lost all the time, over both transports.
use super::world::*;
use axum::Router;
use liaison::adapters::symphony::{FeedSettings, FeedState, Pace, Session, Symphony, Translator, Transport, feed};
use liaison::app::read_back::ReadBack;
use liaison::domain::event::{Event, Fact};
use liaison::domain::ids::{EventId, UserId};
use liaison::domain::time::Timestamp;
use liaison::ports::{Clock, Inbox, Later, Receipt};
use liaison::sandbox::NowMs;
use liaison::sandbox::pod::Pod;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Forced ends of connections and feeds in one run.
const FAULTS: usize = 200;
const QUICK: Pace = Pace { first: Duration::from_millis(4), longest: Duration::from_millis(16), ..PACE };

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }
    fn is_sane(&self) -> bool {
        true
    }
}

/// Knows what it has seen, as the store does; is slow at times, and at times cannot.
#[derive(Clone, Default)]
struct Ledger(Arc<Books>);

#[derive(Default)]
struct Books {
    seen: Mutex<HashSet<EventId>>,
    /// How often each text was handled.
    handled: Mutex<BTreeMap<String, usize>>,
    asked: Mutex<usize>,
}

impl Inbox for Ledger {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        let books = Arc::clone(&self.0);
        Box::pin(async move {
            let asked = {
                let mut asked = books.asked.lock().unwrap();
                // What is known already takes no time and no room.
                *asked += usize::from(!books.seen.lock().unwrap().contains(&event.id));
                *asked
            };
            if asked.is_multiple_of(11) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if asked.is_multiple_of(101) {
                return Receipt::NotNow;
            }
            if books.seen.lock().unwrap().insert(event.id.clone())
                && let Fact::RoomMessage(said) = event.fact
            {
                *books.handled.lock().unwrap().entry(said.text).or_default() += 1;
            }
            Receipt::Kept
        })
    }
}

/// Something between the bot and the agent that loses all its connections at a word.
async fn cuttable(upstream: String) -> (String, watch::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, cuts) = watch::channel(());
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (upstream, mut cuts) = (upstream.clone(), cuts.clone());
            cuts.mark_unchanged();
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(upstream).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = cuts.changed() => {}
                }
            });
        }
    });
    (address.to_string(), cut)
}

struct Stage {
    pod: Pod,
    ledger: Ledger,
    state: watch::Receiver<FeedState>,
    cut: watch::Sender<()>,
    people: Vec<(u64, String)>,
    stop: CancellationToken,
    written: usize,
}

impl Stage {
    async fn new(over: Over) -> Stage {
        let now: NowMs = Arc::new(|| jiff::Timestamp::now().as_millisecond());
        let pod = Pod::open(now, None).unwrap();
        pod.set_visibility_ms(100);
        pod.set_hold_ms(200);
        let bot = pod.add_user("Liaison", "", "liaison@acme.com", "liaison", true, Some(keys().1.clone()));
        let people = ["Jane", "Sam", "Olga"].map(|name| {
            let id = pod.add_user(name, "Doe", &format!("{name}@acme.com"), name, false, None);
            (id, pod.im(id, bot))
        });
        let direct = serve(Router::new().merge(pod.router())).await;
        let (through, cut) = cuttable(direct.trim_start_matches("http://").to_owned()).await;
        let transport = match over {
            Over::WebSockets => Transport::WebSocket { url: format!("ws://{through}/agent/v5/datafeeds/ws") },
            Over::LongPolls => Transport::LongPoll,
        };
        let (ledger, stop) = (Ledger::default(), CancellationToken::new());
        let inbox: Arc<dyn Inbox> = Arc::new(ledger.clone());
        let (state_in, state) = watch::channel(FeedState::default());
        let read_back = ReadBack {
            symphony: Arc::new(Symphony::new(settings(direct), Arc::new(WallClock)).unwrap()),
            translator: Translator::new(UserId(bot), []),
            inbox: Arc::clone(&inbox),
            clock: Arc::new(WallClock),
            feed: state_in.subscribe(),
            stop: stop.clone(),
        };
        tokio::spawn(read_back.run(None));
        let session = Arc::new(Session::new(settings(format!("http://{through}"))).unwrap());
        let feed_settings = FeedSettings { transport, tag: "liaison".to_owned(), pace: QUICK };
        let translator = Translator::new(UserId(bot), []);
        let cancel = stop.clone();
        tokio::spawn(async move { feed::run(session, feed_settings, inbox, translator, state_in, cancel).await });
        Stage { pod, ledger, state, cut, people: people.into(), stop, written: 0 }
    }

    fn write(&mut self, dice: &mut fastrand::Rng) {
        for _ in 0..dice.usize(1..=2) {
            let (user, stream) = &self.people[dice.usize(..self.people.len())];
            self.pod.post_as(*user, stream, &format!("word {}", self.written)).unwrap();
            self.written += 1;
        }
    }

    fn ends(&self) -> u64 {
        self.state.borrow().reconnects.values().sum()
    }

    async fn until(&self, what: &str, mut holds: impl FnMut(&Stage) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}: {:?}", self.state.borrow());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// One fault, with messages before, within and after.
    async fn fault(&mut self, dice: &mut fastrand::Rng) {
        self.until("connected", |stage| stage.state.borrow().connected).await;
        let before = self.ends();
        self.write(dice);
        let cuts = match dice.u8(..10) {
            0..4 => {
                self.pod.trouble("feed-gone", 1);
                false
            }
            4..8 => true,
            8 => {
                self.pod.expire_tokens();
                false
            }
            _ => {
                self.pod.trouble("duplicate", 1);
                true
            }
        };
        self.write(dice);
        while self.ends() == before {
            if cuts {
                // Between two reads there is nothing to cut; the next one is.
                self.cut.send_replace(());
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        self.write(dice);
    }
}

async fn nothing_is_lost_and_nothing_handled_twice(over: Over) {
    let mut dice = fastrand::Rng::with_seed(20_261_121);
    let mut stage = Stage::new(over).await;
    for _ in 0..FAULTS {
        stage.fault(&mut dice).await;
    }
    let written = stage.written;
    let all = |stage: &Stage| stage.ledger.0.handled.lock().unwrap().len() == written;
    stage.until("every message is handled", all).await;
    // Whatever is still under way may only be known already.
    tokio::time::sleep(A_WHILE).await;
    let twice: Vec<String> =
        stage.ledger.0.handled.lock().unwrap().iter().filter(|(_, times)| **times != 1).map(|(text, _)| text.clone()).collect();
    assert_eq!(twice, Vec::<String>::new());
    let state = stage.state.borrow().clone();
    println!("{over:?}: {written} messages, {state:?}");
    assert!(state.reconnects.values().sum::<u64>() >= FAULTS as u64 && state.feeds_created > FAULTS as u64 / 5, "{state:?}");
    stage.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_losses_over_websockets() {
    nothing_is_lost_and_nothing_handled_twice(Over::WebSockets).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_losses_over_long_polls() {
    nothing_is_lost_and_nothing_handled_twice(Over::LongPolls).await;
}

#[tokio::test]
async fn the_doctor_counts_feeds_and_takes_none() {
    let now: NowMs = Arc::new(|| jiff::Timestamp::now().as_millisecond());
    let pod = Pod::open(now, None).unwrap();
    pod.add_user("Liaison", "", "liaison@acme.com", "liaison", true, Some(keys().1.clone()));
    let session = Arc::new(Session::new(settings(serve(pod.router()).await)).unwrap());
    let look = async |tag: &str| {
        let settings = FeedSettings { transport: Transport::LongPoll, tag: tag.to_owned(), pace: PACE };
        feed::look(session.clone(), settings).await
    };
    let none = look("liaison").await.unwrap();
    assert_eq!(none, "0 of at most 20 datafeeds of this account are in use; none is tagged liaison yet, and none was made.");
    let http = reqwest::Client::new();
    let tokens = session.tokens().await.unwrap();
    let make = async |tag: String| {
        let call = http.post(format!("{}/agent/v5/datafeeds", session.settings().agent_url));
        let call = call.header("sessionToken", &tokens.session).header("keyManagerToken", &tokens.key_manager);
        assert_eq!(call.json(&serde_json::json!({ "tag": tag })).send().await.unwrap().status(), 201);
    };
    for nth in 0..20 {
        make(format!("bot{nth}")).await;
    }
    let ours = look("bot7").await.unwrap();
    assert_eq!(ours, "20 of at most 20 datafeeds of this account are in use; the one tagged bot7 is among them and was left alone.");
    let full = look("liaison").await.unwrap_err();
    assert!(full.contains("none is tagged liaison: the bot would get none"), "{full}");
}
