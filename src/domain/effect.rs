//! What we may do to the world: plain data without words; wording and adapters turn it into calls.
use super::grammar::Args;
use super::ids::*;
use super::media::Media;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// A line of the bot in a chat.
    Post {
        place: Place,
        reply: Reply,
    },
    /// A message to a client.
    Send(Send),
    /// Finds the room that bears `key`, or creates it, and sees to its members.
    OpenRoom(OpenRoom),
    AddMember {
        stream: StreamId,
        user: UserId,
        owner: bool,
    },
    RemoveMember {
        stream: StreamId,
        user: UserId,
    },
    /// Takes the ownership, not the membership.
    DemoteMember {
        stream: StreamId,
        user: UserId,
    },
    RenameRoom(RenameRoom),
    DeactivateRoom {
        stream: StreamId,
    },
    AcceptConnection {
        user: UserId,
    },
    /// Takes a file in from where it is and keeps it under our own id; `Done` carries `media::Found` as JSON.
    Fetch(Fetch),
    /// Hands a file of ours to the provider, who names its copy; a message that bears it stands behind.
    Upload(Upload),
    /// Something about a native WhatsApp group of a room.
    Group(GroupAct),
    /// Asks the platform who this is; then the command that named him runs again.
    FindUser {
        user: UserId,
        then: Box<Again>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fetch {
    pub media: Box<Media>,
    pub before: Before,
}

/// What stands behind a file in the same lane of the outbox, so that nothing overtakes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Before {
    /// The line that shows a client's file.
    Line(Place),
    /// An advisor's message with this file.
    Message { channel: Channel, chat: ChatMessageId },
    /// Another client's message that is passed on with this file.
    PassedOn(MessageId),
    /// The call that makes it the picture of this room's native group.
    Group(RoomKey),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    pub message: MessageId,
    pub media: Box<Media>,
    pub channel: Channel,
    pub line: LineId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupAct {
    pub room: RoomKey,
    pub line: LineId,
    /// Whom it is about, if it is about somebody we know: it is sealed under his key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    pub call: GroupCall,
}

/// What can be asked of the provider about a native group; all but `Create` may be done twice without harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum GroupCall {
    /// With approval of each join request. `Done` carries the provider's id of the request; the group's own id and its link
    /// come as `GroupNews::Created`.
    Create { subject: String, description: String },
    /// Looks for a group that was asked for and never told of: `Done` carries its id, `Failed` "not-there".
    Find { subject: String, created_after: Timestamp },
    /// At least one of them.
    Change { group: GroupId, subject: Option<String>, description: Option<String> },
    /// A picture for the group; `Done` carries the provider's id of the request, if it named one. Whether it is shown comes as
    /// `GroupNews::PictureChanged` or `GroupNews::PictureNotChanged`.
    Picture { group: GroupId, file: Box<Media> },
    /// `Done` carries the link; `anew` makes all earlier ones void.
    Link { group: GroupId, anew: bool },
    /// Who asks to join and has no answer; `Done` carries `event::JoinRequest`s as JSON.
    Requests { group: GroupId },
    /// A join request, approved or rejected.
    Answer { group: GroupId, request: String, approve: bool },
    /// Takes a participant out, for good: no link lets him in again.
    Remove { group: GroupId, who: Address },
    /// Removes everybody.
    Delete { group: GroupId },
}

/// A command that waits for somebody to be looked up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Again {
    pub path: String,
    pub args: Args,
    pub caller: UserId,
    pub place: Place,
    pub room: Option<RoomKey>,
    /// The form whose answer this becomes, and what was in it.
    #[serde(default)]
    pub ask: Option<AskId>,
    #[serde(default)]
    pub values: Map<String, Value>,
}

/// Where a line goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    Stream(StreamId),
    /// One of our own rooms, which may not be made yet; it is known by the time the line is taken.
    Room(RoomKey),
    /// The 1:1 chat with this person, opened if need be.
    Direct(UserId),
    /// The same for somebody whom we know by his e-mail address only.
    DirectByEmail(String),
}

/// What the bot says. The words stand in `templates/chat/<template>.<language>.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub template: String,
    /// The fixed code of INTERFACES §5.
    pub code: Code,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The question that buttons of this line answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<AskId>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub vars: Map<String, Value>,
    /// Files that go with it; each is looked at anew when the line is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Media>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Answer,
    Refusal,
    Form,
    Confirm,
    ClientMessage,
    Held,
    Released,
    ConsentYes,
    ConsentNo,
    ConsentReview,
    NotOnWhatsapp,
    Failed,
    Unconfirmed,
    Expired,
    Withdrawn,
    RoomOpened,
    Notice,
    Info,
}

