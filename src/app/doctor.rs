//! `liaison doctor`: tries each connection, token, number and template, and says of each what is wrong and what to do.
mod rights;
mod twilio;
mod whatsapp;

use super::start;
use crate::adapters::clock::SystemClock;
use crate::adapters::disk::Disk;
use crate::adapters::store::{has_its_keys, is_in_use};
use crate::adapters::symphony::feed;
use crate::adapters::symphony::login::CLOCKS_APART;
use crate::adapters::symphony::{LoginError, Session, Symphony};
use crate::adapters::wording::{Wording, load_all};
use crate::config::{self, Config};
use crate::domain::time::Timestamp;
use crate::ports::Clock;
use crate::ports::disk::{Level, Probe};
use crate::server;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: String,
    pub ok: bool,
    /// What was found, a sentence.
    pub what: String,
    /// What to do about it, a sentence; empty where nothing is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.ok { "✔" } else { "✘" };
        write!(f, "{mark} {}: {}", self.check, self.what)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " → {}", self.remedy) }
    }
}

/// What was tried, in order, each told as soon as it is known.
struct Report<'t> {
    tell: &'t mut dyn FnMut(&Finding),
    all_well: bool,
}

impl Report<'_> {
    fn good(&mut self, check: &str, what: impl Into<String>) {
        self.note(Finding { check: check.to_owned(), ok: true, what: what.into(), remedy: String::new() });
    }
    fn bad(&mut self, check: &str, what: impl std::fmt::Display, remedy: &str) {
        let what = what.to_string();
        self.note(Finding { check: check.to_owned(), ok: false, what, remedy: remedy.to_owned() });
    }
    fn result(&mut self, check: &str, good: &str, result: Result<(), String>, remedy: &str) -> bool {
        match result {
            Ok(()) => self.good(check, good),
            Err(why) => {
                self.bad(check, why, remedy);
                return false;
            }
        }
        true
    }
    fn note(&mut self, finding: Finding) {
        self.all_well &= finding.ok;
        (self.tell)(&finding);
    }
}

/// Tries everything and tells each finding; true only if `run` would work.
pub async fn examine(path: &Path, environment: &BTreeMap<String, String>, tell: &mut dyn FnMut(&Finding)) -> bool {
    let mut report = Report { tell, all_well: true };
    let Some((config, wording)) = configuration(&mut report, path, environment) else { return false };
    let running = data_folder(&mut report, &config.bot.data_dir);
    ports(&mut report, &config, running).await;
    public_url(&mut report, &config);
    symphony(&mut report, &config).await;
    whatsapp::whatsapp(&mut report, &config, &wording).await;
    twilio::sms(&mut report, &config).await;
    report.all_well
}

fn configuration(report: &mut Report<'_>, path: &Path, environment: &BTreeMap<String, String>) -> Option<(Config, Wording)> {
    let (loaded, mistakes) = match load_all(path, environment) {
        Ok((config, wording)) => {
            let mistakes = start::check(&config);
            (Some((config, wording)), mistakes)
        }
        Err(mistakes) => (None, mistakes),
    };
    for mistake in &mistakes {
        let place = format!("{} {}", mistake.file, mistake.key);
        report.bad("configuration", format!("{}: {}", place.trim(), mistake.what), &mistake.remedy);
    }
    if mistakes.is_empty() {
        report.good("configuration", format!("{} and the templates are in order.", path.display()));
    }
    loaded
}

// ---- this machine

/// Returns whether a bot runs on the folder.
fn data_folder(report: &mut Report<'_>, data: &Path) -> bool {
    const CHECK: &str = "data folder";
    let running = match is_in_use(data) {
        Ok(running) => running,
        Err(error) => {
            report.bad(CHECK, error.what, &error.remedy);
            return false;
        }
    };
    let state = if running { "a Liaison runs on it now" } else { "no Liaison runs on it" };
    let good = format!("{} can be written; {state}.", data.display());
    let remedy = "Give the user who runs Liaison the right to write there, or choose another bot.data_dir.";
    report.result(CHECK, &good, can_write(data), remedy);
    match has_its_keys(data) {
        Ok(true) => {}
        Ok(false) => report.bad(
            "keys",
            format!("{} is missing or cannot be read, but the journal needs it.", data.join("keys").display()),
            "Restore the folder keys from its backup.",
        ),
        Err(error) => report.bad("keys", error.what, &error.remedy),
    }
    disk_space(report, data);
    running
}

