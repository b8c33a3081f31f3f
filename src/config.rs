//! The operator's settings: `bot-config.toml` and the environment, read, checked, and all mistakes told at once.
mod checks;
mod reader;
mod secret;

use crate::domain::ids::{Channel, LineId, Phone};
use crate::domain::time::Span;
use jiff::tz::TimeZone;
use reader::Section;
pub use secret::Secret;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use url::Url;

/// Something that the operator has to put right before the bot can run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The file, or the environment variable, that holds the mistake.
    pub file: String,
    /// The key with dots (`policy.held_max`); empty where the whole file is meant.
    pub key: String,
    /// What is wrong, a sentence.
    pub what: String,
    /// What to do about it, a sentence.
    pub remedy: String,
}

impl Mistake {
    pub fn new(file: impl Into<String>, key: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Mistake {
        Mistake { file: file.into(), key: key.into(), what: what.into(), remedy: remedy.into() }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {} {}", self.file, self.what, self.remedy),
            key => write!(f, "{}: {key}: {} {}", self.file, self.what, self.remedy),
        }
    }
}

/// The whole of `bot-config.toml`; names are those of the file.
#[derive(Clone, Debug)]
pub struct Config {
    pub file: PathBuf,
    pub bot: Bot,
    pub symphony: Symphony,
    pub store: Store,
    pub server: Server,
    pub whatsapp: WhatsApp,
    pub sms: Sms,
    pub policy: Policy,
    pub sub_orgs: Vec<SubOrg>,
    pub advisors: Vec<Advisor>,
    /// What the operator should know although it keeps nothing from running, one sentence each.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Bot {
    pub username: String,
    pub private_key: PathBuf,
    pub firm: String,
    /// Two capital letters, for numbers typed without a country code.
    pub default_region: String,
    pub data_dir: PathBuf,
    pub templates_dir: PathBuf,
    pub time_zone: TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    WebSocket,
    LongPoll,
}

#[derive(Clone, Debug)]
pub struct Symphony {
    pub pod_url: Url,
    pub agent_url: Url,
    pub key_manager_url: Url,
    pub feed: Feed,
    /// Always there when `feed` is `WebSocket`.
    pub feed_url: Option<Url>,
    pub feed_tag: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sled,
    Postgres,
}

#[derive(Clone, Debug)]
pub struct Store {
    pub engine: Engine,
    /// A database's address, which may hold its password.
    pub url: Option<Secret>,
}

