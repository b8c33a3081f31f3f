//! A client's call to one of our lines, from the first ring to its end: kept for `/call list` and for its one line in the room.
//!
//! ```text
//! ringing --nobody can answer--> shown as not answered;  ringing --over--> shown as it ended
//! ringing --no end heard of in time--> shown without an end
//! ```
use super::case::Record;
use super::commit::Key;
use super::event::CallStage;
use super::ids::*;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Whoever takes a call may talk for long; after this its line is shown even if nobody has told how it ended.
const END_IS_AWAITED: Span = Span::hours(4);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The provider's id of it.
    pub id: String,
    pub contact: ContactId,
    pub channel: Channel,
    pub line: LineId,
    pub at: Timestamp,
    pub stage: CallStage,
    /// Its line stands in the room.
    pub shown: bool,
}

impl Call {
    /// The newest call of a contact stands first.
    fn key_of(contact: &ContactId, at: Timestamp, id: &str) -> Key {
        let order = i64::MAX - at.0;
        Key::new("call", format_args!("{contact}/{order:020}-{}", super::scene::digest_of(&EventId(id.to_owned()))))
    }
    pub fn prefix_of(contact: &ContactId) -> String {
        format!("call/{contact}/")
    }
    /// The index from the provider's id to the record.
    pub fn id_key(line: &LineId, id: &str) -> Key {
        Key::new("callid", format_args!("{line}:{id}"))
    }
    /// Later news of it, in whatever order they come: an end is never undone, and the better known end stays.
    pub fn goes_on(&mut self, stage: CallStage) {
        match (self.stage, stage) {
            (CallStage::Over { answered: true, seconds: Some(_) }, _) | (CallStage::Over { .. }, CallStage::Ringing { .. }) => {}
            (CallStage::Over { answered: true, .. }, CallStage::Over { answered: false, .. }) => {}
            (CallStage::Ringing { .. } | CallStage::Over { .. }, newer) => self.stage = newer,
        }
    }
    /// Whether it can be said now how it ended.
    pub fn has_an_end(&self) -> bool {
        match self.stage {
            CallStage::Ringing { may_be_answered } => !may_be_answered,
            CallStage::Over { .. } => true,
        }
    }
}

impl Record for Call {
    fn key(&self) -> Key {
        Call::key_of(&self.contact, self.at, &self.id)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        Some(self.contact.clone())
    }
    fn wake_at(&self) -> Option<Timestamp> {
        (!self.shown).then(|| self.at + END_IS_AWAITED)
    }
}
