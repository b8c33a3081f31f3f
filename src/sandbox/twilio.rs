//! Twilio's API and the SMS and voice side of the clients' phones on loopback, with signed webhooks.
mod audio;
mod errors;
mod hooks;
mod phones;
mod rest;
mod send;
mod shapes;
mod trouble;
mod voice;
mod world;

pub use phones::Texted;
pub use voice::CallPlan;

use self::send::{Fate, is_open};
use self::trouble::{Order, Twist};
use self::world::{Direction, Keywords, Message, Number, Record, Status, World};
use super::NowMs;
use super::views::PhoneMessageView;
use bytes::Bytes;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Above this many clients with a turn those whose last webhook is over are forgotten.
const MAX_TURNS: usize = 10_000;

/// One of the firm's numbers, and what it calls it.
#[derive(Clone, Debug)]
pub struct TwilioLine {
    /// E.164 with "+".
    pub number: String,
    pub name: String,
}

/// The account that the emulator plays.
#[derive(Clone, Debug)]
pub struct TwilioSettings {
    pub account_sid: String,
    pub auth_token: String,
    /// An API key and its secret, which open the same account.
    pub api_key: String,
    pub api_secret: String,
    /// Where this API is reached, for the addresses of files.
    pub api_url: String,
    pub lines: Vec<TwilioLine>,
    /// What each line is preset to call; empty for nothing.
    pub sms_url: String,
    pub voice_url: String,
    pub status_callback: String,
}

impl TwilioSettings {
    /// The sandbox's fixed keys and line; they open nothing in the world. `bot_url` is where the bot's webhooks are.
    pub fn sandbox(api_url: &str, bot_url: &str) -> Self {
        let hook = |path: &str| format!("{bot_url}/webhooks/twilio/{path}");
        TwilioSettings {
            account_sid: "AC00000000000000000000000000000001".into(),
            auth_token: "sandbox-token".into(),
            api_key: "SK00000000000000000000000000000001".into(),
            api_secret: "sandbox-secret".into(),
            api_url: api_url.into(),
            lines: vec![TwilioLine { number: "+12025550143".into(), name: "Jane Doe".into() }],
            sms_url: hook("sms"),
            voice_url: hook("voice"),
            status_callback: hook("status"),
        }
    }
}

/// The emulator; a clone is the same one.
#[derive(Clone)]
pub struct Twilio {
    inner: Arc<Inner>,
}

struct Inner {
    settings: TwilioSettings,
    now: NowMs,
    world: Mutex<World>,
    changes: watch::Sender<u64>,
    running: Mutex<Option<CancellationToken>>,
    client: reqwest::Client,
    /// Who hears every webhook besides its receiver.
    listeners: Mutex<Vec<String>>,
    /// The last webhook of each client: two messages of one person that change places would look like a mistake of the bot.
    turns: Mutex<HashMap<String, JoinHandle<()>>>,
    waiting: AtomicUsize,
}

impl Inner {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<CancellationToken> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn listeners(&self) -> Vec<String> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Returns when the background tasks are told to stop; never if they were not started.
    async fn stopped(&self) {
        match self.running() {
            Some(token) => token.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Does this in the background until the emulator stops; nothing before it has started.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<JoinHandle<()>> {
        let stop = self.running()?;
        Some(tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        }))
    }

    /// The same, after everything that this client did before.
    fn in_turn(self: &Arc<Self>, client: &str, task: impl Future<Output = ()> + Send + 'static) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= MAX_TURNS {
            turns.retain(|_, turn| !turn.is_finished());
        }
        let before = turns.remove(client);
        let inner = self.clone();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let turn = self.spawn(async move {
            if let Some(before) = before {
                // However it ended, the next one may go.
                let _over = before.await;
            }
            task.await;
            inner.waiting.fetch_sub(1, Ordering::Relaxed);
        });
        turns.extend(turn.map(|turn| (client.to_owned(), turn)));
    }
}

impl Twilio {
    /// Opens the emulator with what `dir` remembers; without a folder it remembers nothing beyond the process. The lines call
    /// what the settings say, whatever was set by the API before.
    ///
    /// # Errors
    /// The folder cannot be read or written, or a line of its journal is damaged.
    pub fn open(now: NowMs, settings: TwilioSettings, dir: Option<PathBuf>) -> io::Result<Twilio> {
        let mut world = World::open(dir)?;
        let numbers = settings.lines.iter().enumerate().map(|(nth, line)| preset(&settings, &world, nth, line, now()));
        let numbers: Vec<Record> = numbers.map(Record::Number).collect();
        world.commit(numbers)?;
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(redirects).no_proxy().connect_timeout(hooks::CONNECT_WITHIN);
        let inner = Inner {
            settings,
            now,
            world: Mutex::new(world),
            changes: watch::Sender::new(0),
            running: Mutex::default(),
            client: client.build().map_err(io::Error::other)?,
            listeners: Mutex::default(),
            turns: Mutex::default(),
            waiting: AtomicUsize::new(0),
        };
        Ok(Twilio { inner: Arc::new(inner) })
    }

