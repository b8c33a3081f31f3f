//! What the world tells us, in our own words: adapters translate, decisions read.
use super::commit::Key;
use super::effect::Outcome;
use super::ids::*;
use super::media::Kind;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Two events with the same id are the same event (INTERFACES §3).
    pub id: EventId,
    /// When it happened, by the clock of who tells it.
    pub at: Timestamp,
    pub fact: Fact,
    /// The bytes as they came, for the journal and the quarantine.
    pub raw: Option<Arc<[u8]>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    RoomMessage(RoomMessage),
    FormSent(FormSent),
    /// Somebody's message was deleted in the chat.
    MessageSuppressed {
        stream: StreamId,
        message: ChatMessageId,
        by: Person,
    },
    MembersChanged {
        stream: StreamId,
        user: Person,
        change: MemberChange,
        by: Person,
    },
    RoomRenamed {
        stream: StreamId,
        name: String,
        by: Person,
    },
    RoomActive {
        stream: StreamId,
        active: bool,
        by: Person,
    },
    ConnectionRequested {
        by: Person,
    },
    /// Read and understood, but nothing of ours: recorded nowhere.
    OfNoConcern {
        what: String,
    },
    ClientMessage(ClientMessage),
    ClientCalled(ClientCalled),
    DeliveryReported(DeliveryReported),
    /// A user of the platform was looked up (at start, or because a command named him).
    UserFound {
        user: Person,
    },
    /// The outbox wants to perform the head of a lane: still allowed?
    EffectWanted {
        key: Key,
        attempt: u32,
        text: Option<String>,
    },
    EffectEnded {
        key: Key,
        attempt: u32,
        outcome: Outcome,
    },
    /// Certainly not done; back to its lane.
    EffectPutOff {
        key: Key,
        attempt: u32,
        why: String,
        not_before: Timestamp,
    },
    /// A doubtful head has held its lane long enough.
    DoubtIsOld {
        key: Key,
    },
    /// A record's wake-up time has come.
    TimeCame {
        wake: Key,
    },
    /// The provider takes nothing on this line of ours until somebody mends something.
    LineTroubled {
        line: LineId,
        trouble: LineTrouble,
    },
    /// The provider took a message on this line.
    LineWorks {
        line: LineId,
    },
    /// WhatsApp tells what became of one of the account's templates.
    TemplateTold(TemplateTold),
    /// What the account holds for each of our files, all looked at in one moment.
    TemplatesListed(Vec<TemplateSeen>),
    MarketingChosen(MarketingChosen),
    GroupTold(GroupTold),
    /// Bytes of a known source that could not be read as an event: kept aside for people.
    Unreadable {
        source: String,
        why: String,
    },
    /// Read and understood, of no use to us, and kept in the journal because its sender tells it only once.
    NotUsed {
        source: String,
        what: String,
    },
}

impl Fact {
    /// Told by the world: somebody outside waits until it is kept. Everything else is the program's own.
    pub fn is_of_the_world(&self) -> bool {
        match self {
            Fact::RoomMessage(_)
            | Fact::FormSent(_)
            | Fact::MessageSuppressed { .. }
            | Fact::MembersChanged { .. }
            | Fact::RoomRenamed { .. }
            | Fact::RoomActive { .. }
            | Fact::ConnectionRequested { .. }
            | Fact::ClientMessage(_)
            | Fact::ClientCalled(_)
            | Fact::DeliveryReported(_)
            | Fact::TemplateTold(_)
            | Fact::MarketingChosen(_)
            | Fact::GroupTold(_)
            | Fact::NotUsed { .. }
            | Fact::Unreadable { .. } => true,
            Fact::OfNoConcern { .. }
            | Fact::TemplatesListed(_)
            | Fact::UserFound { .. }
            | Fact::EffectWanted { .. }
            | Fact::EffectEnded { .. }
            | Fact::EffectPutOff { .. }
            | Fact::DoubtIsOld { .. }
            | Fact::LineTroubled { .. }
            | Fact::LineWorks { .. }
            | Fact::TimeCame { .. } => false,
        }
    }
}

/// What is wrong with a line, in the provider's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTrouble {
    pub code: String,
    pub detail: String,
    pub since: Timestamp,
    /// It was told after a message had been taken, so that taking the next one proves nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_status: bool,
}

/// A user of the platform, as an event names him.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub id: UserId,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub email: Option<String>,
    /// A service account: never obeyed.
    #[serde(default)]
    pub service: bool,
}