impl Reply {
    pub fn new(code: Code, template: &str) -> Reply {
        Reply {
            template: template.to_owned(),
            code,
            contact: None,
            message: None,
            reason: None,
            ask: None,
            vars: Map::new(),
            files: Vec::new(),
        }
    }
    pub fn answer(template: &str) -> Reply {
        Reply::new(Code::Answer, template)
    }
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Reply {
        self.vars.insert(name.to_owned(), value.into());
        self
    }
    pub fn about(mut self, contact: &ContactId) -> Reply {
        self.contact = Some(contact.clone());
        self
    }
    /// The one client whom it is about, as its data tell: a group is none.
    pub fn client(&self) -> Option<&ContactId> {
        self.contact.as_ref().filter(|contact| contact.group().is_none())
    }
    pub fn of(mut self, message: &MessageId) -> Reply {
        self.message = Some(message.clone());
        self
    }
    pub fn because(mut self, reason: impl Into<String>) -> Reply {
        self.reason = Some(reason.into());
        self
    }
    pub fn asking(mut self, ask: &AskId) -> Reply {
        self.ask = Some(ask.clone());
        self
    }
}

/// A message to one client on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Send {
    pub message: MessageId,
    pub contact: ContactId,
    pub channel: Channel,
    pub line: LineId,
    pub to: Address,
    pub body: Body,
    /// The room of the native group that it goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomKey>,
}

/// Ways to reach a client; at least one is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub phone: Option<Phone>,
    /// WhatsApp's business-scoped user id, for clients without a visible number.
    pub user_id: Option<String>,
    /// A native group and not a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// An advisor's own words.
    Text(String),
    /// An advisor's file, and what is written under it.
    Media { file: Box<Media>, caption: Option<String> },
    /// A file of `templates/<channel>/` that the provider has approved (WhatsApp).
    Template { name: String, language: String, vars: BTreeMap<String, String> },
    /// A text file of `templates/<channel>/`, such as `welcome`.
    Wording { name: String, language: String, vars: BTreeMap<String, String> },
    /// The text and buttons of the template `name` as an ordinary message with reply buttons.
    Question { name: String, language: String, vars: BTreeMap<String, String> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenRoom {
    pub key: RoomKey,
    /// The contact whose name the room bears.
    pub contact: Option<ContactId>,
    pub name: String,
    /// Taken when `name` is in use already; without it the attempt fails with `name-taken`.
    pub otherwise: Option<String>,
    pub description: String,
    pub owners: Vec<UserId>,
    pub members: Vec<UserId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RenameRoom {
    pub stream: StreamId,
    pub name: String,
    /// For whom its name is sealed.
    pub contact: Option<ContactId>,
    /// Who wants the new name, and where he reads how it went; nobody where an old name is put back.
    pub asked: Option<(UserId, Place)>,
}

/// Exactly what leaves, rendered before it is taken so that the journal holds the words themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Prepared {
    /// Nothing to word: the effect says it all.
    Plain,
    /// MessageML and the EntityJSON beside it.
    Chat { markup: String, data: Value },
    /// A text as the client will read it.
    Text { text: String },
    /// An approved template: what the provider gets, and the text as the client will read it.
    Template { name: String, language: String, components: Value, text: String },
    /// A file, and what the client reads under it; which file the effect says.
    Media { caption: Option<String> },
    /// A text with reply buttons: (id, title).
    Buttons { text: String, buttons: Vec<(String, String)> },
}

impl Prepared {
    /// What the client reads, if this goes to a client.
    pub fn client_text(&self) -> Option<&str> {
        match self {
            Prepared::Text { text } | Prepared::Template { text, .. } | Prepared::Buttons { text, .. } => Some(text),
            Prepared::Media { caption } => caption.as_deref(),
            Prepared::Plain | Prepared::Chat { .. } => None,
        }
    }
}

/// How an attempt on the world went.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    Ended(Outcome),
    /// Certainly nothing happened (refused before it left, throttled): may be taken again, not before this time.
    NotYet {
        why: String,
        not_before: Timestamp,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    Done {
        external_id: Option<String>,
    },
    /// The provider's own complaint.
    Failed {
        code: String,
        detail: String,
    },
    /// It may or may not have happened.
    Unknown {
        why: String,
    },
}

/// What a look-up of a doubtful effect found.
#[derive(Clone, Debug, PartialEq)]
pub enum LookUp {
    Found {
        external_id: Option<String>,
    },
    /// It certainly did not happen, or repeating it is harmless: may be taken again.
    Absent,
    /// Nobody can tell from here (yet).
    Unclear,
}
