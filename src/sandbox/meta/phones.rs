//! The clients' phones: what a client can do with WhatsApp, and the webhooks the firm gets of it.
use super::Inner;
use super::shapes::{self, Heard, Told};
use super::world::{Message, Outgoing, Phone, Record, Status, Taps, World};
use crate::sandbox::views::{FileView, PhoneMessageView};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest text that a phone sends.
const MAX_TEXT: usize = 65_536;

/// E.164 has at most 15 digits; fewer than 7 is no number.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// "+digits" of a number however it is punctuated; digits without "+" are taken as international. `None` if it is no number.
pub(super) fn number(input: &str) -> Option<String> {
    let digits: String = input.chars().filter(char::is_ascii_digit).collect();
    let only_punctuation = input.chars().all(|letter| letter.is_ascii_digit() || "+-(). \u{a0}/".contains(letter));
    (only_punctuation && DIGITS.contains(&digits.len())).then(|| format!("+{digits}"))
}

/// How long a call rings before the client gives up.
const RINGS: Duration = Duration::from_millis(300);

/// One thing a client sends.
pub(super) struct Said {
    pub kind: String,
    pub content: Value,
    pub text: String,
    pub context: Option<String>,
    pub file: Option<FileView>,
}

impl Inner {
    pub(super) fn say(&self, number: &str, said: Said) -> Result<PhoneMessageView, String> {
        let mut world = self.world();
        let phone = known_phone(&world, number)?;
        self.say_in(&mut world, phone, said)
    }

    fn say_in(&self, world: &mut World, mut phone: Phone, said: Said) -> Result<PhoneMessageView, String> {
        may_write(world, &phone)?;
        let now = (self.now)();
        let wamid = shapes::wamid(phone.wa_id(), false);
        let context = said.context.as_deref().map(|quoted| self.context(world, &phone, quoted)).transpose()?;
        let heard = Heard { phone: &phone, wamid: &wamid, at: now, kind: &said.kind, context };
        let value = shapes::message(&self.settings, heard, said.content);
        if opens_the_window(&said.kind) {
            phone.last_own = phone.last_own.max(Some(now));
        }
        let nobody_hears = world.callbacks.is_empty() || !self.habits().subscribed;
        let status = if nobody_hears { Status::Sent } else { Status::Pending };
        let (template, buttons, taps, callback_data) = (None, Vec::new(), Taps::default(), None);
        let (id, number, text, file) = (wamid.clone(), phone.number.clone(), said.text, said.file);
        let message =
            Message { id, phone: number, at: now, from_firm: false, text, template, buttons, taps, status, callback_data, file };
        let view = message.view();
        let twist = world.troubles.next_twist();
        let hook = Outgoing { value, message: Some(wamid), after: twist.late, copies: twist.copies };
        self.commit(world, vec![Record::Phone(phone), Record::Message(message)], vec![hook]).map_err(unwritten)?;
        Ok(view)
    }

    fn context(&self, world: &World, phone: &Phone, quoted: &str) -> Result<Value, String> {
        let message = world.message(quoted).filter(|message| message.phone == phone.number);
        let message = message.ok_or_else(|| format!("There is no message {quoted} on this phone to quote."))?;
        let from = if message.from_firm { self.settings.digits() } else { phone.wa_id().to_string() };
        Ok(json!({"from": from, "id": quoted}))
    }

    /// It rings, and then it is over; like a message a call opens Meta's window.
    pub(super) fn call(&self, number: &str) -> Result<(), String> {
        let mut world = self.world();
        let mut phone = known_phone(&world, number)?;
        may_write(&world, &phone)?;
        let now = (self.now)();
        phone.last_own = phone.last_own.max(Some(now));
        let id = shapes::call_id(phone.wa_id());
        let hook = |event: &str, after: Duration| {
            let value = shapes::call(&self.settings, &phone, &id, event, now);
            Outgoing { value, message: None, after, copies: 1 }
        };
        let hooks = vec![hook("connect", Duration::ZERO), hook("terminate", RINGS)];
        self.commit(&mut world, vec![Record::Phone(phone)], hooks).map_err(unwritten)
    }

