//! From a checked configuration to a running bot, in the order in which each part may lean on the one before.
use super::health::{ConfirmClock, Vitals};
use super::members::{Members, WatchesReturns};
use super::policy::{KEYWORDS, policy};
use super::read_back::ReadBack;
use crate::adapters::disk::Disk;
use crate::adapters::store::{OpenStore, SledStore};
use crate::adapters::switchboard::Switchboard;
use crate::adapters::symphony::answers::CallError;
use crate::adapters::symphony::events::Translator;
use crate::adapters::symphony::feed::{self, FeedSettings, FeedState, Pace as FeedPace, Transport};
use crate::adapters::symphony::rest::{Symphony, USERS_AT_ONCE};
use crate::adapters::symphony::{SymphonySettings, login::LoginError};
use crate::adapters::twilio::twiml::Spoken;
use crate::adapters::twilio::{self, Poll, Twilio};
use crate::adapters::vault::Vault;
use crate::adapters::whatsapp::{LineHealth, Pace, Settings, WhatsApp, send::ANSWER_WITHIN};
use crate::adapters::wording::Wording;
use crate::config::{self, Config};
use crate::domain::event::{Event, Fact};
use crate::domain::ids::*;
use crate::domain::lines::StoppedLine;
use crate::domain::time::Timestamp;
use crate::domain::words::Words;
use crate::flow::desk::Desks;
use crate::flow::held::Counted;
use crate::flow::lanes::Counts;
use crate::flow::outbox::Outbox;
use crate::flow::stopped::{Heed, TellsOfLines};
use crate::flow::{disk, lines, wakes};
use crate::ports::{Clock, Inbox, Pulse, Receipt, Store, StoreError};
use crate::server::{self, Health, Listener, TwilioHooks, WhatsAppHooks};
use crate::telemetry;
use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// SIGTERM: effects in flight finish or are left in doubt within this time (INTERFACES §1).
const DRAIN: Duration = Duration::from_secs(25);
/// A step of the start that the platform refuses is tried again after this, for ever.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// In the data folder: from when on the datafeed may have missed something; there only while it may.
const FEED_GAP: &str = "feed-gap";
/// Rights given by `/admin` whose holders are looked up at start: more than any firm has advisors.
const GRANTS_AT_MOST: usize = 10_000;

/// Records of the quarantine that are counted at start: beyond this many the exact number helps nobody.
const QUARANTINE_COUNTED: usize = 100_000;
const COUNTED_AT_ONCE: usize = 1_000;

/// Why the bot could not start, with the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

fn cannot(error: impl std::fmt::Display) -> StartError {
    StartError(error.to_string())
}

/// Everything that a bot is made of.
pub struct Bot {
    pub config: Config,
    pub wording: Wording,
    pub clock: Arc<dyn Clock>,
    pub confirm_clock: ConfirmClock,
    pub metrics: PrometheusHandle,
}

/// The two addresses of a bot, bound.
pub struct Doors {
    pub webhooks: Listener,
    pub operators: Listener,
}

impl Doors {
    async fn open(config: &Config) -> Result<Doors, StartError> {
        let webhooks = server::bind(&config.server.listen.to_string(), "server.listen").await.map_err(cannot)?;
        let operators = server::bind(&config.server.ops_listen.to_string(), "server.ops_listen").await.map_err(cannot)?;
        Ok(Doors { webhooks, operators })
    }
}

/// A bot at work.
pub struct Running {
    pub address: SocketAddr,
    pub ops_address: SocketAddr,
    pub vitals: Arc<Vitals>,
    stop: CancellationToken,
    desks: Desks,
    tasks: TaskTracker,
    store: Arc<SledStore>,
}

struct Parts {
    config: Config,
    store: Arc<dyn Store>,
    desks: Desks,
    symphony: Arc<Symphony>,
    clock: Arc<dyn Clock>,
    vitals: Arc<Vitals>,
    feed_state: watch::Sender<FeedState>,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// When the store was last written before this start; `None` at the very first.
    last_known: Option<Timestamp>,
}

