//! Takes a webhook apart into its elements, each an event by itself: a bad one spoils no other.
mod groups;

use super::content::{content, phone};
use super::errors::{Class, class};
use super::wire::{Call, Change, Contact, Entry, Envelope, Message, Metadata, Preference, Status, TemplateChange, Value};
use crate::domain::event::{
    CallStage, ClientCalled, ClientKeys, ClientMessage, Delivery, DeliveryReported, Event, Fact, MarketingChosen, TemplateNews,
    TemplateTold,
};
use crate::domain::ids::{Channel, EventId, LineId, MessageId, Wamid};
use crate::domain::time::{Span, Timestamp};
use aws_lc_rs::digest;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Meta retries for 7 days; what is twice as old is a replay or a mistake, and dedupe keys are kept 30 days only (QUALITY).
const TOO_OLD: Span = Span::days(14);
const SOURCE: &str = "whatsapp";

#[derive(Debug, thiserror::Error)]
#[error("This body is no WhatsApp webhook: {0}")]
pub struct NotAWebhook(pub String);

/// One message, status or change of a webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    pub event: Event,
    /// Whom it concerns, as far as that can be told: elements of one person are delivered in order. Empty for none.
    pub sender: String,
}

/// All elements of a body, messages before statuses before everything else, each in the order of the body.
pub fn parse(body: &[u8], now: Timestamp) -> Result<Vec<Element>, NotAWebhook> {
    let mut found = Found { now, messages: Vec::new(), statuses: Vec::new(), others: Vec::new() };
    match serde_json::from_slice::<Envelope<Entry<Change>>>(body) {
        Ok(envelope) => found.envelope(&envelope)?,
        Err(_) => found.envelope_by_levels(body)?,
    }
    found.messages.append(&mut found.statuses);
    found.messages.append(&mut found.others);
    Ok(found.messages)
}

struct Found {
    now: Timestamp,
    messages: Vec<Element>,
    statuses: Vec<Element>,
    others: Vec<Element>,
}

/// What all elements of one change share.
struct Around {
    line: LineId,
    contacts: Vec<Contact>,
}

impl Found {
    fn envelope(&mut self, envelope: &Envelope<Entry<Change>>) -> Result<(), NotAWebhook> {
        is_ours(envelope.object.as_deref())?;
        for entry in envelope.entry.iter().flatten() {
            entry.changes.iter().flatten().for_each(|change| self.change(change, entry.time));
        }
        Ok(())
    }

    /// The way for a body of which some part has an unexpected shape: level by level, setting only that part aside.
    fn envelope_by_levels(&mut self, body: &[u8]) -> Result<(), NotAWebhook> {
        let envelope: Envelope<&RawValue> = serde_json::from_slice(body).map_err(|error| NotAWebhook(error.to_string()))?;
        is_ours(envelope.object.as_deref())?;
        for raw in envelope.entry.into_iter().flatten() {
            match read::<Entry<&RawValue>>(raw) {
                Ok(entry) => self.changes_by_levels(entry),
                Err(why) => self.set_aside(raw, format!("an entry of unexpected shape: {why}")),
            }
        }
        Ok(())
    }

    fn changes_by_levels(&mut self, entry: Entry<&RawValue>) {
        for raw in entry.changes.into_iter().flatten() {
            match read::<Change>(raw) {
                Ok(change) => self.change(&change, entry.time),
                Err(why) => self.set_aside(raw, format!("a change of unexpected shape: {why}")),
            }
        }
    }

    fn change(&mut self, change: &Change, time: Option<i64>) {
        let field = change.field.as_deref().unwrap_or("no field");
        let Some(raw) = change.value else { return };
        match field {
            "messages" | "calls" | "user_preferences" => match read::<Value>(raw) {
                Ok(value) => self.value(raw, value, field),
                Err(why) => self.set_aside(raw, format!("a value of unexpected shape: {why}")),
            },
            "group_lifecycle_update" | "group_participants_update" | "group_settings_update" | "group_status_update" => {
                match read::<Value>(raw) {
                    Ok(value) => self.groups(raw, value, field),
                    Err(why) => self.set_aside(raw, format!("a value of unexpected shape: {why}")),
                }
            }
            "message_template_status_update"
            | "message_template_quality_update"
            | "template_category_update"
            | "message_template_components_update" => self.template(raw, field, time),
            _ => self.of_no_concern(raw, field.to_owned()),
        }
    }

