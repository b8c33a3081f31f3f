//! Everything the emulator remembers, as records that are journalled first and applied second; a replay applies the same records.
use super::groups::{Group, GroupMessage, Groups};
use super::hooks::Callback;
use super::media::Media;
use super::pace::Pace;
use super::template::Template;
use super::trouble::Troubles;
use crate::sandbox::journal::Journal;
use crate::sandbox::views::{ButtonView, FileView, PhoneMessageView, PhoneView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Messages kept per phone; older ones are forgotten, since the page shows only the last ones.
const MAX_MESSAGES_PER_PHONE: usize = 10_000;
/// A client's own message opens the window for 24 h (Meta, customer service window).
const WINDOW_MS: i64 = 24 * 60 * 60 * 1000;
/// An undelivered webhook is given up after 7 days, as Meta does.
const HOOK_LIFE_MS: i64 = 7 * 24 * 60 * 60 * 1000;

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Phone {
    /// E.164 with "+".
    pub number: String,
    pub name: String,
    pub on_whatsapp: bool,
    /// The business-scoped user id.
    pub user_id: String,
    /// Time of the last message of the client that opened the window, milliseconds.
    pub last_own: Option<i64>,
}

impl Phone {
    pub fn new(number: &str, name: &str, on_whatsapp: bool) -> Self {
        let (number, name) = (number.to_string(), name.to_string());
        let user_id = super::shapes::user_id(&number);
        Phone { number, name, on_whatsapp, user_id, last_own: None }
    }

    pub fn wa_id(&self) -> &str {
        self.number.trim_start_matches('+')
    }

    pub fn the_window_is_open(&self, now: i64) -> bool {
        self.last_own.is_some_and(|last| now - last < WINDOW_MS)
    }

    pub fn view(&self) -> PhoneView {
        PhoneView { number: self.number.clone(), name: self.name.clone(), on_whatsapp: self.on_whatsapp }
    }
}

/// Which webhook a tap on a button of this message makes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(super) enum Taps {
    #[default]
    QuickReply,
    Button,
    ListRow,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
pub(super) enum Status {
    Delivered,
    Read,
    Pending,
    Sent,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Delivered => "delivered",
            Status::Read => "read",
            Status::Pending => "pending",
            Status::Sent => "sent",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Message {
    /// The wamid.
    pub id: String,
    /// Number of the client's phone.
    pub phone: String,
    pub at: i64,
    pub from_firm: bool,
    pub text: String,
    pub template: Option<String>,
    pub buttons: Vec<ButtonView>,
    #[serde(default)]
    pub taps: Taps,
    pub status: Status,
    pub callback_data: Option<String>,
    #[serde(default)]
    pub file: Option<FileView>,
}

impl Message {
    pub fn view(&self) -> PhoneMessageView {
        PhoneMessageView {
            id: self.id.clone(),
            at: self.at,
            channel: "whatsapp".into(),
            direction: if self.from_firm { "in" } else { "out" }.into(),
            text: self.text.clone(),
            template: self.template.clone(),
            buttons: self.buttons.clone(),
            status: self.status.word().into(),
            callback_data: self.callback_data.clone(),
            file: self.file.clone(),
            line: None,
            call: None,
        }
    }
}

/// A webhook that some callbacks have not accepted yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Hook {
    pub id: u64,
    /// By the true clock, so that moving the sandbox's clock loses no webhook.
    pub made_at: i64,
    pub body: Arc<str>,
    /// The client's message that counts as sent when the firm's own callback, the first one, has taken it.
    pub message: Option<String>,
    pub firm: String,
    pub waiting: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    Phone(Phone),
    Message(Message),
    Hook(Hook),
    HookTaken { id: u64, callback: String },
    Template(Template),
    TemplateGone { name: String, language: String },
    Media(Media),
    MediaGone { id: String },
    Group(Group),
    GroupMessage(GroupMessage),
}

/// A webhook to be made together with a commit.
pub(super) struct Outgoing {
    pub value: Value,
    pub message: Option<String>,
    pub after: Duration,
    pub copies: u32,
}

pub(super) struct World {
    journal: Journal,
    pub phones: BTreeMap<String, Phone>,
    messages: HashMap<String, Message>,
    threads: HashMap<String, VecDeque<String>>,
    pub templates: BTreeMap<(String, String), Template>,
    pub media: HashMap<String, Media>,
    pub groups: Groups,
    /// Bytes of media when there is no folder to keep them in.
    pub loose_media: HashMap<String, bytes::Bytes>,
    hooks: BTreeMap<u64, Hook>,
    next_hook: u64,
    pub callbacks: Vec<Arc<Callback>>,
    pub pace: Pace,
    pub troubles: Troubles,
}

impl World {
    /// Replays and compacts the journal; webhooks that are too old to be tried again are forgotten.
    pub fn open(folder: Option<PathBuf>) -> io::Result<World> {
        let (journal, records) = Journal::open(folder, "meta")?;
        let mut world = World::empty(journal);
        records.into_iter().for_each(|record| world.apply(record));
        let now = true_time();
        world.hooks.retain(|_, hook| now - hook.made_at < HOOK_LIFE_MS);
        let kept = world.records();
        world.journal.compact(&kept)?;
        Ok(world)
    }

    fn empty(journal: Journal) -> World {
        World {
            journal,
            phones: BTreeMap::new(),
            messages: HashMap::new(),
            threads: HashMap::new(),
            templates: BTreeMap::new(),
            media: HashMap::new(),
            groups: Groups::default(),
            loose_media: HashMap::new(),
            hooks: BTreeMap::new(),
            next_hook: 1,
            callbacks: Vec::new(),
            pace: Pace::default(),
            troubles: Troubles::default(),
        }
    }

    fn records(&self) -> Vec<Record> {
        let phones = self.phones.values().cloned().map(Record::Phone);
        let threads = self.threads.values().flatten().filter_map(|id| self.messages.get(id));
        let templates = self.templates.values().cloned().map(Record::Template);
        let media = self.media.values().cloned().map(Record::Media);
        let hooks = self.hooks.values().cloned().map(Record::Hook);
        let messages = threads.cloned().map(Record::Message);
        phones.chain(messages).chain(templates).chain(media).chain(self.groups.records()).chain(hooks).collect()
    }

    /// Writes the records, then makes them true, then starts the webhooks. On an error nothing has changed.
    pub fn commit(&mut self, mut records: Vec<Record>, outgoing: Vec<Outgoing>) -> io::Result<()> {
        let hooks = self.hooks_of(outgoing);
        records.extend(hooks.iter().map(|(hook, _, _)| Record::Hook(hook.clone())));
        self.journal.append(&records)?;
        records.into_iter().for_each(|record| self.apply(record));
        for (hook, after, copies) in hooks {
            let taking = self.callbacks.iter().filter(|callback| hook.waiting.contains(&callback.url));
            taking.for_each(|callback| callback.enqueue(&hook, after, copies));
        }
        Ok(())
    }

    /// Without a callback nobody listens, so no webhook is made.
    fn hooks_of(&mut self, outgoing: Vec<Outgoing>) -> Vec<(Hook, Duration, u32)> {
        let Some(firm) = self.callbacks.first().map(|callback| callback.url.clone()) else { return Vec::new() };
        let waiting: Vec<String> = self.callbacks.iter().filter(|c| c.has_room()).map(|c| c.url.clone()).collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        let first = self.next_hook;
        self.next_hook += outgoing.len() as u64;
        let made_at = true_time();
        let made = outgoing.into_iter().zip(first..).map(|(out, id)| {
            let (body, firm, waiting) = (super::shapes::ascii(&out.value).into(), firm.clone(), waiting.clone());
            (Hook { id, made_at, body, message: out.message, firm, waiting }, out.after, out.copies)
        });
        made.collect()
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Phone(phone) => drop(self.phones.insert(phone.number.clone(), phone)),
            Record::Message(message) => self.keep_message(message),
            Record::Hook(hook) => {
                self.next_hook = self.next_hook.max(hook.id + 1);
                self.hooks.insert(hook.id, hook);
            }
            Record::HookTaken { id, callback } => self.strike(id, &callback),
            Record::Template(template) => drop(self.templates.insert(template.key(), template)),
            Record::TemplateGone { name, language } => drop(self.templates.remove(&(name, language))),
            Record::Media(media) => drop(self.media.insert(media.id.clone(), media)),
            Record::Group(group) => self.groups.keep(group),
            Record::GroupMessage(message) => self.groups.keep_message(message),
            Record::MediaGone { id } => drop((self.media.remove(&id), self.loose_media.remove(&id))),
        }
    }

    fn keep_message(&mut self, message: Message) {
        let thread = self.threads.entry(message.phone.clone()).or_default();
        if !self.messages.contains_key(&message.id) {
            thread.push_back(message.id.clone());
        }
        self.messages.insert(message.id.clone(), message);
        if thread.len() > MAX_MESSAGES_PER_PHONE {
            thread.pop_front().map(|oldest| self.messages.remove(&oldest));
        }
    }

    fn strike(&mut self, id: u64, callback: &str) {
        let Some(hook) = self.hooks.get_mut(&id) else { return };
        hook.waiting.retain(|url| url != callback);
        if hook.waiting.is_empty() {
            self.hooks.remove(&id);
        }
    }

    /// Notes that a callback has taken a webhook, or will never take it.
    pub fn settle(&mut self, id: u64, callback: &str) -> io::Result<()> {
        let Some(hook) = self.hooks.get(&id) else { return Ok(()) };
        let mut records = vec![Record::HookTaken { id, callback: callback.to_string() }];
        let wamid = hook.message.as_ref().filter(|_| hook.firm == callback);
        let message = wamid.and_then(|wamid| self.messages.get(wamid));
        records.extend(message.map(|message| Record::Message(Message { status: Status::Sent, ..message.clone() })));
        let message = wamid.and_then(|wamid| self.groups.message(wamid));
        records.extend(message.map(|message| Record::GroupMessage(GroupMessage { status: Status::Sent, ..message.clone() })));
        self.commit(records, Vec::new())
    }

    /// The webhooks that this callback has yet to take, oldest first.
    pub fn waiting_for(&self, callback: &str) -> Vec<Hook> {
        self.hooks.values().filter(|hook| hook.waiting.iter().any(|url| url == callback)).cloned().collect()
    }

    /// True when the firm's receiver has been down for so long that its queue is full.
    pub fn the_firm_is_swamped(&self) -> bool {
        self.callbacks.first().is_some_and(|firm| !firm.has_room())
    }

    pub fn pending_hooks(&self) -> usize {
        self.hooks.len()
    }

    pub fn message(&self, wamid: &str) -> Option<&Message> {
        self.messages.get(wamid)
    }

    /// The messages of a phone, oldest first.
    pub fn thread(&self, number: &str) -> impl DoubleEndedIterator<Item = &Message> {
        self.threads.get(number).into_iter().flatten().filter_map(|id| self.messages.get(id))
    }

    pub fn media_path(&self, id: &str) -> Option<PathBuf> {
        self.journal.media_path(id)
    }
}

/// Milliseconds since 1970 by the machine's clock.
fn true_time() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