impl Bot {
    pub async fn start(self) -> Result<Running, StartError> {
        // Ports before the store: the cheapest mistakes are told first.
        let doors = Doors::open(&self.config).await?;
        self.start_behind(doors).await
    }

    /// At these addresses, which are those of the configuration. Nothing in the data folder is written before its lock is held.
    pub async fn start_behind(self, doors: Doors) -> Result<Running, StartError> {
        let Doors { webhooks: listener, operators: ops } = doors;
        let Bot { config, wording, clock, confirm_clock, metrics } = self;
        let wording = Arc::new(wording);
        let words = read_words(&config)?;
        let symphony = Arc::new(Symphony::new(symphony_settings(&config)?, Arc::clone(&clock)).map_err(said)?);
        let pace = Arc::new(Mutex::new(Pace::new()));
        let whatsapp = whatsapp(&config, &clock, &pace)?;
        let health = whatsapp.as_ref().map(|whatsapp| Arc::clone(whatsapp.health())).unwrap_or_default();
        let twilio = twilio(&config, &clock, &health)?;
        let spoken = spoken(&config, &wording)?;
        let store = open_store(&config).await?;
        let counted = Arc::new(Counted::new(Arc::clone(&store) as Arc<dyn Store>));
        let (heeds, time) = (Arc::clone(&health), Arc::clone(&clock));
        let heed: Heed = Box::new(move |line, trouble| heeds.heed(line, trouble, time.now()));
        let shared: Arc<dyn Store> = Arc::new(TellsOfLines::new(Arc::clone(&counted) as Arc<dyn Store>, heed));
        show_quarantine(&*shared).map_err(cannot)?;
        remember_lines(&config, &*shared, &health).map_err(cannot)?;
        let last_known = Some(shared.last_time()).filter(|at| at.0 > 0);
        let first_policy = policy(&config, &wording, words);
        let (desks, news) = Desks::start(Arc::clone(&shared), first_policy, Arc::clone(&clock));
        let (feed_state, feed) = watch::channel(FeedState::default());
        let (counts, counts_seen) = watch::channel(Counts::default());
        let vitals = Arc::new(Vitals {
            store: Arc::clone(&shared),
            clock: Arc::clone(&clock),
            session: symphony.session().watch(),
            feed,
            started: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            confirm_clock,
            disk: desks.disk(),
            lines: health.watch(),
            whatsapp: Arc::clone(&health),
            outbox: counts_seen,
            held: Arc::clone(&counted),
            view: Arc::clone(&store),
            transport: match config.symphony.feed {
                config::Feed::WebSocket => "websocket",
                config::Feed::LongPoll => "long-poll",
            },
            feed_since: AtomicI64::new(clock.now().0),
            numbers: numbers(&config),
        });
        desks.set_pulse(Arc::clone(&vitals) as Arc<dyn Pulse>);
        // Before anything is taken in: a bot that starts on a full disk knows it.
        let probe: Arc<dyn crate::ports::disk::Probe> = Arc::new(Disk(config.bot.data_dir.clone()));
        desks.disk().look(&*probe);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let templates = whatsapp.clone().map(|client| (client, Arc::clone(&wording)));
        let vault = Arc::new(Vault::open(&config.bot.data_dir, store.keys()).map_err(no_media)?);
        let (disk, chat, files) = (desks.disk(), Arc::clone(&symphony), Arc::clone(&vault));
        let sweep = super::media::sweep_daily(Arc::clone(&vault), Arc::clone(&shared), stop.clone());
        let sms = twilio.clone();
        let board = Arc::new(Switchboard { wording, symphony: chat, whatsapp, twilio: sms, pace, disk, vault });
        let outbox = Outbox {
            store: Arc::clone(&shared),
            inbox: Arc::new(desks.clone()),
            performer: Arc::clone(&board) as _,
            pacing: board,
            clock: Arc::clone(&clock),
            counts,
            crowd: desks.crowd(),
        };
        let parts = Parts {
            config,
            store: shared,
            desks: desks.clone(),
            symphony,
            clock,
            vitals: Arc::clone(&vitals),
            feed_state,
            stop: stop.clone(),
            tasks: tasks.clone(),
            last_known,
        };
        let (address, ops_address) = (listener.address().map_err(cannot)?, ops.address().map_err(cannot)?);
        let hooks = twilio.clone().and_then(|twilio| twilio_hooks(&parts, twilio, spoken, files));
        parts.serve(listener, ops, hooks, metrics);
        if let Some(twilio) = twilio {
            tasks.spawn(parts.poll(twilio).run(last_known, stop.clone()));
        }
        let outbox_stop = stop.clone();
        tasks.spawn(async move {
            if let Err(error) = outbox.run(news, outbox_stop, DRAIN).await {
                tracing::error!(%error, "the outbox could not be read");
            }
        });
        tasks.spawn(wakes::run(Arc::clone(&parts.store), Arc::new(desks.clone()), Arc::clone(&parts.clock), stop.clone()));
        tasks.spawn(Arc::clone(&vitals).watch_feed(stop.clone()));
        tasks.spawn(disk::watch(desks.disk(), probe, stop.clone()));
        tasks.spawn(sweep);
        tasks.spawn(lines::tell(health.watch(), Arc::new(desks.clone()), Arc::clone(&parts.clock), stop.clone()));
        if let Some((client, wording)) = templates {
            let inbox: Arc<dyn Inbox> = Arc::new(desks.clone());
            tasks.spawn(super::templates::watch(client, wording, inbox, Arc::clone(&parts.clock), stop.clone()));
        }
        tasks.spawn_blocking(move || {
            if let Err(error) = counted.count_what_is_there() {
                tracing::error!(%error, "the held messages could not be counted");
            }
        });
        tasks.spawn(parts.connect());
        Ok(Running { address, ops_address, vitals, stop, desks, tasks, store })
    }
}