    fn template(&mut self, raw: &RawValue, field: &str, time: Option<i64>) {
        let change: TemplateChange = match read(raw) {
            Ok(change) => change,
            Err(why) => return self.set_aside(raw, format!("a template's change of unexpected shape: {why}")),
        };
        let Some(told) = template_told(change, field) else {
            return self.set_aside(raw, format!("a {field} without a template or without news"));
        };
        // The same words may come twice in a template's life; the time tells them apart, a retry bears the same one.
        let id = EventId(format!("wa:{field}:{}:{}", time.unwrap_or_default(), digest(raw)));
        let sender = format!("template {}", told.name);
        let element = self.element(id, at(time, self.now), Fact::TemplateTold(told), raw, sender);
        self.others.push(element);
    }

    fn preference(&mut self, raw: &RawValue, around: &Around) {
        let preference: Preference = match read(raw) {
            Ok(preference) => preference,
            Err(why) => return self.set_aside(raw, format!("a preference of unexpected shape: {why}")),
        };
        let wants_none = match (preference.category.as_deref(), preference.value.as_deref()) {
            (Some("marketing_messages") | None, Some("stop")) => true,
            (Some("marketing_messages") | None, Some("resume" | "signup")) => false,
            (category, value) => {
                let what = format!("preference {} {}", category.unwrap_or("?"), value.unwrap_or("?"));
                return self.of_no_concern(raw, what);
            }
        };
        let from = around.keys(preference.wa_id, preference.user_id);
        let (sender, at) = (sender(&from), at(preference.timestamp, self.now));
        let id = EventId(format!("wa:preference:{}:{sender}:{wants_none}:{}", around.line, at.0));
        let (channel, line, detail) = (Channel::WhatsApp, around.line.clone(), preference.detail.unwrap_or_default());
        let fact = Fact::MarketingChosen(MarketingChosen { channel, line, from, wants_none, detail });
        let element = self.element(id, at, fact, raw, sender);
        self.others.push(element);
    }

    fn value(&mut self, raw: &RawValue, value: Value, field: &str) {
        let Some(line) = value.metadata.and_then(|Metadata { phone_number_id }| phone_number_id) else {
            return self.set_aside(raw, "names no line (metadata.phone_number_id)".to_owned());
        };
        let contacts = value.contacts.into_iter().flatten().filter_map(|raw| read(raw).ok()).collect();
        let around = Around { line: LineId(line), contacts };
        if field == "calls" {
            value.calls.into_iter().flatten().for_each(|raw| self.call(raw, &around));
            // How a call goes on that some program of the firm makes.
            value.statuses.into_iter().flatten().for_each(|raw| self.of_no_concern(raw, "calls.statuses".to_owned()));
        } else {
            value.messages.into_iter().flatten().for_each(|raw| self.message(raw, &around));
            value.statuses.into_iter().flatten().for_each(|raw| self.status(raw, &around));
            value.user_preferences.into_iter().flatten().for_each(|raw| self.preference(raw, &around));
        }
        // Such an error belongs to no element that could be named; the element itself stands in the same body.
        value.errors.into_iter().flatten().for_each(|raw| self.of_no_concern(raw, format!("{field}.errors")));
    }

    fn call(&mut self, raw: &RawValue, around: &Around) {
        let call: Call = match read(raw) {
            Ok(call) => call,
            Err(why) => return self.set_aside(raw, format!("a call of unexpected shape: {why}")),
        };
        if call.direction.as_deref() == Some("BUSINESS_INITIATED") {
            return self.of_no_concern(raw, "a call of the firm's own".to_owned());
        }
        let (Some(id), Some(event)) = (call.id, call.event) else {
            return self.set_aside(raw, "a call without an id or an event".to_owned());
        };
        if event != "connect" && event != "terminate" {
            return self.of_no_concern(raw, format!("call {event}"));
        }
        let from = around.keys(call.from, call.from_user_id);
        let (sender, at) = (sender(&from), at(call.timestamp, self.now));
        let event_id = EventId(format!("wa:call:{}:{id}:{event}", around.line));
        let seconds = call.duration.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        let (channel, line) = (Channel::WhatsApp, around.line.clone());
        // Nobody here takes calls on WhatsApp.
        let stage = match event.as_str() {
            "terminate" => CallStage::Over { answered: seconds.is_some(), seconds },
            _ => CallStage::Ringing { may_be_answered: false },
        };
        let called = ClientCalled { channel, line, id, from, stage };
        let element = self.element(event_id, at, Fact::ClientCalled(called), raw, sender);
        self.messages.push(element);
    }

