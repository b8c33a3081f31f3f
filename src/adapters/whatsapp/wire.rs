//! The shapes of Meta's webhook elements: every field may be missing, every unknown one is passed over.
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::Number;
use serde_json::value::RawValue;

/// The whole body; `E` is an entry, read or still raw.
#[derive(Deserialize)]
#[serde(bound(deserialize = "E: Deserialize<'de>"))]
pub struct Envelope<E> {
    #[serde(default)]
    pub object: Option<String>,
    #[serde(default)]
    pub entry: Option<Vec<E>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: Deserialize<'de>"))]
pub struct Entry<C> {
    #[serde(default)]
    pub changes: Option<Vec<C>>,
    /// When it happened, for changes that bear no time of their own.
    #[serde(default, deserialize_with = "seconds_if_any")]
    pub time: Option<i64>,
}

#[derive(Deserialize)]
pub struct Change<'a> {
    #[serde(default)]
    pub field: Option<String>,
    #[serde(borrow, default)]
    pub value: Option<&'a RawValue>,
}

/// What stands under the field `messages`. Each element stays raw, so that a bad one spoils no other.
#[derive(Deserialize)]
pub struct Value<'a> {
    #[serde(default)]
    pub metadata: Option<Metadata>,
    #[serde(borrow, default)]
    pub contacts: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub messages: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub statuses: Option<Vec<&'a RawValue>>,
    /// Under the field `calls`.
    #[serde(borrow, default)]
    pub calls: Option<Vec<&'a RawValue>>,
    /// Under the field `user_preferences`.
    #[serde(borrow, default)]
    pub user_preferences: Option<Vec<&'a RawValue>>,
    /// Under the fields about groups.
    #[serde(borrow, default)]
    pub groups: Option<Vec<&'a RawValue>>,
    /// Meta's pages print it beside the groups and in each of them.
    #[serde(default)]
    pub initiated_by: Option<String>,
    #[serde(borrow, default)]
    pub errors: Option<Vec<&'a RawValue>>,
}

