//! `liaison sandbox`: the real bot, with its real adapters over real sockets, against a pod, a WhatsApp and a Twilio of our own.
use super::start::{Bot, Doors, Running, StartError};
use crate::adapters::clock::SandboxClock;
use crate::adapters::store::{Filter, JournalLine, hold, is_in_use, read_journal};
use crate::adapters::wording::load_all;
use crate::domain::time::Timestamp;
use crate::ports::Clock;
use crate::sandbox::NowMs;
use crate::sandbox::group_views::{GroupMessageView, GroupView, NoEntry};
use crate::sandbox::keys::new_key_pair;
use crate::sandbox::meta::{Meta, MetaSettings};
use crate::sandbox::page::{self, World};
use crate::sandbox::pod::{Pod, type_of};
use crate::sandbox::twilio::{CallPlan, Texted, Twilio, TwilioSettings};
use crate::sandbox::views::*;
use crate::server::{Health, Listener, bind};
use axum::Router;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long the bot may take to connect to its own sandbox.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Entries of the journal that the page's timeline keeps in memory.
const TIMELINE_MAX: usize = 20_000;

#[derive(Clone, Debug)]
pub struct SandboxOptions {
    pub listen: SocketAddr,
    /// Keeps the state; otherwise it lives in a temporary folder.
    pub data: Option<PathBuf>,
    pub json: bool,
    pub whatsapp_callback: Option<String>,
    pub twilio_callback: Option<String>,
    pub expose: bool,
}

/// `LIAISON__SYMPHONY__FEED=long-poll liaison sandbox` runs the bot over the platform's own datafeed instead of websockets.
const FEED_OVERRIDE: &str = "LIAISON__SYMPHONY__FEED";
/// Leads the bot's calls through something that watches them on their way to the sandbox's own WhatsApp.
const GRAPH_OVERRIDE: &str = "LIAISON__WHATSAPP__GRAPH_URL";
/// The same for its own Twilio.
const TWILIO_OVERRIDE: &str = "LIAISON__SMS__API_URL";
/// The firm's choices, each of which may be tried here: they name nothing outside.
const CHOICES: &str = "LIAISON__POLICY__";
const MORE_CHOICES: [&str; 6] = [
    "LIAISON__BOT__FIRM",
    "LIAISON__BOT__DEFAULT_REGION",
    "LIAISON__BOT__TIME_ZONE",
    "LIAISON__WHATSAPP__NATIVE_GROUPS",
    "LIAISON__WHATSAPP__ROOMS_PER_LINE",
    "LIAISON__SMS__KEYWORD_REPLIES",
];

/// Where six ports are looked for: below the range from which systems take the ports of outgoing connections.
const FREE_PORTS: std::ops::Range<u16> = 16_000..32_000;
/// Six ports in a row are looked for this often. Only a machine that has none left comes to the end of it.
const PORT_TRIES: u32 = 200;

/// What listens on the six ports, in their order.
const BEHIND_THE_DOORS: [&str; 6] =
    ["the page", "the pod", "the WhatsApp Cloud API", "the Twilio API", "the bot's webhooks", "health and metrics"];

/// What to do about a folder that another one works in.
const ANOTHER_FOLDER: &str = "Stop it first, or give this one a folder of its own with --data.";

/// Who is there from the start: (first, last, e-mail).
const PEOPLE: [(&str, &str, &str); 5] = [
    ("Jane", "Doe", "jane.doe@acme.com"),
    ("Sam", "Lee", "sam.lee@acme.com"),
    ("Olga", "Berg", "olga.berg@acme.com"),
    ("Carl", "Ito", "carl.ito@acme.com"),
    ("Nina", "Roy", "nina.roy@acme.com"),
];

/// Where calls to Jane's line are forwarded.
const JANES_MOBILE: &str = "+12025550187";

