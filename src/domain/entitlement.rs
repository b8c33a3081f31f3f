//! Who may do what: permissions, bundles of them, and the rights of one person.
use super::case::Record;
use super::commit::Key;
use super::ids::{Channel, ContactId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    Chat,
    #[serde(rename = "contact.create")]
    ContactCreate,
    #[serde(rename = "contact.edit")]
    ContactEdit,
    #[serde(rename = "contact.edit-email")]
    ContactEditEmail,
    #[serde(rename = "contact.list-all")]
    ContactListAll,
    #[serde(rename = "onboard.on-behalf")]
    OnboardOnBehalf,
    #[serde(rename = "room.create")]
    RoomCreate,
    #[serde(rename = "room.manage-any")]
    RoomManageAny,
    #[serde(rename = "group.native")]
    GroupNative,
    #[serde(rename = "template.send")]
    TemplateSend,
    Transfer,
    Block,
    Bulk,
    #[serde(rename = "consent.record")]
    ConsentRecord,
    Supervise,
    #[serde(rename = "audit.read")]
    AuditRead,
    Export,
    Admin,
}

use Permission::*;

impl Permission {
    pub const ALL: [Permission; 18] = [
        Chat,
        ContactCreate,
        ContactEdit,
        ContactEditEmail,
        ContactListAll,
        OnboardOnBehalf,
        RoomCreate,
        RoomManageAny,
        GroupNative,
        TemplateSend,
        Transfer,
        Block,
        Bulk,
        ConsentRecord,
        Supervise,
        AuditRead,
        Export,
        Admin,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Chat => "chat",
            ContactCreate => "contact.create",
            ContactEdit => "contact.edit",
            ContactEditEmail => "contact.edit-email",
            ContactListAll => "contact.list-all",
            OnboardOnBehalf => "onboard.on-behalf",
            RoomCreate => "room.create",
            RoomManageAny => "room.manage-any",
            GroupNative => "group.native",
            TemplateSend => "template.send",
            Transfer => "transfer",
            Block => "block",
            Bulk => "bulk",
            ConsentRecord => "consent.record",
            Supervise => "supervise",
            AuditRead => "audit.read",
            Export => "export",
            Admin => "admin",
        }
    }

    /// Held once, whatever the channels (COMMANDS §2).
    pub fn has_no_channel(self) -> bool {
        matches!(self, Admin | AuditRead | Export | Supervise | ContactListAll)
    }

    pub fn parse(text: &str) -> Option<Permission> {
        Permission::ALL.into_iter().find(|p| p.name() == text.trim())
    }

    /// A single permission by its name, or the several of a bundle.
    pub fn parse_many(text: &str) -> Option<Vec<Permission>> {
        let advisor = || vec![Chat, ContactCreate, ContactEdit, RoomCreate, GroupNative, TemplateSend];
        match text.trim() {
            "advisor" => Some(advisor()),
            "advisor-central" => Some(vec![Chat, TemplateSend]),
            "onboarder" => Some([advisor(), vec![OnboardOnBehalf, Bulk]].concat()),
            "compliance" => Some(vec![ContactListAll, ConsentRecord, Block, Supervise, AuditRead, Export]),
            "admin" => Some(vec![Admin, RoomManageAny, Transfer, ContactListAll, AuditRead]),
            single => Permission::parse(single).map(|p| vec![p]),
        }
    }
}

/// The rights of one person, as configured or as an admin left them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    pub email: String,
    pub channels: BTreeMap<Channel, BTreeSet<Permission>>,
    /// Permissions that have no channel.
    pub general: BTreeSet<Permission>,
    pub sub_org: String,
}

impl Rights {
    pub fn new(email: &str, channels: &[Channel], permissions: &[Permission], sub_org: &str) -> Rights {
        let mut rights = Rights { email: email.to_owned(), sub_org: sub_org.to_owned(), ..Rights::default() };
        rights.general.extend(permissions.iter().filter(|p| p.has_no_channel()));
        channels.iter().for_each(|channel| rights.entitle(*channel, permissions));
        rights
    }

    pub fn entitle(&mut self, channel: Channel, permissions: &[Permission]) {
        let on_channel = self.channels.entry(channel).or_default();
        for permission in permissions {
            if permission.has_no_channel() {
                self.general.insert(*permission);
            } else {
                on_channel.insert(*permission);
            }
        }
    }

    /// Entitled for a channel: may chat on it (S0-1).
    pub fn may_use(&self, channel: Channel) -> bool {
        self.may(Chat, Some(channel))
    }

    /// On this channel, or on any channel where `channel` is `None`.
    pub fn may(&self, permission: Permission, channel: Option<Channel>) -> bool {
        if permission.has_no_channel() {
            return self.general.contains(&permission);
        }
        match channel {
            Some(channel) => self.channels.get(&channel).is_some_and(|held| held.contains(&permission)),
            None => self.channels.values().any(|held| held.contains(&permission)),
        }
    }

    pub fn has_any(&self) -> bool {
        !self.general.is_empty() || self.channels.values().any(|held| !held.is_empty())
    }
}

/// Rights changed by `/admin`; they win over the configuration.
impl Record for Rights {
    fn key(&self) -> Key {
        Key::new("grant", &self.email)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

/// A user of the platform, pinned to his id at first sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    /// As the platform shows it.
    pub name: String,
    /// Case-folded; empty while nobody has told it.
    pub email: String,
}

impl User {
    pub fn key_of(id: UserId) -> Key {
        Key::new("user", id)
    }
}

impl Record for User {
    fn key(&self) -> Key {
        User::key_of(self.id)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}