fn no_media(error: std::io::Error) -> StartError {
    StartError(format!("The folder `media` in bot.data_dir cannot be used: {error}. Give Liaison the right to write there."))
}

fn said(error: LoginError) -> StartError {
    StartError(error.to_string())
}

/// What an earlier run set aside; from here on each one is counted as it comes.
fn show_quarantine(store: &dyn Store) -> Result<(), StoreError> {
    let (mut count, mut after) = (0, None::<String>);
    while count < QUARANTINE_COUNTED {
        let page = store.scan("quarantine/", after.as_deref(), COUNTED_AT_ONCE)?;
        let Some((last, _)) = page.last() else { break };
        (count, after) = (count + page.len(), Some(last.as_str().to_owned()));
    }
    metrics::gauge!(telemetry::names::QUARANTINE).set(count as f64);
    Ok(())
}

/// A line that had stopped is still not ready until something went out on it.
fn remember_lines(config: &Config, store: &dyn Store, health: &LineHealth) -> Result<(), StoreError> {
    for line in numbers(config).keys() {
        let stored = store.get(&StoppedLine::key_of(line))?;
        let stopped = stored.and_then(|stored| serde_json::from_slice::<StoppedLine>(&stored.value).ok());
        if let Some(stopped) = stopped {
            health.remember(&stopped.line, stopped.trouble);
        }
    }
    Ok(())
}

fn numbers(config: &Config) -> BTreeMap<LineId, String> {
    let whatsapp = config.whatsapp.lines.iter().map(|line| (line.phone_number_id.clone(), line.number.e164().to_owned()));
    let sms = sms_lines(config).map(|line| (LineId::new(line.number.e164()), line.number.e164().to_owned()));
    whatsapp.chain(sms).collect()
}

fn sms_lines(config: &Config) -> impl Iterator<Item = &config::SmsLine> {
    config.sms.lines.iter().filter(|_| config.sms.enabled)
}

fn read_words(config: &Config) -> Result<Words, StartError> {
    let path = config.bot.templates_dir.join(KEYWORDS);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        StartError(format!("{} cannot be read: {error}. Put the file back; it says what a client's words mean.", path.display()))
    })?;
    Words::parse(&text).map_err(|mistake| StartError(format!("{}: {mistake}", path.display())))
}