/// The folder itself, or what of the way to it is there already: `run` makes the rest.
fn nearest(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn can_write(data: &Path) -> Result<(), String> {
    let trial = nearest(data).join(format!(".liaison-doctor-{}", std::process::id()));
    let tried = std::fs::write(&trial, b"trial").and_then(|()| std::fs::remove_file(&trial));
    tried.map_err(|error| format!("{} cannot be written: {error}.", data.display()))
}

fn disk_space(report: &mut Report<'_>, data: &Path) {
    const CHECK: &str = "disk";
    const REMEDY: &str = "Make room on this disk, or move bot.data_dir to a larger one.";
    match Disk(nearest(data)).space() {
        Err(error) => report.bad(CHECK, format!("The free space cannot be read: {error}."), REMEDY),
        Ok(space) => {
            let free = format!("{} MiB of {} MiB are free.", space.free >> 20, space.total >> 20);
            match space.level() {
                Level::Enough => report.good(CHECK, free),
                Level::NoSends => report.bad(CHECK, format!("{free} Nothing would be sent to clients."), REMEDY),
                Level::StopsOnly => report.bad(CHECK, format!("{free} Only stops would be taken in."), REMEDY),
            }
        }
    }
}

async fn ports(report: &mut Report<'_>, config: &Config, running: bool) {
    let addresses = [(config.server.listen, "server.listen"), (config.server.ops_listen, "server.ops_listen")];
    for (address, key) in addresses {
        match server::bind(&address.to_string(), key).await {
            Ok(_) => report.good(key, format!("{address} is free.")),
            Err(_) if running => report.good(key, format!("{address} is taken, as it should be while a Liaison runs.")),
            Err(error) => report.bad(key, format!("Cannot listen on {address}: {}.", error.why), &error.remedy),
        }
    }
}

fn public_url(report: &mut Report<'_>, config: &Config) {
    const CHECK: &str = "server.public_url";
    let Some(url) = &config.server.public_url else {
        return report.good(CHECK, "It is not set; WhatsApp alone does not need it.");
    };
    let local = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() != "https" && !local {
        report.bad(CHECK, format!("{url} is not https; providers call nothing else."), "Write it with https://.");
    } else if !plain {
        report.bad(CHECK, format!("{url} has more than host and path."), "Write it as https://liaison.example.com.");
    } else {
        report.good(
            CHECK,
            format!("{url} has the right form; webhooks come to {}/webhooks/….", url.as_str().trim_end_matches('/')),
        );
    }
}

// ---- Symphony

async fn symphony(report: &mut Report<'_>, config: &Config) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let symphony = match start::symphony_settings(config).map(|settings| Symphony::new(settings, clock)) {
        Ok(Ok(symphony)) => symphony,
        Ok(Err(LoginError::Settings { what, remedy })) => return report.bad("private key", what, &remedy),
        Ok(Err(error)) => return report.bad("private key", error, "See [bot] and [server] of the configuration."),
        Err(error) => return report.bad("private key", error, "See that the file is there and may be read."),
    };
    report.good("private key", format!("{} holds an RSA key that signs.", config.bot.private_key.display()));
    let session = symphony.session();
    server_clock(report, &session).await;
    if !login(report, &session).await {
        return;
    }
    let remedy = "See that [symphony] pod_url is the pod's address.";
    match symphony.me().await {
        Ok(me) => {
            let name = me.display_name.as_deref().or(me.username.as_deref()).unwrap_or("the bot").to_owned();
            report.good("session", format!("The pod knows us as {name} (user {}).", me.id.unwrap_or_default()));
            rights::rights(report, &symphony, me).await;
        }
        Err(error) => report.bad("session", format!("The pod does not say who we are: {error}."), remedy),
    }
    let agent = symphony.agent_info().await.map(drop).map_err(|error| format!("The agent does not answer: {error}."));
    let remedy = "See that [symphony] agent_url is the agent's address and that the agent is up.";
    report.result("agent", "The agent answers.", agent, remedy);
    datafeed(report, config, session).await;
    advisors(report, config, &symphony).await;
}