/// Clients' phones: (number, name, on WhatsApp). The numbers are of ranges that are kept free for stories.
const PHONES: [(&str, &str, bool); 6] = [
    ("+4915112345678", "Ann Lee", true),
    ("+12025550123", "Bob Roe", true),
    ("+442071234567", "Eva Sun", true),
    ("+33612345678", "Paul Roux", false),
    ("+19175550148", "Mia Cole", false),
    ("+491713920012", "Jan Vogt", false),
];

/// A sandbox at work.
pub struct Sandbox {
    pub addresses: Addresses,
    bot: Running,
    world: Arc<Acme>,
    stop: CancellationToken,
    /// Goes last: whatever else there is works in it.
    _home: Home,
}

#[derive(Clone, Debug)]
pub struct Addresses {
    pub page: SocketAddr,
    pub pod: SocketAddr,
    pub whatsapp: SocketAddr,
    pub twilio: SocketAddr,
    pub bot: SocketAddr,
    pub ops: SocketAddr,
    pub data: PathBuf,
}

fn cannot(error: impl std::fmt::Display) -> StartError {
    StartError(error.to_string())
}

pub async fn start(options: SandboxOptions) -> Result<Sandbox, StartError> {
    if !options.listen.ip().is_loopback() && !options.expose {
        return Err(StartError(format!(
            "{} is not a loopback address. The sandbox has no passwords; give --expose if everybody who reaches it may use it.",
            options.listen
        )));
    }
    // Before this one has all its ports and the folder to itself, it must not write there: opening a log compacts it, and
    // another sandbox may be appending to it.
    let doors = open_doors(options.listen).await?;
    let home = Home::enter(options.data.clone())?;
    let data = home.folder.clone();
    let addresses = Addresses::of(&doors, &data)?;
    let [page_door, pod_door, whatsapp_door, twilio_door, webhooks, operators] = doors;
    let stop = CancellationToken::new();
    let unless_it_runs = stop.clone().drop_guard();
    let clock = Arc::new(SandboxClock::new(read_offset(&data)));
    let now: NowMs = {
        let clock = Arc::clone(&clock);
        Arc::new(move || clock.now().0)
    };
    let settings = MetaSettings::sandbox();
    let sms = TwilioSettings::sandbox(&format!("http://{}", addresses.twilio), &format!("http://{}", addresses.bot));
    let config_file = write_config(&data, &addresses, &settings, &sms)?;
    let (pod, bot_id) = open_pod(&data, &now)?;
    let meta = Meta::open(Arc::clone(&now), settings, Some(data.join("sandbox"))).map_err(cannot)?;
    let twilio = Twilio::open(Arc::clone(&now), sms, Some(data.join("sandbox"))).map_err(cannot)?;
    let (config, wording) = load_all(&config_file, &overrides()).map_err(all_mistakes)?;
    for template in wording.templates() {
        let submitted = template.as_submitted();
        let text = |field: &str| submitted[field].as_str().unwrap_or_default().to_owned();
        let registered =
            meta.register_template(&text("name"), &text("language"), &text("category"), submitted["components"].clone());
        registered.map_err(cannot)?;
    }
    spawn_server(pod_door, pod.router(), &stop);
    spawn_server(whatsapp_door, meta.router(), &stop);
    spawn_server(twilio_door, twilio.router(), &stop);
    for (number, name, on_whatsapp) in PHONES {
        if !meta.phones().iter().any(|phone| phone.number == number) {
            meta.add_phone(number, name, on_whatsapp).map_err(cannot)?;
        }
    }
    let metrics = crate::telemetry::metrics().map_err(cannot)?;
    let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let bot = Bot { config, wording, clock: as_clock, confirm_clock: Arc::new(|| {}), metrics };
    let running = bot.start_behind(Doors { webhooks, operators }).await?;
    meta.start(stop.clone());
    // The bot's own webhook first: a client's message counts as sent when this one took it.
    meta.add_callback(&format!("http://{}/webhooks/whatsapp", addresses.bot));
    if let Some(url) = &options.whatsapp_callback {
        meta.add_callback(url);
    }
    if let Some(url) = &options.twilio_callback {
        twilio.add_callback(url);
    }
    twilio.start(stop.clone());
    let (changed, changes) = watch::channel(0);
    let world = Arc::new(Acme {
        pod,
        meta,
        twilio,
        clock,
        bot_id,
        data: data.clone(),
        timeline: Mutex::default(),
        changed: Mutex::new(Some(changed)),
        changes,
    });
    world.watch(&running, &stop);
    let router = page::router(Arc::clone(&world) as Arc<dyn World>, options.expose);
    spawn_server(page_door, router, &stop);
    if let Err(not_ready) = wait_until_ready(&running).await {
        running.stop().await;
        return Err(not_ready);
    }
    unless_it_runs.disarm();
    Ok(Sandbox { addresses, bot: running, world, stop, _home: home })
}