pub(super) fn symphony_settings(config: &Config) -> Result<SymphonySettings, StartError> {
    let key = &config.bot.private_key;
    let private_key_pem = std::fs::read_to_string(key).map_err(|error| {
        StartError(format!("bot.private_key {} cannot be read: {error}. Give the bot's RSA key as a PEM file.", key.display()))
    })?;
    Ok(SymphonySettings {
        pod_url: plain_url(&config.symphony.pod_url),
        agent_url: plain_url(&config.symphony.agent_url),
        key_manager_url: plain_url(&config.symphony.key_manager_url),
        username: config.bot.username.clone(),
        private_key_pem,
        ca_file: ca_file(config)?,
        proxy: config.server.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
    })
}

pub(super) fn feed_settings(config: &Config) -> FeedSettings {
    let symphony = &config.symphony;
    let transport = match symphony.feed {
        config::Feed::WebSocket => {
            Transport::WebSocket { url: symphony.feed_url.as_ref().map(url::Url::to_string).unwrap_or_default() }
        }
        config::Feed::LongPoll => Transport::LongPoll,
    };
    FeedSettings { transport, tag: symphony.feed_tag.clone(), pace: FeedPace::default() }
}

fn plain_url(url: &url::Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn ca_file(config: &Config) -> Result<Option<Vec<u8>>, StartError> {
    let Some(path) = &config.server.ca_file else { return Ok(None) };
    let read = std::fs::read(path);
    read.map(Some).map_err(|error| StartError(format!("server.ca_file {} cannot be read: {error}.", path.display())))
}

pub(super) fn whatsapp(
    config: &Config,
    clock: &Arc<dyn Clock>,
    pace: &Arc<Mutex<Pace>>,
) -> Result<Option<Arc<WhatsApp>>, StartError> {
    if !config.whatsapp.enabled {
        return Ok(None);
    }
    let settings = Settings {
        graph_url: plain_url(&config.whatsapp.graph_url),
        api_version: config.whatsapp.api_version.clone(),
        business_account_id: config.whatsapp.business_account_id.clone(),
        access_token: config.whatsapp.access_token.expose().to_owned(),
        ca: ca_file(config)?,
        proxy: config.server.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        answer_within: ANSWER_WITHIN,
    };
    let client = WhatsApp::new(settings, Arc::clone(clock), Arc::clone(pace)).map_err(cannot)?;
    Ok(Some(Arc::new(client)))
}

/// `health` is that of all lines, whatever their channel.
pub(super) fn twilio(
    config: &Config,
    clock: &Arc<dyn Clock>,
    health: &Arc<LineHealth>,
) -> Result<Option<Arc<Twilio>>, StartError> {
    if !config.sms.enabled {
        return Ok(None);
    }
    let client = Twilio::new(twilio_settings(config)?, Arc::clone(clock), Arc::clone(health)).map_err(cannot)?;
    Ok(Some(Arc::new(client)))
}

/// With the API key where there is one, else with the account's newest token.
pub(super) fn twilio_settings(config: &Config) -> Result<twilio::Settings, StartError> {
    let sms = &config.sms;
    let token = sms.auth_token.first().map(|token| token.expose().to_owned()).unwrap_or_default();
    let (user, password) = match &sms.api_secret {
        Some(secret) => (sms.api_key.clone(), secret.expose().to_owned()),
        None => (sms.account_sid.clone(), token),
    };
    Ok(twilio::Settings {
        api_url: plain_url(&sms.api_url),
        account_sid: sms.account_sid.clone(),
        user,
        password,
        public_url: config.server.public_url.as_ref().map(plain_url).unwrap_or_default(),
        auth_tokens: auth_tokens(config),
        ca: ca_file(config)?,
        proxy: config.server.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        answer_within: twilio::client::ANSWER_WITHIN,
    })
}

fn auth_tokens(config: &Config) -> Vec<String> {
    config.sms.auth_token.iter().map(|token| token.expose().to_owned()).collect()
}

/// In English, which every templates' folder has.
fn spoken(config: &Config, wording: &Wording) -> Result<Spoken, StartError> {
    let said = |name: &str| wording.spoken(name, &config.bot.firm).map_err(cannot);
    Ok(Spoken { greeting: said("call_greeting")?, voicemail: said("call_voicemail")? })
}

fn twilio_hooks(parts: &Parts, twilio: Arc<Twilio>, spoken: Spoken, vault: Arc<Vault>) -> Option<TwilioHooks> {
    let (config, sms) = (&parts.config, &parts.config.sms);
    Some(TwilioHooks {
        account_sid: sms.account_sid.clone(),
        auth_tokens: auth_tokens(config),
        shared_key: sms.shared_key.as_ref().map(|key| key.expose().to_owned()),
        public_url: plain_url(config.server.public_url.as_ref()?),
        lines: sms.lines.iter().map(|line| (line.number.clone(), line.forward_to.clone())).collect(),
        spoken,
        twilio,
        store: Arc::clone(&parts.store),
        vault,
    })
}

async fn open_store(config: &Config) -> Result<Arc<SledStore>, StartError> {
    let folder = config.bot.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || SledStore::open(OpenStore::new(folder)));
    let (store, opening) = opened.await.map_err(cannot)?.map_err(cannot)?;
    if opening.cut_bytes > 0 {
        tracing::warn!(
            bytes = opening.cut_bytes,
            "an unfinished last frame was cut off the journal; nothing in it was acknowledged"
        );
    }
    if opening.rebuilt || opening.replayed > 0 {
        tracing::info!(
            commits = opening.replayed,
            rebuilt = opening.rebuilt,
            restored = opening.restored,
            "the view was brought up to the journal"
        );
    }
    Ok(Arc::new(store))
}

