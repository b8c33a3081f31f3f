//! What the page sees of the pod and of the phones: plain values, serialised as they stand.
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserView {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub username: String,
    /// A service account (a bot), not a person.
    pub service: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomView {
    /// The stream id.
    pub id: String,
    pub name: String,
    /// "IM" or "ROOM".
    pub kind: String,
    pub active: bool,
    pub members: Vec<MemberView>,
    pub created: i64,
    /// Time of the last message, 0 if none.
    pub last_message: i64,
    pub description: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberView {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub owner: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageView {
    pub id: String,
    pub at: i64,
    pub from: UserView,
    /// PresentationML as the pod returns it (forms keep their Elements tags inside).
    pub presentation: String,
    /// The same as plain text, line breaks as newlines.
    pub text: String,
    /// The EntityJSON of the message, parsed; `null` if there is none.
    pub data: Value,
    /// Ids of the forms in this message that the asking user has submitted already.
    pub submitted: Vec<String>,
    pub edited: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileView>,
}

/// A file in a chat message or on a phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    pub id: String,
    pub name: String,
    pub mime: String,
    pub bytes: usize,
}

/// One message on a client's phone, or one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhoneMessageView {
    /// The wamid, the MessageSid or the CallSid.
    pub id: String,
    pub at: i64,
    /// "whatsapp", or "sms" for text messages and telephone calls.
    pub channel: String,
    /// "in": it arrived on the phone from the firm; "out": the client wrote it.
    pub direction: String,
    pub text: String,
    /// Name of the template, if it was one.
    pub template: Option<String>,
    pub buttons: Vec<ButtonView>,
    /// For "in": delivered or read. For "out": pending (webhook not accepted yet), sent, or lost (Twilio gave the webhook up).
    pub status: String,
    /// The `biz_opaque_callback_data` of the send, for "in".
    pub callback_data: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileView>,
    /// The firm's number, for "sms".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallView>,
}

/// A telephone call as the client lived it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallView {
    /// Twilio's word: ringing, in-progress, completed, busy, failed, no-answer.
    pub status: String,
    /// The same for people.
    pub outcome: String,
    /// Whether somebody of the firm took it.
    pub answered: bool,
    pub seconds: u64,
    /// What the firm's machine said, sentence by sentence.
    pub spoken: Vec<String>,
    /// What the client left after the tone.
    pub voicemail: Option<String>,
    pub withheld: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ButtonView {
    pub payload: String,
    pub title: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhoneView {
    /// E.164 with "+".
    pub number: String,
    pub name: String,
    pub on_whatsapp: bool,
}

/// A file as a person hands it over.
#[derive(Clone, Debug)]
pub struct Given {
    pub name: String,
    pub mime: String,
    pub bytes: bytes::Bytes,
}
