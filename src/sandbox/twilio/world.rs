//! Everything the emulator remembers, as records that are journalled first and applied second; a replay applies the same records.
use super::trouble::Troubles;
use crate::sandbox::journal::Journal;
use crate::sandbox::views::FileView;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;

/// Messages, calls and recordings kept of each kind; older ones are forgotten, as nobody looks at them any more.
const MAX_KEPT: usize = 100_000;

/// Who put a message on its way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Direction {
    Inbound,
    OutboundApi,
    OutboundReply,
    /// Twilio's own answer to a keyword, which no list of the account shows.
    OutboundTwilio,
}

impl Direction {
    pub fn word(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::OutboundApi => "outbound-api",
            Direction::OutboundReply | Direction::OutboundTwilio => "outbound-reply",
        }
    }
}

/// How far a message is, by Twilio's words.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    Queued,
    Sent,
    Delivered,
    Undelivered,
    Failed,
    /// A client's message that no receiver of the firm has taken yet.
    Receiving,
    Received,
    /// A client's message of which the firm's receiver wanted nothing; Twilio logs 11200 and tries no more.
    Lost,
}

impl Status {
    /// As the REST API writes it; to Twilio a message is received whether or not the webhook was taken.
    pub fn word(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Sent => "sent",
            Status::Delivered => "delivered",
            Status::Undelivered => "undelivered",
            Status::Failed => "failed",
            Status::Receiving | Status::Received | Status::Lost => "received",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Message {
    pub sid: String,
    pub from: String,
    pub to: String,
    pub body: String,
    pub direction: Direction,
    pub status: Status,
    pub error: Option<i64>,
    /// Milliseconds by the sandbox's clock, as all times here.
    pub created: i64,
    pub sent: Option<i64>,
    pub updated: i64,
    /// SIDs of its media.
    pub media: Vec<String>,
    /// Where the firm said that its files are.
    #[serde(default)]
    pub media_urls: Vec<String>,
    pub callback: Option<String>,
}

impl Message {
    /// The number of the client's phone.
    pub fn client(&self) -> &str {
        if self.direction == Direction::Inbound { &self.from } else { &self.to }
    }

    /// The number of the firm's line.
    pub fn line(&self) -> &str {
        if self.direction == Direction::Inbound { &self.to } else { &self.from }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Media {
    pub sid: String,
    pub message: String,
    pub mime: String,
    pub name: String,
    pub bytes: usize,
    pub created: i64,
}

impl Media {
    pub fn view(&self) -> FileView {
        FileView { id: self.sid.clone(), name: self.name.clone(), mime: self.mime.clone(), bytes: self.bytes }
    }
}

/// One call, with what was heard on the phone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Call {
    pub sid: String,
    /// As the firm sees it: a withheld number is no number here.
    pub from: String,
    pub to: String,
    /// The client's phone, whatever the firm sees.
    pub client: String,
    pub inbound: bool,
    /// queued, ringing, in-progress, completed, busy, failed, no-answer or canceled.
    pub status: String,
    pub created: i64,
    pub ended: Option<i64>,
    pub seconds: u64,
    /// Sentences that were spoken to the caller.
    pub spoken: Vec<String>,
    /// Whether a person of the firm took the call.
    pub answered: bool,
    pub recording: Option<String>,
    pub parent: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Recording {
    pub sid: String,
    pub call: String,
    pub created: i64,
    pub seconds: u64,
    /// "RecordVerb" or "DialVerb".
    pub source: String,
    /// What was said, for the phone; the file itself only hums.
    pub words: String,
}

/// Who answers STOP, START and HELP.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Keywords {
    /// Twilio answers and blocks; the webhook does not tell.
    #[default]
    Twilio,
    /// Advanced Opt-Out: the webhook says OptOutType besides.
    Advanced,
    /// Nobody but the firm.
    Off,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Number {
    pub sid: String,
    pub number: String,
    pub friendly_name: String,
    pub sms_url: String,
    pub voice_url: String,
    pub status_callback: String,
    pub created: i64,
    pub updated: i64,
    pub keywords: Keywords,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    Message(Message),
    MessageGone { sid: String },
    Media(Media),
    MediaGone { sid: String },
    Call(Call),
    CallGone { sid: String },
    Recording(Recording),
    RecordingGone { sid: String },
    Number(Number),
    OptOut { line: String, client: String, out: bool },
}

/// Things by their SID that also keep the order in which they came.
pub(super) struct Shelf<T> {
    places: HashMap<String, u64>,
    things: BTreeMap<u64, (String, T)>,
    next: u64,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf { places: HashMap::new(), things: BTreeMap::new(), next: 0 }
    }
}

impl<T> Shelf<T> {
    pub fn get(&self, sid: &str) -> Option<&T> {
        self.at(*self.places.get(sid)?)
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.things.values().map(|(_, thing)| thing)
    }

    fn at(&self, place: u64) -> Option<&T> {
        self.things.get(&place).map(|(_, thing)| thing)
    }

    /// Its place, and what had to go to make room.
    fn put(&mut self, sid: &str, thing: T) -> (u64, Option<T>) {
        if let Some(place) = self.places.get(sid) {
            self.things.insert(*place, (sid.to_owned(), thing));
            return (*place, None);
        }
        let place = self.next;
        self.next += 1;
        self.places.insert(sid.to_owned(), place);
        self.things.insert(place, (sid.to_owned(), thing));
        let oldest = (self.things.len() > MAX_KEPT).then(|| self.things.pop_first()).flatten().map(|(_, oldest)| oldest);
        if let Some((gone, _)) = &oldest {
            self.places.remove(gone);
        }
        (place, oldest.map(|(_, thing)| thing))
    }

    fn remove(&mut self, sid: &str) -> Option<T> {
        self.things.remove(&self.places.remove(sid)?).map(|(_, thing)| thing)
    }
}

pub(super) struct World {
    journal: Journal,
    pub messages: Shelf<Message>,
    /// Places of messages by the client's number.
    threads: BTreeMap<String, Vec<u64>>,
    pub media: Shelf<Media>,
    /// Bytes of media when there is no folder to keep them in.
    loose_media: HashMap<String, Bytes>,
    pub calls: Shelf<Call>,
    pub recordings: Shelf<Recording>,
    pub numbers: BTreeMap<String, Number>,
    /// (line, client) pairs that Twilio blocks.
    opted_out: BTreeSet<(String, String)>,
    pub troubles: Troubles,
}

impl World {
    /// Replays and compacts the journal.
    pub fn open(folder: Option<PathBuf>) -> io::Result<World> {
        let (journal, records) = Journal::open::<Record>(folder, "twilio")?;
        let mut world = World {
            journal,
            messages: Shelf::default(),
            threads: BTreeMap::new(),
            media: Shelf::default(),
            loose_media: HashMap::new(),
            calls: Shelf::default(),
            recordings: Shelf::default(),
            numbers: BTreeMap::new(),
            opted_out: BTreeSet::new(),
            troubles: Troubles::default(),
        };
        records.into_iter().for_each(|record| world.apply(record));
        let kept = world.records();
        world.journal.compact(&kept)?;
        Ok(world)
    }

    fn records(&self) -> Vec<Record> {
        let numbers = self.numbers.values().cloned().map(Record::Number);
        let messages = self.messages.iter().cloned().map(Record::Message);
        let media = self.media.iter().cloned().map(Record::Media);
        let calls = self.calls.iter().cloned().map(Record::Call);
        let recordings = self.recordings.iter().cloned().map(Record::Recording);
        let out = |(line, client): &(String, String)| Record::OptOut { line: line.clone(), client: client.clone(), out: true };
        let outs = self.opted_out.iter().map(out);
        numbers.chain(messages).chain(media).chain(calls).chain(recordings).chain(outs).collect()
    }

    /// Writes the records, then makes them true. On an error nothing has changed.
    pub fn commit(&mut self, records: Vec<Record>) -> io::Result<()> {
        self.journal.append(&records)?;
        records.into_iter().for_each(|record| self.apply(record));
        Ok(())
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Message(message) => self.keep_message(message),
            Record::MessageGone { sid } => self.drop_message(&sid),
            Record::Media(media) => drop(self.media.put(&media.sid.clone(), media)),
            Record::MediaGone { sid } => drop((self.media.remove(&sid), self.loose_media.remove(&sid))),
            Record::Call(call) => drop(self.calls.put(&call.sid.clone(), call)),
            Record::CallGone { sid } => drop(self.calls.remove(&sid)),
            Record::Recording(recording) => drop(self.recordings.put(&recording.sid.clone(), recording)),
            Record::RecordingGone { sid } => drop(self.recordings.remove(&sid)),
            Record::Number(number) => drop(self.numbers.insert(number.number.clone(), number)),
            Record::OptOut { line, client, out: true } => drop(self.opted_out.insert((line, client))),
            Record::OptOut { line, client, out: false } => drop(self.opted_out.remove(&(line, client))),
        }
    }

    fn keep_message(&mut self, message: Message) {
        let (sid, client, is_new) = (message.sid.clone(), message.client().to_owned(), self.messages.get(&message.sid).is_none());
        let (place, oldest) = self.messages.put(&sid, message);
        if is_new {
            self.threads.entry(client).or_default().push(place);
        }
        if let Some(oldest) = oldest {
            self.leave_thread(&oldest);
        }
    }

    fn drop_message(&mut self, sid: &str) {
        if let Some(message) = self.messages.remove(sid) {
            self.leave_thread(&message);
        }
    }

    fn leave_thread(&mut self, gone: &Message) {
        let World { threads, messages, .. } = self;
        if let Some(thread) = threads.get_mut(gone.client()) {
            thread.retain(|place| messages.at(*place).is_some());
        }
    }

    /// The messages of a phone, oldest first.
    pub fn thread(&self, number: &str) -> impl DoubleEndedIterator<Item = &Message> {
        self.threads.get(number).into_iter().flatten().filter_map(|place| self.messages.at(*place))
    }

    /// Numbers with which a message or a call was exchanged.
    pub fn clients(&self) -> BTreeSet<String> {
        let called = self.calls.iter().filter(|call| call.parent.is_none()).map(|call| call.client.clone());
        self.threads.keys().cloned().chain(called).collect()
    }

    pub fn is_opted_out(&self, line: &str, client: &str) -> bool {
        self.opted_out.contains(&(line.to_owned(), client.to_owned()))
    }

    /// Keeps the bytes of a file; its record must follow.
    pub fn store(&mut self, sid: &str, bytes: Bytes) -> io::Result<()> {
        match self.journal.media_path(sid) {
            Some(path) => std::fs::write(path, bytes),
            None => {
                self.loose_media.insert(sid.to_owned(), bytes);
                Ok(())
            }
        }
    }

    /// The type and the bytes of a file.
    pub fn file(&self, sid: &str) -> Option<(String, Bytes)> {
        let media = self.media.get(sid)?;
        let bytes = match self.journal.media_path(sid) {
            Some(path) => Bytes::from(std::fs::read(path).ok()?),
            None => self.loose_media.get(sid)?.clone(),
        };
        Some((media.mime.clone(), bytes))
    }
}