impl Parts {
    fn serve(&self, listener: Listener, ops: Listener, sms: Option<TwilioHooks>, metrics: PrometheusHandle) {
        let whatsapp = &self.config.whatsapp;
        let hooks = whatsapp.enabled.then(|| WhatsAppHooks {
            verify_token: whatsapp.verify_token.expose().to_owned(),
            app_secrets: whatsapp.app_secret.iter().map(|secret| secret.expose().to_owned()).collect(),
        });
        let inbox: Arc<dyn Inbox> = Arc::new(self.desks.clone());
        let public = server::public_router(hooks, sms, inbox, Arc::clone(&self.clock));
        let health: Arc<dyn Health> = Arc::clone(&self.vitals) as Arc<dyn Health>;
        let operators = server::ops_router(health, metrics);
        for (listener, router) in [(listener, public), (ops, operators)] {
            let stop = self.stop.clone();
            self.tasks.spawn(async move {
                if let Err(error) = server::serve(listener, router, stop).await {
                    tracing::error!(%error, "a server ended");
                }
            });
        }
    }

    fn poll(&self, twilio: Arc<Twilio>) -> Poll {
        let lines = sms_lines(&self.config).map(|line| LineId::new(line.number.e164())).collect();
        Poll { twilio, lines, inbox: Arc::new(self.desks.clone()), clock: Arc::clone(&self.clock) }
    }