impl Sandbox {
    /// The chat, for what no client of its calls could do to it.
    pub fn pod(&self) -> &Pod {
        &self.world.pod
    }

    /// Ends the bot first, then the world around it.
    pub async fn stop(self) {
        self.bot.stop().await;
        // Open pages listen for changes; without a sender they end.
        self.world.changed.lock().expect("nobody panics with the sender in hand").take();
        self.stop.cancel();
    }
}

impl Addresses {
    /// As the doors were opened, which are in the order of their ports.
    fn of(doors: &[Listener; 6], data: &Path) -> Result<Addresses, StartError> {
        let [page, pod, whatsapp, twilio, bot, ops] = doors.each_ref().map(Listener::address);
        let (page, pod, whatsapp) = (page.map_err(cannot)?, pod.map_err(cannot)?, whatsapp.map_err(cannot)?);
        let (twilio, bot, ops) = (twilio.map_err(cannot)?, bot.map_err(cannot)?, ops.map_err(cannot)?);
        Ok(Addresses { page, pod, whatsapp, twilio, bot, ops, data: data.to_owned() })
    }

    /// The line that `--json` prints.
    pub fn ready_line(&self) -> Value {
        let url = |address: SocketAddr| format!("http://{address}");
        json!({
            "ready": true, "page": url(self.page), "pod": url(self.pod), "whatsapp": url(self.whatsapp),
            "twilio": url(self.twilio), "bot": url(self.bot), "ops": url(self.ops),
        })
    }

    /// The same for people, with the keys that other programs need.
    pub fn told(&self) -> String {
        let settings = MetaSettings::sandbox();
        let sms = TwilioSettings::sandbox("", "");
        format!(
            "Liaison's sandbox is ready.\n\n  \
             Page       http://{page}/   (open this)\n  \
             Symphony   http://{pod}      pod, agent, key manager; feed ws://{pod}/agent/v5/datafeeds/ws\n             \
             service account guest-bot, private key {guest}\n  \
             WhatsApp   http://{whatsapp}      access token {token}, app secret {secret},\n             \
             phone number id {line} ({number}), account {account}\n  \
             Twilio     http://{twilio}      account {account_sid}, auth token {auth_token},\n             \
             API key {api_key} with {api_secret}, number {sms_number} of Jane Doe\n  \
             Webhooks   http://{bot}/webhooks/whatsapp, /webhooks/twilio/sms, voice, status\n  \
             Operators  http://{ops}/readyz, /metrics\n  \
             Data       {data}\n\n\
             Ctrl-C ends it.",
            page = self.page,
            pod = self.pod,
            guest = self.data.join("keys/guest-bot.pem").display(),
            whatsapp = self.whatsapp,
            token = settings.access_token,
            secret = settings.app_secret,
            line = settings.phone_number_id,
            number = settings.number,
            account = settings.waba_id,
            twilio = self.twilio,
            account_sid = sms.account_sid,
            auth_token = sms.auth_token,
            api_key = sms.api_key,
            api_secret = sms.api_secret,
            sms_number = sms.lines[0].number,
            bot = self.bot,
            ops = self.ops,
            data = self.data.display(),
        )
    }
}