    /// Taps the newest button with that payload.
    pub(super) fn tap_button(&self, number: &str, payload: &str) -> Result<PhoneMessageView, String> {
        let mut world = self.world();
        let phone = known_phone(&world, number)?;
        let found = world.thread(&phone.number).rev().find_map(|message| {
            let button = message.buttons.iter().find(|button| !payload.is_empty() && button.payload == payload)?;
            Some((message.id.clone(), message.taps, button.title.clone()))
        });
        let (wamid, taps, title) =
            found.ok_or_else(|| format!("No message on {number} has a button with the payload {payload:?}."))?;
        let (kind, content) = match taps {
            Taps::QuickReply => ("button", json!({"payload": payload, "text": title})),
            Taps::Button => ("interactive", json!({"type": "button_reply", "button_reply": {"id": payload, "title": title}})),
            Taps::ListRow => ("interactive", json!({"type": "list_reply", "list_reply": {"id": payload, "title": title}})),
        };
        let said = Said { kind: kind.into(), content, text: title, context: Some(wamid), file: None };
        self.say_in(&mut world, phone, said)
    }

    /// The client looks at the phone: everything that was only delivered is now read.
    pub(super) fn look(&self, number: &str) -> Result<usize, String> {
        let mut world = self.world();
        let phone = known_phone(&world, number)?;
        let unread = |message: &&Message| message.status == Status::Delivered;
        let read: Vec<Message> = world.thread(&phone.number).filter(unread).cloned().collect();
        let (group_records, group_hooks) = self.looked_at_groups(&world, &phone);
        if read.is_empty() && group_records.is_empty() {
            return Ok(0);
        }
        let at = (self.now)();
        let hook = |message: &Message| {
            let told = Told { phone: &phone, wamid: &message.id, callback_data: message.callback_data.as_deref(), at };
            let value = shapes::status(&self.settings, &told, "read", None);
            Outgoing { value, message: None, after: Duration::from_millis(50), copies: 1 }
        };
        let (hooks, count) = (read.iter().map(hook).chain(group_hooks).collect(), read.len() + group_records.len());
        let records = read.into_iter().map(|message| Record::Message(Message { status: Status::Read, ..message }));
        let records = records.chain(group_records).collect();
        self.commit(&mut world, records, hooks).map_err(unwritten)?;
        Ok(count)
    }

    /// The content of a raw message: a known media file brings its type and hash, as in Meta's webhooks.
    pub(super) fn completed(&self, kind: &str, mut content: Value) -> Value {
        let world = self.world();
        let known = content["id"].as_str().and_then(|id| world.media.get(id)).cloned();
        if let (Some(media), Some(fields)) = (known, content.as_object_mut()) {
            fields.entry("mime_type").or_insert_with(|| json!(media.mime));
            fields.entry("sha256").or_insert_with(|| json!(media.sha256_base64()));
            if let (Some(filename), "document") = (media.filename, kind) {
                fields.entry("filename").or_insert_with(|| json!(filename));
            }
        }
        content
    }
}

/// How the phone itself shows what it sent.
pub(super) fn own_line(kind: &str, content: &Value) -> String {
    match kind {
        "text" => content["body"].as_str().unwrap_or_default().to_string(),
        "button" => content["text"].as_str().unwrap_or_default().to_string(),
        "reaction" => format!("[reaction] {}", content["emoji"].as_str().unwrap_or("removed")),
        _ => super::send::media_line(kind, content),
    }
}

pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() || text.chars().count() > MAX_TEXT {
        return Err(format!("A message has 1 to {MAX_TEXT} characters."));
    }
    Ok(())
}

/// A reaction and a deletion are no messages of the kind that opens the window.
pub(super) fn opens_the_window(kind: &str) -> bool {
    !matches!(kind, "reaction" | "revoke" | "edit" | "system" | "unsupported" | "unknown")
}

pub(super) fn known_phone(world: &World, input: &str) -> Result<Phone, String> {
    let phone = number(input).and_then(|number| world.phones.get(&number).cloned());
    phone.ok_or_else(|| format!("There is no phone {input}; add it first."))
}

pub(super) fn may_write(world: &World, phone: &Phone) -> Result<(), String> {
    if !phone.on_whatsapp {
        return Err(format!("{} has no WhatsApp.", phone.number));
    }
    if world.the_firm_is_swamped() {
        return Err("Too many webhooks wait for a receiver that does not answer.".into());
    }
    Ok(())
}

pub(super) fn unwritten(error: std::io::Error) -> String {
    format!("The sandbox cannot write its journal: {error}.")
}