#[derive(Clone, Debug)]
pub struct Server {
    pub listen: SocketAddr,
    pub ops_listen: SocketAddr,
    /// As the providers call the webhooks; always there when SMS is enabled, whose signatures cover the address.
    pub public_url: Option<Url>,
    pub ca_file: Option<PathBuf>,
    /// An address, which may hold a user and a password.
    pub proxy: Option<Secret>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomsPerLine {
    Many,
    One,
}

#[derive(Clone, Debug)]
pub struct WhatsApp {
    pub enabled: bool,
    pub graph_url: Url,
    pub api_version: String,
    pub business_account_id: String,
    pub access_token: Secret,
    /// One, or two during rotation; a webhook is good if any of them signed it.
    pub app_secret: Vec<Secret>,
    pub verify_token: Secret,
    pub native_groups: bool,
    pub rooms_per_line: RoomsPerLine,
    pub lines: Vec<WhatsAppLine>,
}

#[derive(Clone, Debug)]
pub struct WhatsAppLine {
    pub phone_number_id: LineId,
    pub number: Phone,
    pub name: String,
    /// Canonical e-mail address of the one who answers strangers on this line.
    pub advisor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordReplies {
    Provider,
    Liaison,
}

#[derive(Clone, Debug)]
pub struct Sms {
    pub enabled: bool,
    pub api_url: Url,
    pub account_sid: String,
    pub auth_token: Vec<Secret>,
    pub api_key: String,
    pub api_secret: Option<Secret>,
    pub shared_key: Option<Secret>,
    pub keyword_replies: KeywordReplies,
    pub lines: Vec<SmsLine>,
}

#[derive(Clone, Debug)]
pub struct SmsLine {
    pub number: Phone,
    pub advisor: String,
    pub forward_to: Option<Phone>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhatsAppConsent {
    Explicit,
    AnyReply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsConsent {
    Us,
    All,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsWelcome {
    Always,
    AfterConsent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopScope {
    Channel,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSender {
    Onboard,
    Park,
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRelay {
    All,
    Advisors,
}

/// Minutes after midnight in the contact's own time zone between which writing is allowed; `from` may be later than `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WritingHours {
    pub from: u16,
    pub to: u16,
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub whatsapp_consent: WhatsAppConsent,
    pub sms_consent: SmsConsent,
    pub sms_welcome: SmsWelcome,
    pub stop_scope: StopScope,
    pub unknown_sender: UnknownSender,
    /// Canonical e-mail addresses.
    pub default_advisors: Vec<String>,
    pub onboarding_per_hour: u32,
    pub onboarding_per_prefix: u32,
    pub resend_after: Span,
    pub waiting_notice: bool,
    pub group_relay: GroupRelay,
    pub held_expiry: Span,
    pub held_max: u32,
    /// `None` is "off".
    pub quiet_hours: Option<WritingHours>,
}

/// A sub-organisation; what is not set is as in its parent, and without one as in `[policy]`.
#[derive(Clone, Debug)]
pub struct SubOrg {
    pub name: String,
    pub parent: Option<String>,
    pub channels: Option<Vec<Channel>>,
    /// Canonical e-mail addresses.
    pub cover: Option<Vec<String>>,
    pub native_groups: Option<bool>,
    pub group_relay: Option<GroupRelay>,
    /// `Some(None)` is "off".
    pub quiet_hours: Option<Option<WritingHours>>,
    pub waiting_notice: Option<bool>,
    pub held_expiry: Option<Span>,
    pub held_max: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct Advisor {
    /// Canonical: trimmed and case-folded.
    pub email: String,
    pub channels: Vec<Channel>,
    /// Names of bundles or single permissions, each one known (COMMANDS §2).
    pub permissions: Vec<String>,
    /// "" where the firm has none.
    pub sub_org: String,
}

/// Reads the file with this process's environment. The templates are checked beside it by `adapters::wording::load_all`.
pub fn load(path: &Path) -> Result<Config, Vec<Mistake>> {
    load_with(path, &environment())
}

/// This process's environment; what is not Unicode cannot be a setting.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// Reads the file with a given environment: overrides (`LIAISON__A__B`) and what `{ env = "NAME" }` names.
pub fn load_with(path: &Path, environment: &BTreeMap<String, String>) -> Result<Config, Vec<Mistake>> {
    let reading = read(path, environment);
    match (reading.config, reading.mistakes.is_empty()) {
        (Some(config), true) => Ok(config),
        (_, _) => Err(reading.mistakes),
    }
}

/// What could be read. With mistakes the configuration stands in for what was meant, good enough to go on checking.
pub struct Reading {
    /// `None` where the file could not be read at all.
    pub config: Option<Config>,
    pub mistakes: Vec<Mistake>,
}

pub fn read(path: &Path, environment: &BTreeMap<String, String>) -> Reading {
    let (sheet, mut root) = match reader::open(path, environment) {
        Ok(opened) => opened,
        Err(mistake) => return Reading { config: None, mistakes: vec![mistake] },
    };
    let mut config = Config {
        file: path.to_owned(),
        bot: bot(root.section("bot")),
        symphony: symphony(root.section("symphony")),
        store: store(root.section("store")),
        server: server(root.section("server")),
        whatsapp: whatsapp(root.section("whatsapp")),
        sms: sms(root.section("sms")),
        policy: policy(root.section("policy")),
        sub_orgs: root.tables("sub_orgs").into_iter().map(sub_org).collect(),
        advisors: root.tables("advisors").into_iter().map(advisor).collect(),
        notes: Vec::new(),
    };
    root.done();
    config.notes = checks::across(&config, &sheet);
    Reading { config: Some(config), mistakes: sheet.take_mistakes() }
}

fn bot(mut section: Section) -> Bot {
    let bot = Bot {
        username: section.required("username"),
        private_key: section.required_path("private_key"),
        firm: section.required("firm"),
        default_region: section.text("default_region", "US"),
        data_dir: section.path("data_dir", "data"),
        templates_dir: section.path("templates_dir", "templates"),
        time_zone: section.time_zone("time_zone", "UTC"),
    };
    checks::region(&section, "default_region", &bot.default_region);
    checks::private_key(&section, "private_key", &bot.private_key);
    section.done();
    bot
}

fn symphony(mut section: Section) -> Symphony {
    let pod_url = section.required_url("pod_url", HTTP);
    let feed = section.choice("feed", &[("websocket", Feed::WebSocket), ("long-poll", Feed::LongPoll)]);
    let feed_tag = section.text("feed_tag", "liaison");
    checks::feed_tag(&section, "feed_tag", &feed_tag);
    let symphony = Symphony {
        agent_url: section.url("agent_url", HTTP).unwrap_or_else(|| pod_url.clone()),
        key_manager_url: section.url("key_manager_url", HTTP).unwrap_or_else(|| pod_url.clone()),
        pod_url,
        feed_url: match feed {
            Feed::WebSocket => Some(section.required_url("feed_url", WEBSOCKET)),
            Feed::LongPoll => section.url("feed_url", WEBSOCKET),
        },
        feed,
        feed_tag,
    };
    section.done();
    symphony
}

fn store(mut section: Section) -> Store {
    let engine = section.choice("engine", &[("sled", Engine::Sled), ("postgres", Engine::Postgres)]);
    let url = section.secret("url");
    if engine == Engine::Postgres {
        section.wrong("engine", "PostgreSQL comes with a later release.", "Write engine = \"sled\".");
    }
    section.done();
    Store { engine, url }
}

fn server(mut section: Section) -> Server {
    let server = Server {
        listen: section.address("listen", "127.0.0.1:8080"),
        ops_listen: section.address("ops_listen", "127.0.0.1:9090"),
        public_url: section.url("public_url", HTTP),
        ca_file: section.existing_file("ca_file"),
        proxy: section.proxy("proxy"),
    };
    if server.listen == server.ops_listen && server.listen.port() != 0 {
        section.wrong("ops_listen", "It is the same address as server.listen.", "Give it a port of its own.");
    }
    section.done();
    server
}

/// A channel's section says that the channel is used, unless it says `enabled = false`.
fn is_enabled(section: &mut Section) -> bool {
    let present = section.is_present();
    section.flag("enabled", present)
}

fn whatsapp(mut section: Section) -> WhatsApp {
    let enabled = is_enabled(&mut section);
    section.demand(enabled);
    let whatsapp = WhatsApp {
        enabled,
        graph_url: section.url("graph_url", HTTP).unwrap_or_else(|| known_url("https://graph.facebook.com")),
        api_version: section.text("api_version", "v23.0"),
        business_account_id: section.required("business_account_id"),
        access_token: section.required_secrets("access_token", 1).pop().unwrap_or_default(),
        app_secret: section.required_secrets("app_secret", ROTATION),
        verify_token: section.required_secrets("verify_token", 1).pop().unwrap_or_default(),
        native_groups: section.flag("native_groups", true),
        rooms_per_line: section.choice("rooms_per_line", &[("many", RoomsPerLine::Many), ("one", RoomsPerLine::One)]),
        lines: section.tables("lines").into_iter().filter_map(|line| whatsapp_line(line, enabled)).collect(),
    };
    checks::api_version(&section, "api_version", &whatsapp.api_version);
    section.done();
    whatsapp
}

fn whatsapp_line(mut section: Section, demanded: bool) -> Option<WhatsAppLine> {
    section.demand(demanded);
    let id = section.required("phone_number_id");
    let number = section.required_phone("number");
    let name = section.text("name", "");
    let advisor = section.email("advisor");
    section.done();
    Some(WhatsAppLine { phone_number_id: LineId::new(id), number: number?, name, advisor })
}

fn sms(mut section: Section) -> Sms {
    let enabled = is_enabled(&mut section);
    section.demand(enabled);
    let replies = [("provider", KeywordReplies::Provider), ("liaison", KeywordReplies::Liaison)];
    let sms = Sms {
        enabled,
        api_url: section.url("api_url", HTTP).unwrap_or_else(|| known_url("https://api.twilio.com")),
        account_sid: section.required("account_sid"),
        auth_token: section.required_secrets("auth_token", ROTATION),
        api_key: section.text("api_key", ""),
        api_secret: section.secret("api_secret"),
        shared_key: section.secret("shared_key"),
        keyword_replies: section.choice("keyword_replies", &replies),
        lines: section.tables("lines").into_iter().filter_map(|line| sms_line(line, enabled)).collect(),
    };
    if enabled {
        checks::account_sid(&section, "account_sid", &sms.account_sid);
        checks::api_key(&section, &sms);
    }
    section.done();
    sms
}

fn sms_line(mut section: Section, demanded: bool) -> Option<SmsLine> {
    section.demand(demanded);
    let number = section.required_phone("number");
    let advisor = section.email("advisor").unwrap_or_default();
    let forward_to = section.phone("forward_to");
    section.done();
    Some(SmsLine { number: number?, advisor, forward_to })
}

fn policy(mut section: Section) -> Policy {
    use UnknownSender::{Onboard, Park, Refuse};
    let consents = [("explicit", WhatsAppConsent::Explicit), ("any_reply", WhatsAppConsent::AnyReply)];
    let sms_consents = [("us", SmsConsent::Us), ("all", SmsConsent::All), ("none", SmsConsent::None)];
    let policy = Policy {
        whatsapp_consent: section.choice("whatsapp_consent", &consents),
        sms_consent: section.choice("sms_consent", &sms_consents),
        sms_welcome: section
            .choice("sms_welcome", &[("always", SmsWelcome::Always), ("after_consent", SmsWelcome::AfterConsent)]),
        stop_scope: section.choice("stop_scope", &[("channel", StopScope::Channel), ("all", StopScope::All)]),
        unknown_sender: section.choice("unknown_sender", &[("onboard", Onboard), ("park", Park), ("refuse", Refuse)]),
        default_advisors: section.emails("default_advisors"),
        onboarding_per_hour: section.count("onboarding_per_hour", 20),
        onboarding_per_prefix: section.count("onboarding_per_prefix", 5),
        resend_after: section.span("resend_after", Span::hours(24)),
        waiting_notice: section.flag("waiting_notice", true),
        group_relay: section.choice("group_relay", GROUP_RELAYS),
        held_expiry: section.span("held_expiry", HELD_EXPIRY),
        held_max: section.count("held_max", HELD_MAX),
        quiet_hours: section.hours("quiet_hours"),
    };
    section.done();
    policy
}

const GROUP_RELAYS: &[(&str, GroupRelay)] = &[("all", GroupRelay::All), ("advisors", GroupRelay::Advisors)];
const HELD_EXPIRY: Span = Span::days(14);
const HELD_MAX: u32 = 20;

fn sub_org(mut section: Section) -> SubOrg {
    let sub_org = SubOrg {
        name: section.required("name"),
        parent: section.optional("parent").map(|(name, _)| name),
        channels: section.own("channels", Section::channels),
        cover: section.own("cover", Section::emails),
        native_groups: section.own("native_groups", |section, name| section.flag(name, true)),
        group_relay: section.own("group_relay", |section, name| section.choice(name, GROUP_RELAYS)),
        quiet_hours: section.own("quiet_hours", Section::hours),
        waiting_notice: section.own("waiting_notice", |section, name| section.flag(name, true)),
        held_expiry: section.own("held_expiry", |section, name| section.span(name, HELD_EXPIRY)),
        held_max: section.own("held_max", |section, name| section.count(name, HELD_MAX)),
    };
    section.done();
    sub_org
}

fn advisor(mut section: Section) -> Advisor {
    let advisor = Advisor {
        email: section.required_email("email"),
        channels: section.channels("channels"),
        permissions: section.texts("permissions"),
        sub_org: section.text("sub_org", ""),
    };
    checks::permissions(&section, "permissions", &advisor.permissions);
    section.done();
    advisor
}

const HTTP: &[&str] = &["https", "http"];
const WEBSOCKET: &[&str] = &["wss", "ws"];
/// While a secret is being changed, the old and the new one are both good.
const ROTATION: usize = 2;

fn known_url(text: &str) -> Url {
    Url::parse(text).expect("an address written in this file is one")
}