impl Person {
    /// Whoever it was: found out by comparing, not told by anybody.
    pub fn unknown() -> Person {
        Person { id: UserId(0), name: String::new(), email: None, service: false }
    }
    pub fn is_unknown(&self) -> bool {
        self.id == UserId(0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberChange {
    Joined,
    Left,
    Promoted,
    Demoted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamKind {
    /// 1:1 with the bot.
    Direct,
    Room,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RoomMessage {
    pub stream: StreamId,
    pub kind: StreamKind,
    pub message: ChatMessageId,
    pub author: Person,
    /// Plain text: blocks and `<br/>` as newlines, list items as "• ", links as text and address, mentions as "@Name".
    pub text: String,
    /// In order of appearance in `text`.
    pub mentions: Vec<Mention>,
    /// The first version of this message, when this is an edit of it.
    pub edits: Option<ChatMessageId>,
    pub forwarded: bool,
    pub attachments: Vec<Attached>,
}

/// A file in a message of the chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The platform's id of it.
    pub id: String,
    pub name: String,
    /// Bytes, where the platform says so.
    pub size: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    pub user: UserId,
    /// As shown in the text, with the "@".
    pub shown: String,
    /// Byte offset in the text.
    pub at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FormSent {
    pub stream: StreamId,
    pub form_message: ChatMessageId,
    pub form: String,
    /// `action` is the pressed button.
    pub values: Map<String, Value>,
    pub by: Person,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClientMessage {
    pub channel: Channel,
    pub line: LineId,
    pub id: Wamid,
    pub from: ClientKeys,
    pub content: Content,
    /// The message that the client quotes or whose button he pressed.
    pub quoted: Option<Wamid>,
    pub group: Option<String>,
}

/// One event of a call to a line of ours; a call has several of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientCalled {
    pub channel: Channel,
    pub line: LineId,
    /// The provider's id of the call.
    pub id: String,
    pub from: ClientKeys,
    pub stage: CallStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallStage {
    /// `may_be_answered`: it is put through to somebody's phone.
    Ringing { may_be_answered: bool },
    /// `seconds`: how long somebody talked, where anybody answered.
    Over { answered: bool, seconds: Option<u64> },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientKeys {
    pub phone: Option<Phone>,
    pub wa_id: Option<String>,
    pub user_id: Option<String>,
    /// What the client calls himself.
    pub profile_name: Option<String>,
}

impl ClientKeys {
    /// Nothing by which he could be found again or answered: a withheld number, a short code.
    pub fn is_nobody(&self) -> bool {
        self.phone.is_none() && self.wa_id.is_none() && self.user_id.is_none()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Content {
    Text(String),
    /// A quick reply: the payload counts before the text.
    Button {
        payload: String,
        text: String,
    },
    /// A file that the provider holds for us. It opens the window.
    Media(Box<ClientFile>),
    /// A thing that can only be named: "location", "contact card", …; `id` is the provider's, where it has one. It opens
    /// the window.
    Other {
        kind: String,
        id: Option<String>,
        caption: Option<String>,
    },
    /// Not a message of the client's own making (reaction, number change, revoke…): relayed as a line, opens no window.
    Sign {
        kind: String,
        detail: String,
    },
}

/// A file as the provider tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFile {
    pub kind: Kind,
    /// The provider's media id.
    pub id: String,
    /// As declared, parameters and all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryReported {
    pub channel: Channel,
    pub line: LineId,
    pub id: Wamid,
    /// Our own message id, as it came back in `biz_opaque_callback_data`.
    pub ours: Option<MessageId>,
    pub status: Delivery,
    pub recipient: ClientKeys,
    pub participant: Option<String>,
    /// The provider's price category, where it says one.
    pub price_category: Option<String>,
    /// How the provider counts it, such as `regular` or `free_customer_service`.
    pub price_type: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Delivery {
    Sent,
    Delivered,
    Read,
    Failed {
        code: String,
        detail: String,
        /// The provider refuses the whole line with this code, whatever the message.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        of_line: bool,
    },
}

/// One template in one language, as the account names it ("en_US").
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateTold {
    pub name: String,
    pub language: String,
    pub news: TemplateNews,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TemplateNews {
    /// In the provider's words, such as `PAUSED`.
    Status {
        status: String,
        reason: Option<String>,
    },
    Quality {
        score: String,
    },
    Category {
        category: String,
    },
    /// Somebody changed its text in the account.
    Rewritten,
}

/// What a look at the account shows of one of our files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSeen {
    pub name: String,
    pub language: String,
    /// `MISSING` where the account has none of this name and language.
    pub status: String,
    pub reason: Option<String>,
    pub category: String,
    pub quality: Option<String>,
    /// Where its text or its parameters are not those of the file.
    pub differs: Option<String>,
}

/// The client chose whether he wants marketing from the firm. It says nothing about anything else.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketingChosen {
    pub channel: Channel,
    pub line: LineId,
    pub from: ClientKeys,
    pub wants_none: bool,
    /// The provider's own sentence about it.
    pub detail: String,
}

/// One of those who ask to join a group, as the provider lists them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JoinRequest {
    pub request: String,
    pub who: ClientKeys,
}

/// News of a native WhatsApp group, one person at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTold {
    pub line: LineId,
    /// Empty where it could not be made.
    pub group: GroupId,
    pub news: GroupNews,
}

#[derive(Clone, Debug, PartialEq)]
pub enum GroupNews {
    /// `request` is what the answer to the call named.
    Created {
        request: String,
        link: Option<String>,
    },
    NotCreated {
        request: String,
        code: String,
        detail: String,
    },
    AsksToJoin {
        request: String,
        who: ClientKeys,
    },
    /// He took his request back.
    AsksNoMore {
        request: String,
        who: ClientKeys,
    },
    Joined {
        who: ClientKeys,
    },
    /// By himself.
    Left {
        who: ClientKeys,
    },
    /// By the firm.
    Removed {
        who: ClientKeys,
    },
    NotRemoved {
        who: ClientKeys,
        code: String,
        detail: String,
    },
    /// A change of name or description that the provider did not take over.
    NotChanged {
        code: String,
        detail: String,
    },
    /// The group has another picture; `request` is what the answer to the call named, or empty.
    PictureChanged {
        request: String,
    },
    PictureNotChanged {
        request: String,
        code: String,
        detail: String,
    },
    Deleted,
    Suspended,
    Unsuspended,
}