    /// Starts webhooks and callbacks until the token is cancelled. Must be called within a runtime, once. Messages that were on
    /// their way when the process ended go on; a client's message that no receiver had taken is lost, as with Twilio.
    pub fn start(&self, stop: CancellationToken) {
        let world = self.inner.world();
        *self.inner.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
        let open: Vec<Message> = world.messages.iter().filter(|message| is_open(message.status)).cloned().collect();
        drop(world);
        for message in open {
            match message.direction {
                Direction::Inbound => self.inner.becomes(&message.sid, Status::Lost, None),
                Direction::OutboundApi | Direction::OutboundReply | Direction::OutboundTwilio => {
                    drop(self.inner.spawn(self.inner.clone().go_its_way(message, Fate::Arrives, Twist::default())));
                }
            }
        }
    }

    /// The REST API. Serve it at the root of its own port.
    pub fn router(&self) -> axum::Router {
        rest::router(self.clone())
    }

    /// Counts up whenever something on a phone has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// The settings it plays.
    pub fn settings(&self) -> &TwilioSettings {
        &self.inner.settings
    }

    /// Sends every webhook from now on to this address too, signed for it; its answers count for nothing.
    pub fn add_callback(&self, url: &str) {
        self.inner.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(url.to_owned());
    }

    /// Orders a trouble for the next `times` sends, or switches who answers keywords; the codes are listed in the refusal of an
    /// unknown one. "duplicate", "delay", "no-webhook" and "bad-signature" are also spent on clients' messages and calls.
    ///
    /// # Errors
    /// A sentence, if there is no such trouble.
    pub fn trouble(&self, code: &str, times: u32) -> Result<(), String> {
        match trouble::parse(code)? {
            Order::Spoil(trouble) => self.inner.world().troubles.order(trouble, times),
            Order::Keywords(keywords) => self.answers_keywords(keywords),
        }
    }

    fn answers_keywords(&self, keywords: Keywords) -> Result<(), String> {
        let mut world = self.inner.world();
        let numbers: Vec<Record> = world.numbers.values().map(|n| Record::Number(Number { keywords, ..n.clone() })).collect();
        world.commit(numbers).map_err(phones::unwritten)
    }

    /// Everybody with whom a line has exchanged a message or a call, as numbers, or as what stands for one.
    pub fn clients(&self) -> Vec<String> {
        self.inner.world().clients().into_iter().collect()
    }

    /// The messages and calls on a phone, oldest first; none if there is no such phone.
    pub fn messages(&self, number: &str) -> Vec<PhoneMessageView> {
        phones::number(number).map(|number| self.inner.shown(&number)).unwrap_or_default()
    }

    /// The client writes to a line, with or without files.
    ///
    /// # Errors
    /// A sentence: no number, no such line, nothing to send or too much of it.
    pub fn text(&self, number: &str, texted: Texted) -> Result<PhoneMessageView, String> {
        self.inner.hear(&a_number(number)?, texted)
    }

    /// The client calls a line. What is returned is how it begins; [`Twilio::messages`] shows how it ends.
    ///
    /// # Errors
    /// A sentence: no number, no such line.
    pub fn call(&self, number: &str, plan: CallPlan) -> Result<PhoneMessageView, String> {
        self.inner.ring(&a_number(number)?, plan)
    }

    /// The type and the bytes of a file that some phone shows.
    pub fn file(&self, id: &str) -> Option<(String, Bytes)> {
        self.inner.world().file(id)
    }
}

fn a_number(input: &str) -> Result<String, String> {
    phones::number(input).ok_or_else(|| format!("{input} is no phone number."))
}

/// A line as it is at start: its addresses anew, its own SID and habits as they were.
fn preset(settings: &TwilioSettings, world: &World, nth: usize, line: &TwilioLine, now: i64) -> Number {
    let known = world.numbers.get(&line.number);
    Number {
        sid: shapes::line_sid(nth),
        number: line.number.clone(),
        friendly_name: line.name.clone(),
        sms_url: settings.sms_url.clone(),
        voice_url: settings.voice_url.clone(),
        status_callback: settings.status_callback.clone(),
        created: known.map_or(now, |known| known.created),
        updated: now,
        keywords: known.map(|known| known.keywords).unwrap_or_default(),
    }
}