/// The folder that a sandbox lives in, held against any other. One that nobody named is temporary: it goes when the sandbox
/// goes, however that comes, because private keys lie in it.
struct Home {
    folder: PathBuf,
    is_temporary: bool,
    _lock: Option<File>,
}

impl Home {
    fn enter(named: Option<PathBuf>) -> Result<Home, StartError> {
        let is_temporary = named.is_none();
        let folder = named.unwrap_or_else(temporary_folder);
        let cannot_be_made = |error| StartError(format!("{} cannot be made: {error}.", folder.display()));
        std::fs::create_dir_all(&folder).map_err(cannot_be_made)?;
        let mut home = Home { folder: folder.clone(), is_temporary, _lock: None };
        home._lock = Some(hold(&folder, ANOTHER_FOLDER).map_err(cannot)?);
        // `liaison run` with this folder's configuration holds the bot's own data only.
        if is_in_use(&folder.join("data")).map_err(cannot)? {
            return Err(StartError(format!("Another Liaison runs on the folder {}. {ANOTHER_FOLDER}", folder.display())));
        }
        std::fs::create_dir_all(folder.join("keys")).map_err(cannot_be_made)?;
        Ok(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(folder = %self.folder.display(), %error, "the temporary folder stays");
        }
    }
}

fn temporary_folder() -> PathBuf {
    std::env::temp_dir().join(format!("liaison-sandbox-{}-{:08x}", std::process::id(), fastrand::u32(..)))
}

/// Port 0 asks for any six free ports in a row.
async fn open_doors(listen: SocketAddr) -> Result<[Listener; 6], StartError> {
    if listen.port() != 0 {
        return six_doors(listen).await;
    }
    for _ in 0..PORT_TRIES {
        if let Ok(doors) = six_doors(SocketAddr::new(listen.ip(), fastrand::u16(FREE_PORTS))).await {
            return Ok(doors);
        }
    }
    Err(StartError("No six free ports in a row were found. Give one with --listen.".into()))
}

async fn six_doors(first: SocketAddr) -> Result<[Listener; 6], StartError> {
    if first.port().checked_add(5).is_none() {
        return Err(StartError("--listen needs six ports in a row; choose one below 65531.".into()));
    }
    let door = async |nth: u16| {
        let (address, what) = (SocketAddr::new(first.ip(), first.port() + nth), BEHIND_THE_DOORS[usize::from(nth)]);
        bind(&address.to_string(), &format!("--listen ({what})")).await.map_err(cannot)
    };
    Ok([door(0).await?, door(1).await?, door(2).await?, door(3).await?, door(4).await?, door(5).await?])
}

fn all_mistakes(mistakes: Vec<crate::config::Mistake>) -> StartError {
    StartError(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn spawn_server(listener: Listener, router: Router, stop: &CancellationToken) {
    let stop = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = crate::server::serve(listener, router, stop).await {
            tracing::error!(%error, "a server of the sandbox ended");
        }
    });
}