async fn login(report: &mut Report<'_>, session: &Session) -> bool {
    let (pod, keys) = ("Symphony login", "key manager");
    let error = match session.tokens().await {
        Ok(tokens) => {
            report.good(pod, "The pod accepts the key.");
            report.good(
                keys,
                match tokens.keys_are_delivered() {
                    true => "It is not asked: pod and agent use simplified key delivery.",
                    false => "The key manager accepts the key.",
                },
            );
            return true;
        }
        Err(error) => error,
    };
    let at_key_manager = match &error {
        LoginError::Refused { url, .. } | LoginError::Unreachable { url, .. } => url.contains("/relay/"),
        LoginError::Settings { .. } => false,
    };
    let (check, key) = if at_key_manager { (keys, "key_manager_url") } else { (pod, "pod_url") };
    if at_key_manager {
        report.good(pod, "The pod accepts the key.");
    }
    let reach = format!("See that [symphony] {key} is right and can be reached from here.");
    let (what, remedy) = match error {
        LoginError::Unreachable { .. } => (error.to_string(), reach),
        LoginError::Settings { what, remedy } => (what, remedy),
        LoginError::Refused { url, status, message, username } => {
            let remedy =
                format!("Store the public half of the key for the service account `{username}`, and see that it is active.");
            (format!("{url} refused the key with status {status}: {message}."), remedy)
        }
    };
    report.bad(check, what, &remedy);
    false
}

async fn server_clock(report: &mut Report<'_>, session: &Session) {
    const CHECK: &str = "clock";
    match session.server_time().await {
        // Whether the pod can be reached is the login's line to tell.
        Err(_) | Ok(None) => report.good(CHECK, "It was not compared: the pod gives no date."),
        Ok(Some(theirs)) => {
            let ours = Timestamp(jiff::Timestamp::now().as_millisecond());
            let apart = (ours - theirs).0.abs() / 1_000;
            let what = format!("It is {apart} s from the pod's.");
            if apart * 1_000 <= CLOCKS_APART.0 {
                report.good(CHECK, what);
            } else {
                report.bad(CHECK, what, "Set this machine's clock by NTP; logins and webhooks carry the time.");
            }
        }
    }
}

async fn datafeed(report: &mut Report<'_>, config: &Config, session: Arc<Session>) {
    const CHECK: &str = "datafeed";
    match feed::look(session, start::feed_settings(config)).await {
        Ok(found) => report.good(CHECK, found),
        Err(why) => report.bad(CHECK, why, remedy_of_feed(config.symphony.feed)),
    }
}

fn remedy_of_feed(feed: config::Feed) -> &'static str {
    match feed {
        config::Feed::WebSocket => "See that [symphony] feed_url is right and that nothing in between stops websockets.",
        config::Feed::LongPoll => {
            "See that [symphony] agent_url is the agent's address; feeds that nobody reads end by themselves after half an hour."
        }
    }
}

async fn advisors(report: &mut Report<'_>, config: &Config, symphony: &Symphony) {
    let listed = config.advisors.iter().map(|advisor| advisor.email.to_lowercase());
    let lines = config.whatsapp.lines.iter().filter_map(|line| line.advisor.as_ref()).filter(|email| !email.is_empty());
    let sms = config.sms.lines.iter().map(|line| &line.advisor).filter(|email| config.sms.enabled && !email.is_empty());
    let named = config.policy.default_advisors.iter().chain(lines).chain(sms).map(|email| email.to_lowercase());
    let emails: Vec<String> = listed.chain(named).collect::<BTreeSet<_>>().into_iter().collect();
    let mut found = BTreeSet::new();
    for some in emails.chunks(crate::adapters::symphony::rest::USERS_AT_ONCE) {
        match symphony.users_by_email(some).await {
            Ok(users) => found.extend(users.into_iter().filter_map(|user| user.email_address).map(|email| email.to_lowercase())),
            Err(error) => {
                let remedy = "See that the service account may look up users.";
                return report.bad("advisors", format!("The pod does not look up users: {error}."), remedy);
            }
        }
    }
    for email in emails {
        let check = format!("advisor {email}");
        if found.contains(&email) {
            report.good(&check, "Found on the pod.");
        } else {
            report.bad(&check, "The pod has no active user with this address.", "Correct the address, or remove the advisor.");
        }
    }
}

/// Prints the findings, for people or one JSON object a line; true only if `run` would work.
pub async fn doctor(path: &Path, json: bool) -> bool {
    let mut print = |finding: &Finding| {
        use std::io::Write;
        let line = if json { serde_json::to_string(finding).unwrap_or_default() } else { finding.to_string() };
        // A reader who has seen enough closes the pipe.
        let _closed = writeln!(std::io::stdout(), "{line}");
    };
    examine(path, &config::environment(), &mut print).await
}
