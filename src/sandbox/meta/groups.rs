//! Native groups as WhatsApp keeps them: who is in, who asks, who was taken out for good, and what was written.
mod acts;
pub(super) mod calls;
mod members;
mod picture;
mod send;
mod shapes;

pub(super) use self::acts::Twisted;
pub(super) use self::send::is_for_a_group;
use super::errors::GraphError;
use super::world::{Record, Status};
use crate::sandbox::views::FileView;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// People in a group beside the firm (Meta, groups).
const MAX_PARTICIPANTS: usize = 8;
/// Messages kept per group; older ones are forgotten.
const MAX_MESSAGES: usize = 10_000;
/// A message of any member opens the window of the whole group for 24 h (Meta, groups pricing).
const WINDOW_MS: i64 = 24 * 60 * 60 * 1000;
const LINK: &str = "https://chat.whatsapp.com/";

/// How somebody stands to a group.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// His request waits for the firm.
    Asked {
        request: String,
        at: i64,
    },
    In,
    /// By himself: he may come back.
    Left,
    /// By the firm: no link lets him in again.
    Removed,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Group {
    pub id: String,
    /// WhatsApp's inner number of it, a part of its id.
    pub number: String,
    pub subject: String,
    pub description: String,
    /// The media file that is its picture.
    #[serde(default)]
    pub picture: Option<String>,
    /// Whoever follows the link must be let in.
    pub approval: bool,
    pub created_at: i64,
    /// What follows the host in the only link that works.
    pub link: String,
    /// By number.
    pub people: BTreeMap<String, Standing>,
    pub suspended: bool,
    /// Deleted by the firm.
    pub over: bool,
    /// Time of the last message of a member, milliseconds.
    pub last_own: Option<i64>,
}

impl Group {
    fn new(line: &str, subject: &str, description: &str, approval: bool, created_at: i64) -> Group {
        let number = format!("120363{:012}", fastrand::u64(..1_000_000_000_000));
        let id = format!("{}ZD", STANDARD_NO_PAD.encode(format!("capi_group:{line}:{number}")));
        let (subject, description) = (subject.to_string(), description.to_string());
        let (link, people) = (link_code(), BTreeMap::new());
        Group {
            id,
            number,
            subject,
            description,
            picture: None,
            approval,
            created_at,
            link,
            people,
            suspended: false,
            over: false,
            last_own: None,
        }
    }

    pub fn members(&self) -> impl Iterator<Item = &String> {
        self.people.iter().filter(|(_, standing)| **standing == Standing::In).map(|(number, _)| number)
    }

    fn is_full(&self) -> bool {
        self.members().count() >= MAX_PARTICIPANTS
    }

    fn the_window_is_open(&self, now: i64) -> bool {
        self.last_own.is_some_and(|last| now - last < WINDOW_MS)
    }

    fn whole_link(&self) -> String {
        format!("{LINK}{}", self.link)
    }

    fn mode(&self) -> &'static str {
        if self.approval { "approval_required" } else { "auto_approve" }
    }

    fn with(&self, number: &str, standing: Standing) -> Group {
        let mut group = self.clone();
        group.people.insert(number.to_string(), standing);
        group
    }

    /// Whoever asked, by the id of the request.
    fn asking(&self, wanted: &str) -> Option<&String> {
        let asked = |standing: &Standing| matches!(standing, Standing::Asked { request, .. } if request == wanted);
        self.people.iter().find(|(_, standing)| asked(standing)).map(|(number, _)| number)
    }
}

fn link_code() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(22).collect()
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GroupMessage {
    /// The wamid.
    pub id: String,
    pub group: String,
    pub at: i64,
    /// The number of the member who wrote it; none for the firm.
    pub from: Option<String>,
    pub text: String,
    pub template: Option<String>,
    pub callback_data: Option<String>,
    pub file: Option<FileView>,
    /// Of a member's message: pending, then sent.
    pub status: Status,
    /// On whose phones it is, and who has read it.
    pub reached: BTreeMap<String, bool>,
}

/// All groups and what was written in them.
#[derive(Default)]
pub(super) struct Groups {
    all: BTreeMap<String, Group>,
    messages: HashMap<String, GroupMessage>,
    threads: HashMap<String, VecDeque<String>>,
}

impl Groups {
    pub fn keep(&mut self, group: Group) {
        self.all.insert(group.id.clone(), group);
    }

    pub fn keep_message(&mut self, message: GroupMessage) {
        let thread = self.threads.entry(message.group.clone()).or_default();
        if !self.messages.contains_key(&message.id) {
            thread.push_back(message.id.clone());
        }
        self.messages.insert(message.id.clone(), message);
        if thread.len() > MAX_MESSAGES {
            thread.pop_front().map(|oldest| self.messages.remove(&oldest));
        }
    }

    pub fn records(&self) -> impl Iterator<Item = Record> {
        let messages = self.threads.values().flatten().filter_map(|id| self.messages.get(id));
        self.all.values().cloned().map(Record::Group).chain(messages.cloned().map(Record::GroupMessage))
    }

    pub fn message(&self, wamid: &str) -> Option<&GroupMessage> {
        self.messages.get(wamid)
    }

    /// Oldest first.
    fn thread(&self, group: &str) -> impl DoubleEndedIterator<Item = &GroupMessage> {
        self.threads.get(group).into_iter().flatten().filter_map(|id| self.messages.get(id))
    }

    /// The link of a group that a template names by its id, as Meta puts it in on delivery.
    pub fn link_of(&self, id: &str) -> Result<String, GraphError> {
        Ok(self.living(id)?.whole_link())
    }

    fn living(&self, id: &str) -> Result<&Group, GraphError> {
        let known = self.all.get(id).filter(|group| !group.over);
        known.ok_or_else(|| GraphError::new(131041, "The group does not exist, or the business is not in it"))
    }

    fn by_link(&self, link: &str) -> Option<&Group> {
        let code = link.trim().rsplit('/').next().filter(|code| !code.is_empty())?;
        self.all.values().find(|group| !group.over && group.link == code)
    }

    pub fn is_known(&self, id: &str) -> bool {
        self.all.get(id).is_some_and(|group| !group.over)
    }
}
