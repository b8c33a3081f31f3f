//! The clients' phones: what a client can do with SMS, the webhooks the firm gets of it, and what the phone shows.
use super::Inner;
use super::send::{MAX_BODY, MAX_MEDIA, MAX_MEDIA_BYTES};
use super::shapes;
use super::trouble::Twist;
use super::voice;
use super::world::{Call, Direction, Keywords, Media, Message, Number, Record, Status, World};
use crate::sandbox::views::{CallView, FileView, Given, PhoneMessageView};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// E.164 has at most 15 digits; fewer than 7 is no number.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Webhooks of clients' messages that wait for their turn or their answer; beyond that a phone says so instead of piling up more.
const MAX_WAITING: usize = 10_000;
/// TwiML's `<Message>` elements of one answer that are sent.
const MAX_REPLIES: usize = 10;

/// "+digits" of a number however it is punctuated; digits without "+" are taken as international. `None` if it is no number.
pub(super) fn number(input: &str) -> Option<String> {
    let digits: String = input.chars().filter(char::is_ascii_digit).collect();
    let only_punctuation = input.chars().all(|letter| letter.is_ascii_digit() || "+-(). \u{a0}/".contains(letter));
    (only_punctuation && DIGITS.contains(&digits.len()) && !digits.starts_with('0')).then(|| format!("+{digits}"))
}

/// What a client sends.
#[derive(Clone, Debug, Default)]
pub struct Texted {
    pub text: String,
    pub files: Vec<Given>,
    /// The firm's number; otherwise the one that wrote last to this phone, or the first.
    pub line: Option<String>,
    /// Another sender than the phone's number, such as a short code.
    pub sender: Option<String>,
}

impl Inner {
    /// Keeps what a client wrote, lets Twilio answer keywords, and puts the webhook on its way.
    pub(super) fn hear(self: &Arc<Self>, client: &str, texted: Texted) -> Result<PhoneMessageView, String> {
        check(&texted)?;
        if self.waiting.load(Ordering::Relaxed) >= MAX_WAITING {
            return Err("Too many webhooks wait for a receiver that does not answer.".into());
        }
        let mut world = self.world();
        let line = self.line_for(&world, client, texted.line.as_deref())?;
        let from = texted.sender.unwrap_or_else(|| client.to_owned());
        let now = (self.now)();
        let sid = shapes::sid(if texted.files.is_empty() { "SM" } else { "MM" });
        let media = kept(&mut world, &sid, texted.files, now).map_err(unwritten)?;
        let heard = Message { media: media.iter().map(|file| file.sid.clone()).collect(), ..message(&from, &line.number, now) };
        let heard = Message { sid, body: texted.text, ..heard };
        let (mut records, opt_out) = answered_by_twilio(&world, &line, &heard);
        records.splice(0..0, media.iter().cloned().map(Record::Media).chain([Record::Message(heard.clone())]));
        world.commit(records).map_err(unwritten)?;
        let twist = world.troubles.next_twist();
        let view = views(&world, &heard).swap_remove(0);
        drop(world);
        self.changed();
        let params = self.heard(&heard, &media, opt_out);
        self.in_turn(&from, self.clone().told_to_the_firm(line.sms_url, heard, params, twist));
        Ok(view)
    }

    async fn told_to_the_firm(self: Arc<Self>, url: String, heard: Message, params: super::hooks::Params, twist: Twist) {
        let answer = self.tell(&url, params, twist).await;
        self.becomes(&heard.sid, if answer.is_some() { Status::Received } else { Status::Lost }, None);
        let replies = answer.as_deref().map(voice::replies).unwrap_or_default();
        for text in replies.into_iter().take(MAX_REPLIES) {
            let reply = Message { direction: Direction::OutboundReply, ..message(&heard.to, &heard.from, (self.now)()) };
            let reply = Message { body: text, status: Status::Delivered, sent: Some(reply.created), ..reply };
            let blocked = self.world().is_opted_out(&heard.to, &heard.from);
            if !blocked && let Err(error) = self.world().commit(vec![Record::Message(reply)]) {
                tracing::error!(%error, "the sandbox cannot write its journal");
            }
            self.changed();
        }
    }

    /// The line that a phone turns to.
    pub(super) fn line_for(&self, world: &World, client: &str, wanted: Option<&str>) -> Result<Number, String> {
        let known = |line: &str| world.numbers.get(line).cloned();
        if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
            let found = number(wanted).and_then(|line| known(&line));
            let lines: Vec<&str> = world.numbers.keys().map(String::as_str).collect();
            return found.ok_or_else(|| format!("The firm has no line {wanted}; it has {}.", lines.join(", ")));
        }
        let last = world.thread(client).rev().find(|message| message.direction != Direction::Inbound);
        let first = self.settings.lines.first().map(|line| line.number.clone());
        last.and_then(|message| known(message.line()))
            .or(first.and_then(|line| known(&line)))
            .ok_or_else(|| "The firm has no line for SMS.".to_owned())
    }

    /// What the phone shows, oldest first: messages and calls.
    pub(super) fn shown(&self, client: &str) -> Vec<PhoneMessageView> {
        let world = self.world();
        let seen = world.thread(client).filter(|message| shapes::is_shown(message));
        let mut shown: Vec<PhoneMessageView> = seen.flat_map(|message| views(&world, message)).collect();
        let own = world.calls.iter().filter(|call| call.client == client && call.parent.is_none());
        shown.extend(own.map(|call| call_view(&world, call)));
        shown.sort_by_key(|view| view.at);
        shown
    }
}