    fn message(&mut self, raw: &RawValue, around: &Around) {
        let message: Message = match read(raw) {
            Ok(message) => message,
            Err(why) => return self.set_aside(raw, format!("a message of unexpected shape: {why}")),
        };
        let at = at(message.timestamp, self.now);
        match client_message(message, around) {
            None => self.set_aside(raw, "a message without an id".to_owned()),
            Some(message) => {
                let id = EventId(format!("wa:{}:{}", message.line, message.id));
                let sender = sender(&message.from);
                let element = self.element(id, at, Fact::ClientMessage(message), raw, sender);
                self.messages.push(element);
            }
        }
    }

    fn status(&mut self, raw: &RawValue, around: &Around) {
        let status: Status = match read(raw) {
            Ok(status) => status,
            Err(why) => return self.set_aside(raw, format!("a status of unexpected shape: {why}")),
        };
        let at = at(status.timestamp, self.now);
        let (Some(wamid), Some(name)) = (status.id.clone(), status.status.clone()) else {
            return self.set_aside(raw, "a status without an id or a name".to_owned());
        };
        let Some(delivery) = delivery(&name, &status) else {
            return self.of_no_concern(raw, format!("status {name}"));
        };
        let report = report(Wamid(wamid), delivery, status, around);
        let id = EventId(format!("wa:st:{}:{name}:{}", report.id, report.participant.as_deref().unwrap_or_default()));
        let sender = sender(&report.recipient);
        let element = self.element(id, at, Fact::DeliveryReported(report), raw, sender);
        self.statuses.push(element);
    }

    fn element(&self, id: EventId, at: Timestamp, fact: Fact, raw: &RawValue, sender: String) -> Element {
        let fact = match self.now - at > TOO_OLD {
            true => Fact::Unreadable { source: SOURCE.to_owned(), why: "older than 14 days".to_owned() },
            false => fact,
        };
        Element { event: Event { id, at, fact, raw: Some(bytes(raw)) }, sender }
    }

    fn set_aside(&mut self, raw: &RawValue, why: String) {
        let fact = Fact::Unreadable { source: SOURCE.to_owned(), why };
        self.nobodys(raw, "unreadable", fact);
    }

    fn of_no_concern(&mut self, raw: &RawValue, what: String) {
        let kind = what.clone();
        self.nobodys(raw, &kind, Fact::NotUsed { source: SOURCE.to_owned(), what });
    }

    /// An element that has no id of its own is told apart by its bytes, so that a retry is seen as the same.
    fn nobodys(&mut self, raw: &RawValue, kind: &str, fact: Fact) {
        let id = EventId(format!("wa:{kind}:{}", digest(raw)));
        let event = Event { id, at: self.now, fact, raw: Some(bytes(raw)) };
        self.others.push(Element { event, sender: String::new() });
    }
}

fn is_ours(object: Option<&str>) -> Result<(), NotAWebhook> {
    match object {
        Some("whatsapp_business_account") => Ok(()),
        Some(_) => Err(NotAWebhook("its object is of another product".to_owned())),
        None => Err(NotAWebhook("it has no object".to_owned())),
    }
}

fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|error| error.to_string())
}

fn digest(raw: &RawValue) -> String {
    let digest = digest::digest(&digest::SHA256, raw.get().as_bytes());
    hex::encode(&digest.as_ref()[..16])
}

fn template_told(change: TemplateChange, field: &str) -> Option<TemplateTold> {
    let news = match field {
        "message_template_status_update" => {
            let words = change.rejection_info.and_then(|info| info.reason).or(change.reason);
            let reason = words.filter(|reason| !reason.is_empty() && reason != "NONE");
            TemplateNews::Status { status: change.event?.to_uppercase(), reason }
        }
        "message_template_quality_update" => TemplateNews::Quality { score: change.new_quality_score?.to_uppercase() },
        "template_category_update" => TemplateNews::Category { category: change.new_category?.to_uppercase() },
        _ => TemplateNews::Rewritten,
    };
    // Webhooks write "en-US" in places where sends write "en_US".
    let language = change.message_template_language?.replace('-', "_");
    Some(TemplateTold { name: change.message_template_name?, language, news })
}