    /// Logs in, learns who everybody is, then listens to the datafeed for ever.
    async fn connect(self) {
        let Some(bot) =
            self.until_done("log in", || async { self.symphony.me().await.map(|me| me.id).map_err(|e| e.to_string()) }).await
        else {
            return;
        };
        let Some(bot) = bot.map(UserId) else {
            tracing::error!("the platform does not say who the bot is");
            return;
        };
        self.desks.set_policy(crate::domain::policy::Policy { bot, ..(*self.desks.policy()).clone() });
        if self.until_done("look up the advisors", || self.meet_advisors()).await.is_none() {
            return;
        }
        self.desks.open_to_clients();
        self.vitals.started.store(true, Ordering::Release);
        let translator = || Translator::new(bot, [self.config.bot.username.clone()]);
        let inbox: Arc<dyn Inbox> = Arc::new(self.desks.clone());
        let members = Members {
            symphony: Arc::clone(&self.symphony),
            store: Arc::clone(&self.store),
            inbox: Arc::clone(&inbox),
            clock: Arc::clone(&self.clock),
            bot,
            stop: self.stop.clone(),
        };
        let feed = feed::run(
            self.symphony.session(),
            feed_settings(&self.config),
            Arc::new(WatchesReturns(members.clone())),
            translator(),
            self.feed_state.clone(),
            self.stop.clone(),
        );
        let read_back = ReadBack {
            symphony: Arc::clone(&self.symphony),
            members,
            translator: translator(),
            inbox,
            clock: Arc::clone(&self.clock),
            feed: self.feed_state.subscribe(),
            stop: self.stop.clone(),
            note: self.config.bot.data_dir.join(FEED_GAP),
        };
        tokio::join!(feed, read_back.run(self.last_known));
    }

    async fn until_done<T, F: Future<Output = Result<T, String>>>(&self, what: &str, step: impl Fn() -> F) -> Option<T> {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return None,
                done = step() => match done {
                    Ok(done) => return Some(done),
                    Err(error) => tracing::warn!(error, "could not {what}; trying again"),
                },
            }
            tokio::select! { () = self.stop.cancelled() => return None, () = tokio::time::sleep(TRY_AGAIN) => {} }
        }
    }

    /// Advisors are known by e-mail address in the configuration and pinned to their user ids here, at first sight.
    async fn meet_advisors(&self) -> Result<(), String> {
        let configured = self.desks.policy().advisors.keys().cloned().collect::<BTreeSet<String>>();
        let granted = self.store.scan("grant/", None, GRANTS_AT_MOST).map_err(|error| error.to_string())?;
        let granted = granted.iter().filter_map(|(key, _)| key.as_str().strip_prefix("grant/").map(str::to_owned));
        let emails: Vec<String> = configured.into_iter().chain(granted).collect();
        for some in emails.chunks(USERS_AT_ONCE) {
            let users = match self.symphony.users_by_email(some).await {
                Ok(users) => users,
                // A platform that will not tell does not keep the bot from those whom it has met already.
                Err(error @ CallError::Refused { .. }) => {
                    tracing::warn!(%error, "the platform does not look up the advisors");
                    continue;
                }
                Err(error) => return Err(error.to_string()),
            };
            for person in users.iter().filter_map(|user| user.person()) {
                let id = EventId(format!("user:{}", person.id));
                let event = Event { id, at: self.clock.now(), fact: Fact::UserFound { user: person }, raw: None };
                if self.desks.deliver(event).await != Receipt::Kept {
                    return Err("the store does not take it just now".to_owned());
                }
            }
        }
        Ok(())
    }
}

impl Running {
    pub fn inbox(&self) -> Desks {
        self.desks.clone()
    }

    /// No new input; what is in flight finishes or stays in doubt; then the store is closed.
    pub async fn stop(self) {
        self.vitals.draining.store(true, Ordering::Release);
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("not everything ended in time");
        }
        self.desks.close();
        // Whatever was answered is durable already. A view that is closed in order spares the next start some work, and
        // proves to it that nothing of the journal was lost meanwhile. Threads that end later still hold the store.
        let store = self.store;
        let ended = tokio::task::spawn_blocking(move || store.end()).await;
        if let Ok(Err(error)) = ended {
            tracing::error!(%error, "the store could not be closed in order");
        }
    }
}

/// All mistakes of configuration, templates and keywords at once, for `liaison check`.
pub fn check(config: &Config) -> Vec<config::Mistake> {
    match read_words(config) {
        Ok(_) => Vec::new(),
        Err(error) => {
            let file = config.bot.templates_dir.join(KEYWORDS).display().to_string();
            vec![config::Mistake::new(file, "", error.to_string(), "See the file's own header.")]
        }
    }
}