async fn wait_until_ready(running: &Running) -> Result<(), StartError> {
    let ready = async {
        while !running.vitals.reasons().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(READY_WITHIN, ready).await.map_err(|_| {
        let reasons: Vec<String> = running.vitals.reasons().into_iter().map(|reason| reason.text).collect();
        StartError(format!("The bot did not get ready in its sandbox: {}", reasons.join(" ")))
    })
}

// ---- what the sandbox is seeded with

fn open_pod(data: &Path, now: &NowMs) -> Result<(Pod, u64), StartError> {
    let pod = Pod::open(Arc::clone(now), Some(data.join("sandbox"))).map_err(cannot)?;
    for (first, last, email) in PEOPLE {
        let username = email.split('@').next().unwrap_or(email);
        pod.add_user(first, last, email, username, false, None);
    }
    let bot = service_account(&pod, data, "Liaison", "liaison", "bot.pem")?;
    service_account(&pod, data, "Guest Bot", "guest-bot", "guest-bot.pem")?;
    for (_, _, email) in PEOPLE {
        if let Some(user) = pod.user_by_email(email) {
            pod.im(user.id, bot);
        }
    }
    Ok((pod, bot))
}

fn service_account(pod: &Pod, data: &Path, name: &str, username: &str, file: &str) -> Result<u64, StartError> {
    let (path, public) = (data.join("keys").join(file), data.join("keys").join(format!("{file}.pub")));
    if !path.exists() || !public.exists() {
        let (private_pem, public_pem) = new_key_pair();
        write_private(&path, &private_pem)?;
        write_private(&public, &public_pem)?;
    }
    let public_pem = std::fs::read_to_string(&public).map_err(|e| StartError(format!("{}: {e}.", public.display())))?;
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    let email = format!("{username}@acme.com");
    Ok(pod.add_user(first, last, &email, username, true, Some(public_pem)))
}

fn write_private(path: &Path, text: &str) -> Result<(), StartError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| StartError(format!("{} cannot be written: {error}.", path.display())))
}

/// The bot reads an ordinary configuration, so that nothing of it is true for the sandbox only.
fn write_config(data: &Path, at: &Addresses, meta: &MetaSettings, sms: &TwilioSettings) -> Result<PathBuf, StartError> {
    let templates = templates_folder()?;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let text = format!(
        r#"# Written by `liaison sandbox` at each start.
[bot]
username = "liaison"
private_key = "keys/bot.pem"
firm = "Acme Wealth"
default_region = "US"
data_dir = "data"
templates_dir = {templates}
time_zone = "America/New_York"

[symphony]
pod_url = "http://{pod}"
feed_url = "ws://{pod}/agent/v5/datafeeds/ws"
feed_tag = "liaison"

[server]
listen = "{bot}"
ops_listen = "{ops}"
public_url = "http://{bot}"

[whatsapp]
graph_url = "http://{whatsapp}"
business_account_id = "{account}"
access_token = "{token}"
app_secret = "{secret}"
verify_token = "{verify}"
lines = [ {{ phone_number_id = "{line}", number = "{number}", name = "{name}" }} ]

[sms]
api_url = "http://{twilio}"
account_sid = "{account_sid}"
auth_token = "{auth_token}"
lines = [ {{ number = "{sms_number}", advisor = "jane.doe@acme.com", forward_to = "{JANES_MOBILE}" }} ]

[policy]
default_advisors = ["jane.doe@acme.com"]

[[advisors]]
email = "jane.doe@acme.com"
channels = ["whatsapp", "sms"]
permissions = ["advisor"]
sub_org = "Private Clients"

[[advisors]]
email = "sam.lee@acme.com"
channels = ["whatsapp", "sms"]
permissions = ["advisor"]
sub_org = "Private Clients"

[[advisors]]
email = "olga.berg@acme.com"
channels = ["whatsapp", "sms"]
permissions = ["admin", "onboarder"]
sub_org = "Private Clients"

[[advisors]]
email = "carl.ito@acme.com"
channels = ["whatsapp", "sms"]
permissions = ["compliance"]
sub_org = "Private Clients"
"#,
        templates = quoted(&templates.display().to_string()),
        pod = at.pod,
        bot = at.bot,
        ops = at.ops,
        whatsapp = at.whatsapp,
        account = meta.waba_id,
        token = meta.access_token,
        secret = meta.app_secret,
        verify = meta.verify_token,
        line = meta.phone_number_id,
        number = meta.number,
        name = meta.line_name,
        twilio = at.twilio,
        account_sid = sms.account_sid,
        auth_token = sms.auth_token,
        sms_number = sms.lines[0].number,
    );
    let path = data.join("bot-config.toml");
    std::fs::write(&path, text).map_err(|error| StartError(format!("{} cannot be written: {error}.", path.display())))?;
    Ok(path)
}

