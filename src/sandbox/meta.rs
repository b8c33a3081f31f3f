//! WhatsApp's Cloud API and the clients' phones on loopback: sends are answered, shown on the phones and told by signed webhooks.
mod errors;
mod graph;
mod groups;
mod hooks;
mod media;
mod pace;
mod phones;
mod send;
mod shapes;
mod template;
mod trouble;
mod world;

use self::hooks::Callback;
use self::phones::Said;
use self::template::Template;
use self::world::{Outgoing, Phone, Record, World};
use super::NowMs;
use super::views::{Given, PhoneMessageView, PhoneView};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The account and the line that the emulator plays.
#[derive(Clone)]
pub struct MetaSettings {
    pub access_token: String,
    pub app_secret: String,
    pub waba_id: String,
    pub phone_number_id: String,
    /// The line, E.164 with "+".
    pub number: String,
    pub line_name: String,
    pub verify_token: String,
}

impl MetaSettings {
    /// The sandbox's fixed keys and ids; they open nothing in the world.
    pub fn sandbox() -> Self {
        MetaSettings {
            access_token: "sandbox-token".into(),
            app_secret: "sandbox-secret".into(),
            waba_id: "200000000000001".into(),
            phone_number_id: "100000000000001".into(),
            number: "+15550100001".into(),
            line_name: "Acme Wealth".into(),
            verify_token: "sandbox-verify".into(),
        }
    }

    /// The line as webhooks write it.
    fn digits(&self) -> String {
        self.number.trim_start_matches('+').to_string()
    }
}

/// How a refusal that concerns the person comes: as an HTTP error, or as 200 followed by a `failed` status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    Sync,
    Async,
}

/// What a number is that nobody has added: a phone that appears with its first message, or a number without WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    Adopt,
    Unreachable,
}

#[derive(Clone, Copy)]
struct Habits {
    unreachable: Fails,
    window: Fails,
    strangers: Strangers,
    review: Duration,
    /// The app gets the account's webhooks.
    subscribed: bool,
    /// The firm is eligible for groups.
    groups: bool,
}

const HABITS: Habits = Habits {
    unreachable: Fails::Async,
    window: Fails::Sync,
    strangers: Strangers::Adopt,
    review: Duration::ZERO,
    subscribed: true,
    groups: true,
};

/// The emulator; a clone is the same one.
#[derive(Clone)]
pub struct Meta {
    inner: Arc<Inner>,
}

struct Inner {
    settings: MetaSettings,
    now: NowMs,
    world: Mutex<World>,
    habits: Mutex<Habits>,
    changes: watch::Sender<u64>,
    running: Mutex<Option<CancellationToken>>,
    client: reqwest::Client,
}

