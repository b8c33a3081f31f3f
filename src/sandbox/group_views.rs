//! What the page sees of native groups: plain values, serialised as they stand.
use super::views::{FileView, PhoneMessageView};
use serde::Serialize;

/// A group as one of the phones shows it.
#[derive(Clone, Debug, Serialize)]
pub struct GroupView {
    /// WhatsApp's id of it.
    pub id: String,
    pub name: String,
    pub description: String,
    /// None until the firm gave one.
    pub picture: Option<FileView>,
    /// The firm's name there.
    pub firm: String,
    /// "asked", "in", "left", "removed" or, where the group is no more, "over".
    pub standing: String,
    pub suspended: bool,
    /// Without the firm.
    pub members: Vec<GroupMemberView>,
    /// Those that this phone got or wrote, oldest first.
    pub messages: Vec<GroupMessageView>,
}

/// Why a phone did not get into a group, and what its owner can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoEntry {
    pub why: String,
    pub mend: &'static str,
}

impl NoEntry {
    pub fn new(why: impl Into<String>, mend: &'static str) -> NoEntry {
        NoEntry { why: why.into(), mend }
    }
}

impl From<String> for NoEntry {
    fn from(why: String) -> NoEntry {
        NoEntry::new(why, "Add a phone with WhatsApp, or try again in a moment.")
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupMemberView {
    /// E.164 with "+".
    pub number: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupMessageView {
    /// The wamid.
    pub id: String,
    pub at: i64,
    /// Who wrote it; the firm's name for the firm.
    pub from: String,
    /// The writer's number; none for the firm.
    pub number: Option<String>,
    /// "in": it arrived on this phone; "out": it was written there.
    pub direction: String,
    pub text: String,
    pub template: Option<String>,
    /// For "in": delivered or read. For "out": pending (webhook not accepted yet) or sent.
    pub status: String,
    /// The `biz_opaque_callback_data` of a message of the firm.
    pub callback_data: Option<String>,
    pub file: Option<FileView>,
}

impl From<GroupMessageView> for PhoneMessageView {
    fn from(message: GroupMessageView) -> PhoneMessageView {
        let GroupMessageView { id, at, direction, text, template, status, callback_data, file, .. } = message;
        let (channel, buttons, line, call) = ("whatsapp".to_owned(), Vec::new(), None, None);
        PhoneMessageView { id, at, channel, direction, text, template, buttons, status, callback_data, file, line, call }
    }
}