fn overrides() -> BTreeMap<String, String> {
    crate::config::environment().into_iter().filter(|(name, value)| counts_here(name, value)).collect()
}

/// Whoever has the settings of a real bot in his environment must still get a sandbox, and one that touches nothing real: of
/// all overrides the choice of the datafeed counts here, a way to the providers that stays on this machine, and whatever the
/// firm may choose without naming anybody outside.
fn counts_here(name: &str, value: &str) -> bool {
    let leads_here = || [GRAPH_OVERRIDE, TWILIO_OVERRIDE].contains(&name) && is_on_this_machine(value);
    name == FEED_OVERRIDE || name.starts_with(CHOICES) || MORE_CHOICES.contains(&name) || leads_here()
}

fn is_on_this_machine(address: &str) -> bool {
    let host = url::Url::parse(address).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(_)) | None => false,
    }
}

/// Beside the place where the program was started, or beside the program itself.
fn templates_folder() -> Result<PathBuf, StartError> {
    let here = std::env::current_dir().map_err(cannot)?;
    let program = std::env::current_exe().map_err(cannot)?;
    let beside = program.ancestors().skip(1).take(4).map(Path::to_owned);
    let found = std::iter::once(here)
        .chain(beside)
        .map(|folder| folder.join("templates"))
        .find(|folder| folder.join(super::policy::KEYWORDS).is_file());
    found.ok_or_else(|| StartError("The folder `templates` was not found. Start the sandbox from the project's folder.".into()))
}

fn offset_file(data: &Path) -> PathBuf {
    data.join("sandbox").join("clock")
}

fn read_offset(data: &Path) -> i64 {
    std::fs::read_to_string(offset_file(data)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

// ---- the world of the page

/// Acme Wealth's chat, its clients' phones, its clock and its bot's journal.
struct Acme {
    pod: Pod,
    meta: Meta,
    twilio: Twilio,
    clock: Arc<SandboxClock>,
    bot_id: u64,
    data: PathBuf,
    timeline: Mutex<Timeline>,
    changed: Mutex<Option<watch::Sender<u64>>>,
    changes: watch::Receiver<u64>,
}

#[derive(Default)]
struct Timeline {
    lines: Vec<(u64, Value)>,
    last: u64,
    last_at: Option<Timestamp>,
}

impl Acme {
    fn watch(self: &Arc<Self>, bot: &Running, stop: &CancellationToken) {
        let (mut pod, mut meta, mut store) = (self.pod.changes(), self.meta.changes(), bot.vitals.store.durable());
        let mut twilio = self.twilio.changes();
        let (world, stop) = (Arc::clone(self), stop.clone());
        tokio::spawn(async move {
            loop {
                let more = tokio::select! {
                    () = stop.cancelled() => false,
                    changed = pod.changed() => changed.is_ok(),
                    changed = meta.changed() => changed.is_ok(),
                    changed = twilio.changed() => changed.is_ok(),
                    changed = store.changed() => changed.is_ok(),
                };
                if !more {
                    return;
                }
                world.something_changed();
            }
        });
    }
    /// Whoever was texted or called has a phone, as on WhatsApp.
    fn adopt(&self) {
        let known = self.meta.phones();
        for number in self.twilio.clients() {
            if !known.iter().any(|phone| phone.number == number) {
                // A short code has messages but is nobody's phone.
                let _no_phone = self.meta.add_phone(&number, &number, true);
            }
        }
    }

    fn something_changed(&self) {
        if let Some(sender) = &*self.changed.lock().expect("nobody panics with the sender in hand") {
            sender.send_modify(|count| *count += 1);
        }
    }

    /// Reads what the journal has gained since the last look.
    fn read_on(&self) -> Result<std::sync::MutexGuard<'_, Timeline>, String> {
        let mut timeline = self.timeline.lock().expect("nobody panics with the timeline in hand");
        let filter = Filter { contact: None, since: timeline.last_at };
        let (last, mut fresh) = (timeline.last, Vec::new());
        let folder = self.data.join("data");
        read_journal(&folder, &filter, |line: JournalLine| {
            if line.sequence > last {
                fresh.push(line);
            }
        })
        .map_err(|error| error.to_string())?;
        for line in fresh {
            timeline.last = line.sequence;
            timeline.last_at = line.at.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond()));
            let value = serde_json::to_value(&line).map_err(|error| error.to_string())?;
            timeline.lines.push((line.sequence, value));
        }
        let surplus = timeline.lines.len().saturating_sub(TIMELINE_MAX);
        timeline.lines.drain(..surplus);
        Ok(timeline)
    }
}

