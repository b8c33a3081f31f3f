//! The feed against the sandbox's pod while connections are cut and feeds are lost all the time, over both transports.
use super::world::*;
use axum::Router;
use liaison::adapters::store::MemoryStore;
use liaison::adapters::symphony::{FeedSettings, FeedState, Pace, Session, Symphony, Translator, Transport, feed};
use liaison::app::members::Members;
use liaison::app::read_back::ReadBack;
use liaison::domain::event::{Event, Fact};
use liaison::domain::ids::{EventId, UserId};
use liaison::domain::time::Timestamp;
use liaison::ports::{Clock, Inbox, Later, Receipt};
use liaison::sandbox::NowMs;
use liaison::sandbox::pod::Pod;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Forced ends of connections and feeds in one run.
const FAULTS: usize = 200;
const QUICK: Pace = Pace { first: Duration::from_millis(4), longest: Duration::from_millis(16), ..PACE };

/// The machine's clock, moved on by so much.
#[derive(Clone, Default)]
struct Moved(Arc<AtomicI64>);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond() + self.0.load(Ordering::SeqCst))
    }
}

/// No room is known here, so that there is nothing to compare.
fn members(
    symphony: &Arc<Symphony>,
    inbox: &Arc<dyn Inbox>,
    clock: &Arc<dyn Clock>,
    bot: u64,
    stop: &CancellationToken,
) -> Members {
    Members {
        symphony: Arc::clone(symphony),
        store: Arc::new(MemoryStore::new()),
        inbox: Arc::clone(inbox),
        clock: Arc::clone(clock),
        bot: UserId(bot),
        stop: stop.clone(),
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
            // What is known already takes no time and no room.
            if books.seen.lock().unwrap().contains(&event.id) {
                return Receipt::Kept;
            }
            let asked = {
                let mut asked = books.asked.lock().unwrap();
                *asked += 1;
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
    over: Over,
    pod: Pod,
    ledger: Ledger,
    state: watch::Receiver<FeedState>,
    cut: watch::Sender<()>,
    people: Vec<(u64, String)>,
    stop: CancellationToken,
    written: usize,
    _folder: tempfile::TempDir,
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
        let folder = tempfile::tempdir().unwrap();
        let (ledger, stop) = (Ledger::default(), CancellationToken::new());
        let inbox: Arc<dyn Inbox> = Arc::new(ledger.clone());
        let (state_in, state) = watch::channel(FeedState::default());
        let symphony = Arc::new(Symphony::new(settings(direct), Arc::new(Moved::default())).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(Moved::default());
        let read_back = ReadBack {
            members: members(&symphony, &inbox, &clock, bot, &stop),
            symphony,
            translator: Translator::new(UserId(bot), []),
            inbox: Arc::clone(&inbox),
            clock,
            feed: state_in.subscribe(),
            stop: stop.clone(),
            note: folder.path().join("feed-gap"),
        };
        tokio::spawn(read_back.run(None));
        let session = Arc::new(Session::new(settings(format!("http://{through}"))).unwrap());
        let feed_settings = FeedSettings { transport, tag: "liaison".to_owned(), pace: QUICK };
        let translator = Translator::new(UserId(bot), []);
        let cancel = stop.clone();
        tokio::spawn(async move { feed::run(session, feed_settings, inbox, translator, state_in, cancel).await });
        Stage { over, pod, ledger, state, cut, people: people.into(), stop, written: 0, _folder: folder }
    }

    fn write(&mut self, dice: &mut fastrand::Rng) {
        for _ in 0..dice.usize(1..=2) {
            let (user, stream) = &self.people[dice.usize(..self.people.len())];
            self.pod.post_as(*user, stream, &format!("word {}", self.written)).unwrap();
            self.written += 1;
        }
    }

    /// Asks the pod for a trouble, so that nothing need be cut.
    fn order(&self, trouble: &str) -> bool {
        self.pod.trouble(trouble, 1);
        false
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

    async fn everything_was_handled_once(&self) {
        let all = |stage: &Stage| stage.ledger.0.handled.lock().unwrap().len() == stage.written;
        self.until("every message is handled", all).await;
        // Whatever is still under way may only be known already.
        tokio::time::sleep(A_WHILE).await;
        let handled = self.ledger.0.handled.lock().unwrap();
        let twice: Vec<&String> = handled.iter().filter(|(_, times)| **times != 1).map(|(text, _)| text).collect();
        assert_eq!(twice, Vec::<&String>::new());
    }

    /// One fault, with messages before, within and after.
    async fn fault(&mut self, dice: &mut fastrand::Rng, feeds_die: bool) {
        self.until("connected", |stage| stage.state.borrow().connected).await;
        let before = self.ends();
        self.write(dice);
        let cuts = match dice.u8(..10) {
            0..4 if feeds_die => self.order("feed-gone"),
            // The pod's own ways to end a websocket.
            4 if self.over == Over::WebSockets => self.order("disconnect"),
            5 if self.over == Over::WebSockets => self.order("refresh"),
            0..8 => true,
            8 => {
                self.pod.expire_tokens();
                false
            }
            _ => !self.order("duplicate"),
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
    // First feeds live on, since the history read back after a loss would heal what the feed itself had lost before.
    for feeds_die in [false, true] {
        for _ in 0..FAULTS / 2 {
            stage.fault(&mut dice, feeds_die).await;
        }
        stage.everything_was_handled_once().await;
    }
    let state = stage.state.borrow().clone();
    println!("{over:?}: {} messages, {state:?}", stage.written);
    assert!(state.reconnects.values().sum::<u64>() >= FAULTS as u64 && state.feeds_created > FAULTS as u64 / 10, "{state:?}");
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

/// A pod whose clock is moved, and what the feed says of itself.
struct Outage {
    clock: Moved,
    pod: Pod,
    bot: u64,
    jane: u64,
    stream: String,
    address: String,
    ledger: Ledger,
    folder: tempfile::TempDir,
}

impl Outage {
    async fn new() -> Outage {
        let clock = Moved::default();
        let now: NowMs = {
            let clock = clock.clone();
            Arc::new(move || clock.now().0)
        };
        let pod = Pod::open(now, None).unwrap();
        let bot = pod.add_user("Liaison", "", "liaison@acme.com", "liaison", true, Some(keys().1.clone()));
        let jane = pod.add_user("Jane", "Doe", "jane@acme.com", "jane", false, None);
        let (stream, address) = (pod.im(jane, bot), serve(pod.router()).await);
        Outage { clock, pod, bot, jane, stream, address, ledger: Ledger::default(), folder: tempfile::tempdir().unwrap() }
    }

    fn start(&self) -> (watch::Sender<FeedState>, CancellationToken, tokio::task::JoinHandle<()>) {
        let ((state, feed), stop) = (watch::channel(FeedState::default()), CancellationToken::new());
        let symphony = Arc::new(Symphony::new(settings(self.address.clone()), Arc::new(self.clock.clone())).unwrap());
        let (inbox, clock): (Arc<dyn Inbox>, Arc<dyn Clock>) = (Arc::new(self.ledger.clone()), Arc::new(self.clock.clone()));
        let read_back = ReadBack {
            members: members(&symphony, &inbox, &clock, self.bot, &stop),
            symphony,
            translator: Translator::new(UserId(self.bot), []),
            inbox,
            clock,
            feed,
            stop: stop.clone(),
            note: self.note(),
        };
        (state, stop, tokio::spawn(read_back.run(Some(self.clock.now()))))
    }

    fn note(&self) -> std::path::PathBuf {
        self.folder.path().join("feed-gap")
    }

    fn minutes_go_by(&self, minutes: i64) {
        self.clock.0.fetch_add(minutes * 60_000, Ordering::SeqCst);
    }

    fn write(&self, text: &str) {
        self.pod.post_as(self.jane, &self.stream, text).unwrap();
    }

    async fn half_an_hour_without(&self, state: &watch::Sender<FeedState>) {
        tell(state, |s| (s.connected, s.alive_at) = (false, Some(tokio::time::Instant::now()))).await;
        for minutes in 0..30 {
            self.write(&format!("minute {minutes}"));
            self.minutes_go_by(1);
            tell(state, |s| s.last_error = Some(format!("away for {minutes} minutes"))).await;
        }
    }

    async fn all_of_it_is_handled(&self) {
        let began = Instant::now();
        while self.handled().len() < 30 {
            assert!(began.elapsed() < SOON, "{:?}", self.handled());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(self.handled().iter().all(|text| text.starts_with("minute ")), "no more than the gap and a margin");
    }

    fn handled(&self) -> Vec<String> {
        self.ledger.0.handled.lock().unwrap().keys().cloned().collect()
    }
}

async fn tell(state: &watch::Sender<FeedState>, change: impl FnOnce(&mut FeedState)) {
    state.send_modify(change);
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// The agent is away for half an hour, in which its feed dies; commits go on for other reasons, and the clock too.
#[tokio::test]
async fn a_long_outage_is_read_back_from_where_it_began() {
    let outage = Outage::new().await;
    let (state, stop, task) = outage.start();
    tell(&state, |s| s.connected = true).await;
    outage.minutes_go_by(20);
    outage.write("long before, and brought by the feed");
    outage.minutes_go_by(20);
    outage.half_an_hour_without(&state).await;
    tell(&state, |s| (s.connected, s.feeds_created) = (true, 1)).await;
    outage.all_of_it_is_handled().await;
    tell(&state, |_| {}).await;
    assert!(!outage.note().exists(), "nothing is owed any more");
    stop.cancel();
    task.await.unwrap();
}

/// The program is killed meanwhile, or after the new feed was made and before anything was read back.
#[tokio::test]
async fn what_was_owed_at_the_end_is_read_back_after_the_next_start() {
    for killed_after_the_new_feed in [false, true] {
        let outage = Outage::new().await;
        let (state, _stop, task) = outage.start();
        tell(&state, |s| s.connected = true).await;
        outage.half_an_hour_without(&state).await;
        if killed_after_the_new_feed {
            // The new feed is there, but nobody has heard of it.
            outage.minutes_go_by(1);
        }
        task.abort();
        let (state, _stop, _task) = outage.start();
        tell(&state, |s| (s.connected, s.feeds_created) = (true, u64::from(!killed_after_the_new_feed))).await;
        outage.all_of_it_is_handled().await;
    }
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
    assert_eq!(
        ours,
        "20 of at most 20 datafeeds of this account are in use; the one tagged bot7 is among them and was left alone."
    );
    let full = look("liaison").await.unwrap_err();
    assert!(full.contains("none is tagged liaison: the bot would get none"), "{full}");
}