fn check(texted: &Texted) -> Result<(), String> {
    let letters = texted.text.chars().count();
    if letters > MAX_BODY || (letters == 0 && texted.files.is_empty()) {
        return Err(format!("A text message has 1 to {MAX_BODY} characters."));
    }
    if texted.files.len() > MAX_MEDIA {
        return Err(format!("A message has at most {MAX_MEDIA} files."));
    }
    let fits = |file: &Given| !file.bytes.is_empty() && file.bytes.len() <= MAX_MEDIA_BYTES;
    if !texted.files.iter().all(fits) {
        return Err("A file of a text message is empty or larger than 5 MB.".into());
    }
    Ok(())
}

/// A message from a client, or with another direction one to him, that has only its ends.
fn message(from: &str, to: &str, now: i64) -> Message {
    Message {
        sid: shapes::sid("SM"),
        from: from.to_owned(),
        to: to.to_owned(),
        body: String::new(),
        direction: Direction::Inbound,
        status: Status::Receiving,
        error: None,
        created: now,
        sent: None,
        updated: now,
        media: Vec::new(),
        media_urls: Vec::new(),
        callback: None,
    }
}

fn kept(world: &mut World, message: &str, files: Vec<Given>, created: i64) -> std::io::Result<Vec<Media>> {
    let mut kept = Vec::new();
    for Given { name, mime, bytes } in files {
        let media = Media { sid: shapes::sid("ME"), message: message.to_owned(), mime, name, bytes: bytes.len(), created };
        world.store(&media.sid, bytes)?;
        kept.push(media);
    }
    Ok(kept)
}

/// What Twilio does with a keyword before the firm hears of it: the block, its own words on the phone, and the type for the webhook.
fn answered_by_twilio(world: &World, line: &Number, heard: &Message) -> (Vec<Record>, Option<&'static str>) {
    let keyword = shapes::keyword(&heard.body).filter(|_| line.keywords != Keywords::Off);
    let Some(word) = keyword else { return (Vec::new(), None) };
    let was_out = world.is_opted_out(&heard.to, &heard.from);
    let is_out = match word {
        "STOP" => true,
        "START" | "YES" => false,
        _ => was_out,
    };
    let mut records = Vec::new();
    if is_out != was_out {
        records.push(Record::OptOut { line: heard.to.clone(), client: heard.from.clone(), out: is_out });
    }
    if let Some(text) = shapes::reply_to(word, was_out) {
        let reply = message(&heard.to, &heard.from, heard.created);
        let (direction, status) = (Direction::OutboundTwilio, Status::Delivered);
        let sent = Some(heard.created);
        records.push(Record::Message(Message { direction, status, sent, body: text.to_owned(), ..reply }));
    }
    let counts = word != "YES" || was_out;
    (records, shapes::opt_out_type(Some(word).filter(|_| counts), line.keywords))
}

/// A message as the phone shows it; every further file is a line of its own.
fn views(world: &World, message: &Message) -> Vec<PhoneMessageView> {
    let mut files = message.media.iter().filter_map(|sid| world.media.get(sid)).map(Media::view);
    let one = |id: String, text: String, file: Option<FileView>| PhoneMessageView {
        id,
        at: message.created,
        channel: "sms".into(),
        direction: if message.direction == Direction::Inbound { "out" } else { "in" }.into(),
        text,
        template: None,
        buttons: Vec::new(),
        status: word_on_phone(message.status).into(),
        callback_data: None,
        file,
        line: Some(message.line().to_owned()),
        call: None,
    };
    let first = one(message.sid.clone(), message.body.clone(), files.next());
    let more = files.map(|file| one(format!("{}/{}", message.sid, file.id), String::new(), Some(file)));
    std::iter::once(first).chain(more).collect()
}

fn word_on_phone(status: Status) -> &'static str {
    match status {
        Status::Receiving => "pending",
        Status::Received => "sent",
        Status::Lost => "lost",
        Status::Queued | Status::Sent | Status::Delivered | Status::Undelivered | Status::Failed => "delivered",
    }
}

/// A call as the phone shows it, with everything that was heard.
pub(super) fn call_view(world: &World, call: &Call) -> PhoneMessageView {
    let voicemail = call.recording.as_deref().and_then(|sid| world.recordings.get(sid));
    let voicemail = voicemail.filter(|recording| recording.source == "RecordVerb");
    let outcome = match call.status.as_str() {
        _ if call.ended.is_none() => "calling".to_owned(),
        _ if call.answered => format!("answered, {}", length(call.seconds)),
        "completed" => voicemail.map_or("not answered".to_owned(), |mail| format!("voicemail, {}", length(mail.seconds))),
        "no-answer" => "not answered".to_owned(),
        other => other.to_owned(),
    };
    let line = if call.inbound { &call.to } else { &call.from };
    let heard = call.spoken.iter().map(|words| format!("\n“{words}”"));
    let view = CallView {
        status: call.status.clone(),
        outcome: outcome.clone(),
        answered: call.answered,
        seconds: call.seconds,
        spoken: call.spoken.clone(),
        voicemail: voicemail.map(|recording| recording.words.clone()),
        withheld: call.inbound && call.from != call.client,
    };
    PhoneMessageView {
        id: call.sid.clone(),
        at: call.created,
        channel: "sms".into(),
        direction: if call.inbound { "out" } else { "in" }.into(),
        text: heard.fold(format!("Call: {outcome}"), |text, line| text + &line),
        template: None,
        buttons: Vec::new(),
        status: if call.ended.is_some() { "sent" } else { "pending" }.into(),
        callback_data: None,
        file: None,
        line: Some(line.clone()),
        call: Some(view),
    }
}

fn length(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

pub(super) fn unwritten(error: std::io::Error) -> String {
    format!("The sandbox cannot write its journal: {error}.")
}