fn bytes(raw: &RawValue) -> Arc<[u8]> {
    Arc::from(raw.get().as_bytes())
}

/// Meta counts in whole seconds. An element without a time is taken as of now: losing a client's word would be worse.
fn at(seconds: Option<i64>, now: Timestamp) -> Timestamp {
    seconds.map_or(now, |seconds| Timestamp(seconds.saturating_mul(1_000)))
}

fn sender(keys: &ClientKeys) -> String {
    keys.wa_id.as_ref().or(keys.user_id.as_ref()).cloned().unwrap_or_default()
}

fn client_message(mut message: Message, around: &Around) -> Option<ClientMessage> {
    let id = Wamid(message.id.take()?);
    let previous = message.system.as_mut().and_then(|system| system.previous_user_id.take());
    let from = around.keys(message.from.take(), message.from_user_id.take().or(previous));
    let group = message.group_id.take();
    let (content, quoted) = content(&mut message);
    Some(ClientMessage { channel: Channel::WhatsApp, line: around.line.clone(), id, from, content, quoted, group })
}

fn delivery(name: &str, status: &Status) -> Option<Delivery> {
    match name {
        "sent" => Some(Delivery::Sent),
        "delivered" => Some(Delivery::Delivered),
        "read" | "played" => Some(Delivery::Read),
        "failed" => Some(failure(status)),
        _ => None,
    }
}

fn failure(status: &Status) -> Delivery {
    let complaint = status.errors.as_ref().and_then(|errors| errors.first());
    let number = complaint.and_then(|complaint| complaint.code);
    let code = number.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
    let of_line = matches!(number.and_then(class), Some(Class::Line | Class::Restricted { .. }));
    Delivery::Failed { code, detail: complaint.map(|complaint| complaint.detail()).unwrap_or_default(), of_line }
}

fn report(id: Wamid, delivery: Delivery, status: Status, around: &Around) -> DeliveryReported {
    let to_group = status.recipient_type.as_deref() == Some("group");
    let member = status.recipient_participant_id.or(status.participant_recipient_id);
    let member_user = status.recipient_participant_user_id;
    let participant = member.as_ref().or(member_user.as_ref()).cloned();
    let recipient = match to_group {
        true => around.keys(member, member_user),
        false => around.keys(status.recipient_id, status.recipient_user_id),
    };
    let (category, price_type) = status.pricing.map_or((None, None), |pricing| (pricing.category, pricing.kind));
    let origin = status.conversation.and_then(|conversation| conversation.origin).and_then(|origin| origin.kind);
    DeliveryReported {
        channel: Channel::WhatsApp,
        line: around.line.clone(),
        id,
        ours: status.biz_opaque_callback_data.filter(|text| is_a_message_id(text)).map(MessageId),
        status: delivery,
        recipient,
        participant,
        price_category: category.or(origin),
        price_type,
    }
}

/// Other programs of the same account may put anything there; ours puts `m-` and a short name.
fn is_a_message_id(text: &str) -> bool {
    const LONGEST: usize = 32;
    let Some(name) = text.strip_prefix("m-") else { return false };
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Around {
    /// All that this body tells about one person.
    fn keys(&self, wa_id: Option<String>, user_id: Option<String>) -> ClientKeys {
        let same =
            |contact: &&Contact| (wa_id.is_some() && contact.wa_id == wa_id) || (user_id.is_some() && contact.user_id == user_id);
        let contact = self.contacts.iter().find(same);
        let profile_name = contact.and_then(|contact| contact.profile.as_ref()).and_then(|profile| profile.name.clone());
        let wa_id = wa_id.or_else(|| contact.and_then(|contact| contact.wa_id.clone()));
        let user_id = user_id.or_else(|| contact.and_then(|contact| contact.user_id.clone()));
        ClientKeys { phone: wa_id.as_deref().and_then(phone), wa_id, user_id, profile_name }
    }
}
