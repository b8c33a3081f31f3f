//! Names of things, each a type of its own so that one is never taken for another.
use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);
        impl $name {
            pub fn new(text: impl Into<String>) -> $name { $name(text.into()) }
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) }
        }
    };
}

text_id!(/** A client's identity: `c-` and 8 Crockford characters. */ ContactId);
text_id!(/** A message to or from a client: `m-` and 8 Crockford characters. */ MessageId);
text_id!(/** A room of ours, before and after the platform knows it: `r-` and 8 Crockford characters. */ RoomKey);
text_id!(/** A question with buttons that waits for an answer: `q-` and 8 Crockford characters. */ AskId);
text_id!(/** A file of ours: `f-` and 8 Crockford characters. */ MediaId);
text_id!(/** The platform's stream id, URL-safe base64. */ StreamId);
text_id!(/** The platform's message id. */ ChatMessageId);
text_id!(/** WhatsApp's id of a message. */ Wamid);
text_id!(/** One of the firm's own numbers: WhatsApp's `phone_number_id`, or the number itself for SMS. */ LineId);
text_id!(/** WhatsApp's id of a native group. */ GroupId);
text_id!(/** The key under which an event of the world is counted once (INTERFACES §3). */ EventId);
text_id!(/** `event id / index`: deciding twice names the same effect. */ EffectId);

impl ContactId {
    /// A native group is written to as one, so it stands where a contact would, by its room: what went to all of its members
    /// lies under a key of its own, and erasing that of one of them takes nothing of the others.
    pub fn of_group(room: &RoomKey) -> ContactId {
        ContactId(room.0.clone())
    }
    /// The room of the group, where it names one.
    pub fn group(&self) -> Option<RoomKey> {
        self.0.starts_with("r-").then(|| RoomKey(self.0.clone()))
    }
}

impl LineId {
    /// A line for SMS is named by its number with the "+", one of WhatsApp's by digits alone.
    pub fn channel(&self) -> Channel {
        if self.0.starts_with('+') { Channel::Sms } else { Channel::WhatsApp }
    }
}

/// A user of the chat platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub u64);

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    WhatsApp,
    Sms,
}

impl Channel {
    pub const ALL: [Channel; 2] = [Channel::WhatsApp, Channel::Sms];
    /// As it stands in commands and configuration.
    pub fn key(self) -> &'static str {
        match self {
            Channel::WhatsApp => "whatsapp",
            Channel::Sms => "sms",
        }
    }
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Channel::WhatsApp => "WhatsApp",
            Channel::Sms => "SMS",
        }
    }
    pub fn parse(text: &str) -> Option<Channel> {
        match text.trim().to_lowercase().as_str() {
            "whatsapp" => Some(Channel::WhatsApp),
            "sms" => Some(Channel::Sms),
            _ => None,
        }
    }
}

/// A phone number in E.164, with "+". Shows itself masked, so that no log holds a whole number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phone(String);

impl Phone {
    /// `text` must be E.164 already ("+" and 7 to 15 digits); typed numbers go through `domain::phone`.
    pub fn from_e164(text: &str) -> Option<Phone> {
        let digits = text.strip_prefix('+')?;
        ((7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())).then(|| Phone(text.to_owned()))
    }
    /// The whole number, for the wire and for people who may see it.
    pub fn e164(&self) -> &str {
        &self.0
    }
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }
}
impl std::fmt::Display for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "+…{}", &self.0[self.0.len() - 3..])
    }
}
impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Phone({self})")
    }
}
