//! A question of the bot with buttons or fields: answered once, by the one who was asked, within its time.
use super::case::Record;
use super::commit::Key;
use super::effect::{Place, Reply};
use super::grammar::Args;
use super::ids::*;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A confirmation is valid this long (COMMANDS §1).
pub const CONFIRMATION_LASTS: Span = Span::minutes(10);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    pub id: AskId,
    /// Only he may answer; `None`: every entitled member of the room.
    pub asked: Option<UserId>,
    pub place: Place,
    pub about: About,
    pub contact: Option<ContactId>,
    pub expires_at: Option<Timestamp>,
    /// The first answer's outcome; later presses get it again.
    pub answered: Option<Reply>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum About {
    /// Confirm this command (⚠).
    Command { path: String, args: Args, room: Option<RoomKey> },
    /// The fields of this command.
    Form { path: String, room: Option<RoomKey> },
    /// May the client be asked for consent (S3-6)?
    Invitation { contact: ContactId, channel: Channel, room: Option<RoomKey> },
    /// Not on WhatsApp: try SMS (S3-10)?
    SmsOffer {
        contact: ContactId,
        /// What waited for WhatsApp.
        #[serde(default)]
        waited: Vec<MessageId>,
    },
    /// Send this message, which went nowhere elsewhere, in this room?
    SendHere { message: MessageId, room: RoomKey },
    /// Did the client mean to stop?
    Review { contact: ContactId, channel: Channel },
    /// Nobody knows whether it arrived: send again?
    SendAgain { message: MessageId },
    /// A client's line went to the room last used: move it to another of his rooms?
    MoveHere { contact: ContactId, room: RoomKey, line: Reply, others: Vec<RoomKey> },
    /// A room with the contact is there already: join it, or open a new one?
    JoinOrNew { path: String, args: Args, existing: RoomKey },
    /// The conversation was handed over while this waited: does the new advisor send it (S4-41)?
    TakeOver { message: MessageId, room: RoomKey },
    /// An owner decides whether a colleague may join.
    AdmitMember { room: RoomKey, user: UserId, name: String },
}

impl Ask {
    pub fn key_of(id: &AskId) -> Key {
        Key::new("ask", id)
    }
    /// Index from the posted message to the question in it.
    pub fn posted_key(message: &ChatMessageId) -> Key {
        Key::new("asked", message)
    }
}

impl Record for Ask {
    fn key(&self) -> Key {
        Ask::key_of(&self.id)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        self.contact.clone()
    }
}