impl World for Acme {
    fn now_ms(&self) -> i64 {
        self.clock.now().0
    }
    fn advance(&self, ms: i64) {
        self.clock.advance(ms);
        let file = offset_file(&self.data);
        let folder = file.parent().map(std::fs::create_dir_all).transpose();
        if let Err(error) = folder.and_then(|_| std::fs::write(&file, self.clock.offset().to_string())) {
            tracing::warn!(%error, "the clock's position could not be kept");
        }
        self.something_changed();
    }
    fn users(&self) -> Vec<UserView> {
        self.pod.users()
    }
    fn bot_id(&self) -> u64 {
        self.bot_id
    }
    fn rooms_of(&self, user: u64) -> Vec<RoomView> {
        self.pod.rooms_of(user)
    }
    fn all_rooms(&self) -> Vec<RoomView> {
        self.pod.all_rooms()
    }
    fn chat_messages(&self, stream: &str, as_user: Option<u64>) -> Vec<MessageView> {
        as_user.map_or_else(|| self.pod.conversation(stream), |user| self.pod.messages(stream, user))
    }
    fn im(&self, a: u64, b: u64) -> String {
        self.pod.im(a, b)
    }
    fn post_as(&self, user: u64, stream: &str, text: &str) -> Result<MessageView, String> {
        self.pod.post_as(user, stream, text)
    }
    fn post_files_as(&self, user: u64, stream: &str, text: &str, files: Vec<Given>) -> Result<MessageView, String> {
        self.pod.post_files_as(user, stream, text, files)
    }
    fn chat_file(&self, message: &str, file: &str) -> Option<(String, Bytes)> {
        let (name, bytes) = self.pod.file(message, file)?;
        Some((type_of(&name).to_owned(), Bytes::from(bytes)))
    }
    fn submit_form(&self, user: u64, stream: &str, message: &str, form: &str, values: Map<String, Value>) -> Result<(), String> {
        self.pod.submit_form(user, stream, message, form, values)
    }
    fn phones(&self) -> Vec<PhoneView> {
        self.adopt();
        self.meta.phones()
    }
    fn add_phone(&self, number: &str, name: &str, on_whatsapp: bool) -> Result<(), String> {
        self.meta.add_phone(number, name, on_whatsapp).map(drop)
    }
    fn phone_messages(&self, number: &str) -> Vec<PhoneMessageView> {
        let (mut messages, texts) = (self.meta.messages(number), self.twilio.messages(number));
        if !texts.is_empty() {
            messages.extend(texts);
            messages.sort_by_key(|message| message.at);
        }
        messages
    }
    fn phone_send(&self, number: &str, text: Option<&str>, payload: Option<&str>) -> Result<PhoneMessageView, String> {
        match (text, payload) {
            (_, Some(payload)) => self.meta.tap(number, payload),
            (Some(text), None) => self.meta.send_text(number, None, text, None),
            (None, None) => Err("There is nothing to send.".to_owned()),
        }
    }
    fn phone_text(&self, number: &str, texted: Texted) -> Result<PhoneMessageView, String> {
        self.twilio.text(number, texted)
    }
    fn phone_send_file(&self, number: &str, kind: &str, given: Given, caption: Option<&str>) -> Result<PhoneMessageView, String> {
        self.meta.send_file(number, kind, given, caption)
    }
    fn phone_file(&self, file: &str) -> Option<(String, Bytes)> {
        self.meta.file(file).or_else(|| self.twilio.file(file))
    }
    fn phone_groups(&self, number: &str) -> Vec<GroupView> {
        self.meta.groups_of(number)
    }
    fn phone_looks(&self, number: &str) -> Result<usize, String> {
        self.meta.mark_read(number)
    }
    fn phone_joins(&self, number: &str, link: &str) -> Result<GroupView, NoEntry> {
        self.meta.follow_link(number, link)
    }
    fn phone_leaves(&self, number: &str, group: &str) -> Result<GroupView, String> {
        self.meta.leave_group(number, group)
    }
    fn phone_writes_in_group(&self, number: &str, group: &str, text: &str) -> Result<GroupMessageView, String> {
        self.meta.write_in_group(number, group, text, None)
    }
    fn phone_sends_in_group(
        &self,
        number: &str,
        group: &str,
        kind: &str,
        given: Given,
        caption: Option<&str>,
    ) -> Result<GroupMessageView, String> {
        self.meta.send_file_in_group(number, group, kind, given, caption)
    }
    fn phone_call(&self, number: &str) -> Result<(), String> {
        self.meta.call(number)
    }
    fn phone_ring(&self, number: &str, plan: CallPlan) -> Result<PhoneMessageView, String> {
        self.twilio.call(number, plan)
    }
    fn trouble(&self, provider: &str, code: &str, times: u32) -> Result<(), String> {
        match provider {
            "whatsapp" => self.meta.trouble(code, times),
            "symphony" => self.pod.order_trouble(code, times),
            "twilio" | "sms" => self.twilio.trouble(code, times),
            other => Err(format!("There is no provider {other}; take whatsapp, symphony or twilio.")),
        }
    }
    fn journal(&self, after: u64, limit: usize) -> Vec<Value> {
        match self.read_on() {
            Ok(timeline) => {
                let lines: Vec<_> = timeline.lines.iter().filter(|(sequence, _)| *sequence > after).collect();
                // Whole commits: the next page begins behind a sequence.
                let last = lines.get(..limit).and_then(|page| page.last()).map(|(sequence, _)| *sequence);
                let page = lines.iter().take_while(|(sequence, _)| last.is_none_or(|last| *sequence <= last));
                page.map(|(_, line)| line.clone()).collect()
            }
            Err(error) => {
                tracing::error!(error, "the journal could not be read for the page");
                Vec::new()
            }
        }
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_may_be_tried_and_nothing_real_is_touched() {
        for name in ["LIAISON__POLICY__WHATSAPP_CONSENT", "LIAISON__POLICY__HELD_MAX", "LIAISON__WHATSAPP__NATIVE_GROUPS"] {
            assert!(counts_here(name, "any"), "{name}");
        }
        for name in [
            "LIAISON__WHATSAPP__ACCESS_TOKEN",
            "LIAISON__WHATSAPP__LINES",
            "LIAISON__SYMPHONY__POD_URL",
            "LIAISON__SERVER__PROXY",
            "LIAISON__STORE__URL",
            "LIAISON__BOT__DATA_DIR",
            "PATH",
        ] {
            assert!(!counts_here(name, "https://elsewhere.example"), "{name}");
        }
    }

    #[test]
    fn only_an_address_of_this_machine_may_stand_in_for_whatsapp() {
        assert!(is_on_this_machine("http://127.0.0.1:4010") && is_on_this_machine("http://[::1]:4010/"));
        for elsewhere in ["https://graph.facebook.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "127.0.0.1", ""] {
            assert!(!is_on_this_machine(elsewhere), "{elsewhere}");
        }
    }
}