/// What the fields about templates tell; each of them uses its own part of it.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct TemplateChange {
    pub message_template_name: Option<String>,
    pub message_template_language: Option<String>,
    pub event: Option<String>,
    pub reason: Option<String>,
    pub rejection_info: Option<RejectionInfo>,
    pub new_quality_score: Option<String>,
    pub new_category: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RejectionInfo {
    pub reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Preference {
    pub wa_id: Option<String>,
    pub user_id: Option<String>,
    pub detail: Option<String>,
    pub category: Option<String>,
    pub value: Option<String>,
    #[serde(deserialize_with = "seconds")]
    pub timestamp: Option<i64>,
}

#[derive(Deserialize, Default)]
pub struct Metadata {
    #[serde(default)]
    pub phone_number_id: Option<String>,
}

#[derive(Deserialize, Default)]
pub struct Contact {
    #[serde(default)]
    pub profile: Option<Profile>,
    #[serde(default)]
    pub wa_id: Option<String>,
    #[serde(default)]
    pub user_id: Option<String>,
}

#[derive(Deserialize, Default)]
pub struct Profile {
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Message {
    pub from: Option<String>,
    pub from_user_id: Option<String>,
    pub id: Option<String>,
    #[serde(deserialize_with = "seconds")]
    pub timestamp: Option<i64>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub group_id: Option<String>,
    pub context: Option<Context>,
    pub text: Option<Text>,
    pub button: Option<Button>,
    pub interactive: Option<Interactive>,
    pub image: Option<Media>,
    pub video: Option<Media>,
    pub audio: Option<Media>,
    pub document: Option<Media>,
    pub sticker: Option<Media>,
    pub location: Option<Location>,
    pub contacts: Option<Vec<Card>>,
    pub order: Option<Order>,
    pub reaction: Option<Reaction>,
    pub edit: Option<Edit>,
    pub revoke: Option<Revoke>,
    pub system: Option<System>,
}

#[derive(Deserialize)]
pub struct Context {
    #[serde(default)]
    pub id: Option<String>,
}

#[derive(Deserialize)]
pub struct Text {
    #[serde(default)]
    pub body: Option<String>,
}

#[derive(Deserialize)]
pub struct Button {
    #[serde(default)]
    pub payload: Option<String>,
    #[serde(default)]
    pub text: Option<String>,
}

#[derive(Deserialize)]
pub struct Interactive {
    #[serde(default)]
    pub button_reply: Option<Choice>,
    #[serde(default)]
    pub list_reply: Option<Choice>,
    #[serde(default)]
    pub nfm_reply: Option<FilledForm>,
}

#[derive(Deserialize)]
pub struct Choice {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub title: Option<String>,
}

#[derive(Deserialize)]
pub struct FilledForm {
    #[serde(default)]
    pub body: Option<String>,
}

#[derive(Deserialize)]
pub struct Media {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub mime_type: Option<String>,
    /// Base64 in webhooks; hex has been seen, too.
    #[serde(default)]
    pub sha256: Option<String>,
    #[serde(default)]
    pub caption: Option<String>,
    #[serde(default)]
    pub filename: Option<String>,
    /// Spoken into the phone, not attached as a file.
    #[serde(default)]
    pub voice: Option<bool>,
}

#[derive(Deserialize)]
pub struct Location {
    #[serde(default)]
    pub latitude: Option<Number>,
    #[serde(default)]
    pub longitude: Option<Number>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub address: Option<String>,
}

#[derive(Deserialize)]
pub struct Card {
    #[serde(default)]
    pub name: Option<CardName>,
    #[serde(default)]
    pub phones: Option<Vec<CardPhone>>,
}

#[derive(Deserialize)]
pub struct CardName {
    #[serde(default)]
    pub formatted_name: Option<String>,
}

#[derive(Deserialize)]
pub struct CardPhone {
    #[serde(default)]
    pub phone: Option<String>,
}

#[derive(Deserialize)]
pub struct Order {
    #[serde(default)]
    pub text: Option<String>,
}

#[derive(Deserialize)]
pub struct Reaction {
    #[serde(default)]
    pub message_id: Option<String>,
    #[serde(default)]
    pub emoji: Option<String>,
}

#[derive(Deserialize)]
pub struct Edit {
    #[serde(default)]
    pub original_message_id: Option<String>,
    #[serde(default)]
    pub message: Option<Box<Message>>,
}

#[derive(Deserialize)]
pub struct Revoke {
    #[serde(default)]
    pub original_message_id: Option<String>,
}

#[derive(Deserialize)]
pub struct System {
    #[serde(default)]
    pub body: Option<String>,
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    #[serde(default)]
    pub wa_id: Option<String>,
    #[serde(default)]
    pub user_id: Option<String>,
    #[serde(default)]
    pub previous_user_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Call {
    pub id: Option<String>,
    pub from: Option<String>,
    pub from_user_id: Option<String>,
    pub event: Option<String>,
    /// `USER_INITIATED`, or `BUSINESS_INITIATED` for what some program of the firm calls.
    pub direction: Option<String>,
    #[serde(deserialize_with = "seconds")]
    pub timestamp: Option<i64>,
    /// In seconds; missing where nobody answered.
    #[serde(deserialize_with = "seconds")]
    pub duration: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Status {
    pub id: Option<String>,
    pub status: Option<String>,
    #[serde(deserialize_with = "seconds")]
    pub timestamp: Option<i64>,
    pub recipient_id: Option<String>,
    pub recipient_user_id: Option<String>,
    /// `group` where `recipient_id` names a group and not a person.
    pub recipient_type: Option<String>,
    /// Meta spells this name in two ways.
    pub recipient_participant_id: Option<String>,
    pub participant_recipient_id: Option<String>,
    pub recipient_participant_user_id: Option<String>,
    pub biz_opaque_callback_data: Option<String>,
    pub pricing: Option<Pricing>,
    pub conversation: Option<Conversation>,
    pub errors: Option<Vec<Complaint>>,
}

#[derive(Deserialize)]
pub struct Pricing {
    #[serde(default)]
    pub category: Option<String>,
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
}

/// How Meta counted before it priced each message; gone with v24, but for free entry points.
#[derive(Deserialize)]
pub struct Conversation {
    #[serde(default)]
    pub origin: Option<Origin>,
}

#[derive(Deserialize)]
pub struct Origin {
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
}

/// An error as the Graph tells it, in an answer and in a webhook alike.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Complaint {
    pub code: Option<i64>,
    pub title: Option<String>,
    pub message: Option<String>,
    pub error_data: Option<Details>,
    pub is_transient: Option<bool>,
}

#[derive(Deserialize)]
pub struct Details {
    #[serde(default)]
    pub details: Option<String>,
}

impl Complaint {
    /// The most telling words of the complaint.
    pub fn detail(&self) -> String {
        let details = self.error_data.as_ref().and_then(|data| data.details.as_ref());
        details.or(self.message.as_ref()).or(self.title.as_ref()).cloned().unwrap_or_default()
    }
}

/// Meta writes seconds as a string in most places and as a number in some.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(i64),
        Text(String),
    }
    match Option::<Seconds>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Seconds::Number(n)) => Ok(Some(n)),
        Some(Seconds::Text(text)) => {
            text.trim().parse().map(Some).map_err(|_| D::Error::custom("a timestamp that is no number of seconds"))
        }
    }
}

/// The same where nothing hangs on it: what is no time is none.
fn seconds_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_i64().or_else(|| value.as_str()?.trim().parse().ok()))
}