impl Inner {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn habits(&self) -> MutexGuard<'_, Habits> {
        self.habits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, Option<CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody is told anything of an account to which no app is subscribed.
    fn commit(&self, world: &mut World, records: Vec<Record>, hooks: Vec<Outgoing>) -> io::Result<()> {
        let hooks = if self.habits().subscribed { hooks } else { Vec::new() };
        world.commit(records, hooks)?;
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    fn settle(&self, hook: u64, callback: &str) -> io::Result<()> {
        self.world().settle(hook, callback)?;
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Returns when the background tasks are told to stop; never if they were not started.
    async fn stopped(&self) {
        let token = self.running().clone();
        match token {
            Some(token) => token.cancelled().await,
            None => std::future::pending().await,
        }
    }

    fn spawn_delivery(self: &Arc<Self>, callback: &Arc<Callback>) {
        if let Some(stop) = self.running().clone() {
            tokio::spawn(hooks::run(self.clone(), callback.clone(), stop));
        }
    }
}

impl Meta {
    /// Opens the emulator with what `dir` remembers; without a folder it remembers nothing beyond the process.
    ///
    /// # Errors
    /// The folder cannot be read or written, or a line of its journal is damaged.
    pub fn open(now: NowMs, settings: MetaSettings, dir: Option<PathBuf>) -> io::Result<Meta> {
        let world = Mutex::new(World::open(dir)?);
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(redirects).no_proxy().build().map_err(io::Error::other)?;
        let (habits, running) = (Mutex::new(HABITS), Mutex::new(None));
        let inner = Inner { settings, now, world, habits, changes: watch::Sender::new(0), running, client };
        Ok(Meta { inner: Arc::new(inner) })
    }

    /// Starts the delivery of webhooks until the token is cancelled. Must be called within a runtime, once.
    pub fn start(&self, stop: CancellationToken) {
        *self.inner.running() = Some(stop);
        let callbacks = self.inner.world().callbacks.clone();
        callbacks.iter().for_each(|callback| self.inner.spawn_delivery(callback));
    }

    /// The Graph API. Serve it at the root of its own port.
    pub fn router(&self) -> axum::Router {
        graph::router(self.clone())
    }

    /// Counts up whenever something on a phone or in a queue has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// The settings it plays.
    pub fn settings(&self) -> &MetaSettings {
        &self.inner.settings
    }

    /// Sends every webhook from now on to this address too, and those it had not taken before a restart.
    /// Once started it must be called within a runtime. The first callback is the firm's own: a client's message shows "sent" once that one has taken it.
    pub fn add_callback(&self, url: &str) {
        let mut world = self.inner.world();
        if world.callbacks.iter().any(|callback| callback.url == url) {
            return;
        }
        let callback = Arc::new(Callback::new(url));
        world.waiting_for(url).iter().for_each(|hook| callback.enqueue(hook, Duration::ZERO, 1));
        world.callbacks.push(callback.clone());
        drop(world);
        self.inner.spawn_delivery(&callback);
    }

    /// Meta's check of a callback before it is used.
    ///
    /// # Errors
    /// A sentence: it cannot be reached, or it did not echo the challenge.
    pub async fn verify(&self, url: &str, token: &str) -> Result<(), String> {
        hooks::verify(&self.inner.client, url, token).await
    }

    /// Webhooks that some callback has not taken yet.
    pub fn pending_webhooks(&self) -> usize {
        self.inner.world().pending_hooks()
    }

    /// Whether a number without WhatsApp fails in the answer or, as mostly in production, by a status.
    pub fn fail_unreachable(&self, how: Fails) {
        self.inner.habits().unreachable = how;
    }

    /// Whether a message outside the window fails in the answer (the default) or by a status; Meta does both.
    pub fn fail_window(&self, how: Fails) {
        self.inner.habits().window = how;
    }

    /// What numbers are that nobody added; by default they become phones.
    pub fn strangers(&self, are: Strangers) {
        self.inner.habits().strangers = are;
    }

    /// How long a new template stays PENDING; by default no time at all.
    pub fn review_takes(&self, time: Duration) {
        self.inner.habits().review = time;
    }

    /// Orders a trouble for the next `times` sends: "500", "503", "429", a number of Meta's error codes ("failed-" and such a
    /// number tells it by a status), "lost-answer", "hang", "html", "duplicate", "delay", "out-of-order" or "no-status".
    /// "duplicate", "delay" and "out-of-order" are also spent on clients' messages. Calls about
    /// groups have their own: codes from 131201 to 131215, "group-" and a code, "group-lost-answer", and of the webhook that
    /// follows "group-lost", "group-late", "group-twice" or "group-fails"; "group-suspend" and "group-clear" are done at once.
    ///
    /// # Errors
    /// A sentence, if there is no such trouble.
    pub fn trouble(&self, code: &str, times: u32) -> Result<(), String> {
        match code {
            "group-suspend" => self.suspend_groups(true),
            "group-clear" => self.suspend_groups(false),
            code => self.inner.world().troubles.order(code, times),
        }
    }

    /// Registers an approved template; `components` as in Meta's JSON. Registering it again replaces it.
    ///
    /// # Errors
    /// A sentence, if the components are no list or the journal cannot be written.
    pub fn register_template(&self, name: &str, language: &str, category: &str, components: Value) -> Result<(), String> {
        if !components.is_array() {
            return Err(format!("The components of the template {name} are no list."));
        }
        let (name, language, category) = (name.to_string(), language.to_string(), category.to_uppercase());
        let mut world = self.inner.world();
        let known = world.templates.get(&(name.clone(), language.clone()));
        let id = known.map_or_else(shapes::object_id, |known| known.id.clone());
        let template = Template { id, name, language, category, components, approved_at: 0, became: None };
        if known == Some(&template) {
            return Ok(());
        }
        self.inner.commit(&mut world, vec![Record::Template(template)], Vec::new()).map_err(phones::unwritten)
    }

    /// Something becomes of a template: "PAUSED", "DISABLED", "REJECTED" or "APPROVED" again; the callbacks are told.
    ///
    /// # Errors
    /// A sentence, if there is no such template or the journal cannot be written.
    pub fn template_becomes(&self, name: &str, language: &str, status: &str, reason: &str) -> Result<(), String> {
        let mut world = self.inner.world();
        let known = world.templates.get(&(name.to_string(), language.to_string())).cloned();
        let mut template = known.ok_or_else(|| format!("There is no template {name} in {language}."))?;
        template.became = (status != "APPROVED").then(|| (status.to_string(), reason.to_string()));
        let value = shapes::template_event(&self.inner.settings, &template, (status, reason), (self.inner.now)());
        let hook = Outgoing { value, message: None, after: Duration::ZERO, copies: 1 };
        self.inner.commit(&mut world, vec![Record::Template(template)], vec![hook]).map_err(phones::unwritten)
    }

    /// Adds a client's phone, or renames it; its window stays as it was.
    ///
    /// # Errors
    /// A sentence, if this is no number or the journal cannot be written.
    pub fn add_phone(&self, number: &str, name: &str, on_whatsapp: bool) -> Result<PhoneView, String> {
        let number = phones::number(number).ok_or_else(|| format!("{number} is no phone number."))?;
        let mut world = self.inner.world();
        let known = world.phones.get(&number).cloned();
        let fresh = Phone::new(&number, name, on_whatsapp);
        let phone = Phone { last_own: known.as_ref().and_then(|known| known.last_own), ..fresh };
        let view = phone.view();
        if known.as_ref() != Some(&phone) {
            self.inner.commit(&mut world, vec![Record::Phone(phone)], Vec::new()).map_err(phones::unwritten)?;
        }
        Ok(view)
    }

    /// All phones, by number.
    pub fn phones(&self) -> Vec<PhoneView> {
        self.inner.world().phones.values().map(Phone::view).collect()
    }

    /// The messages on a phone, oldest first; none if there is no such phone.
    pub fn messages(&self, number: &str) -> Vec<PhoneMessageView> {
        let number = phones::number(number).unwrap_or_default();
        self.inner.world().thread(&number).map(world::Message::view).collect()
    }

    /// The client writes to the line, perhaps quoting a message by its wamid.
    ///
    /// # Errors
    /// A sentence: no such phone or line, no WhatsApp on it, an empty text, or nothing to quote.
    pub fn send_text(
        &self,
        number: &str,
        line: Option<&str>,
        text: &str,
        quoted: Option<&str>,
    ) -> Result<PhoneMessageView, String> {
        let wanted = line.map(|line| phones::number(line).unwrap_or_else(|| line.to_string()));
        if wanted.is_some_and(|line| line != self.inner.settings.number) {
            return Err(format!("There is only the line {}.", self.inner.settings.number));
        }
        phones::check_text(text)?;
        let content = json!({ "body": text });
        self.inner.say(
            number,
            Said { kind: "text".into(), content, text: text.into(), context: quoted.map(str::to_string), file: None },
        )
    }

    /// The client taps the newest button with that payload.
    ///
    /// # Errors
    /// A sentence, if the phone shows no such button.
    pub fn tap(&self, number: &str, payload: &str) -> Result<PhoneMessageView, String> {
        self.inner.tap_button(number, payload)
    }

    /// The client calls the line; nobody answers, and it ends a moment later.
    ///
    /// # Errors
    /// A sentence: no such phone, or no WhatsApp on it.
    pub fn call(&self, number: &str) -> Result<(), String> {
        self.inner.call(number)
    }

    /// The client sends something else: image, document, location, contacts, reaction, revoke and so on. `content` is what stands
    /// under the name of the type in Meta's webhook; `mime_type` and `sha256` of a kept file are added.
    ///
    /// # Errors
    /// A sentence, as for [`Meta::send_text`].
    pub fn send_raw(&self, number: &str, kind: &str, content: Value) -> Result<PhoneMessageView, String> {
        let content = self.inner.completed(kind, content);
        let text = phones::own_line(kind, &content);
        let file = content["id"].as_str().and_then(|id| self.inner.shown_file(id));
        self.inner.say(number, Said { kind: kind.into(), content, text, context: None, file })
    }

    /// The client sends a file: `kind` is image, document, audio, video or sticker.
    ///
    /// # Errors
    /// A sentence, as for [`Meta::keep_media`] and [`Meta::send_text`].
    pub fn send_file(&self, number: &str, kind: &str, given: Given, caption: Option<&str>) -> Result<PhoneMessageView, String> {
        phones::known_phone(&self.inner.world(), number)?;
        let id =
            self.keep_media(&given.mime, Some(&given.name).filter(|name| !name.is_empty()).map(String::as_str), given.bytes)?;
        let mut content = json!({ "id": id });
        if let Some(caption) = caption.filter(|caption| !caption.is_empty()) {
            content["caption"] = caption.into();
        }
        self.send_raw(number, kind, content)
    }

    /// The type and the bytes of a file that some phone shows.
    pub fn file(&self, id: &str) -> Option<(String, bytes::Bytes)> {
        self.inner.file(id)
    }

    /// Keeps a file that a client wants to send and returns its media id for [`Meta::send_raw`].
    ///
    /// # Errors
    /// A sentence: a type that WhatsApp does not take, an empty or too large file, or a journal that cannot be written.
    pub fn keep_media(&self, mime: &str, filename: Option<&str>, bytes: bytes::Bytes) -> Result<String, String> {
        let kept = self.inner.keep_media(mime, filename.map(str::to_string), bytes);
        kept.map(|media| media.id).map_err(|error| error.details)
    }

    /// The client looks at the phone; returns how many messages became read.
    ///
    /// # Errors
    /// A sentence, if there is no such phone.
    pub fn mark_read(&self, number: &str) -> Result<usize, String> {
        self.inner.look(number)
    }
}
