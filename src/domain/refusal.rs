//! Why the bot says no. The words stand in `templates/chat/refusal-<code>.<language>.toml`.
use super::effect::{Code, Reply};
use super::entitlement::{Permission, Rights};
use super::ids::*;
use serde_json::Value;

/// A refusal: a code that stays, and what its words need.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// A code of COMMANDS §2 and §3, or the id of a gate.
    pub code: &'static str,
    pub vars: Vec<(&'static str, Value)>,
    pub contact: Option<ContactId>,
    /// What to show instead of a plain line: a card with buttons, say.
    pub card: Option<Box<Reply>>,
}

impl Refusal {
    pub fn new(code: &'static str) -> Refusal {
        Refusal { code, vars: Vec::new(), contact: None, card: None }
    }
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Refusal {
        self.vars.push((name, value.into()));
        self
    }
    pub fn about(mut self, contact: &ContactId) -> Refusal {
        self.contact = Some(contact.clone());
        self
    }
    pub fn no_permission(name: &str) -> Refusal {
        Refusal::new("no-permission").with("permission", name)
    }
    /// Why these rights do not let somebody do this on this channel: he may not use it at all (S0-1), or lacks the permission.
    pub fn lacking(rights: &Rights, permission: Permission, channel: Channel) -> Refusal {
        let has_others = rights.channels.get(&channel).is_some_and(|held| !held.is_empty());
        if has_others && !rights.may(permission, Some(channel)) {
            return Refusal::no_permission(permission.name());
        }
        Refusal::new("not-entitled").with("channel", channel.name())
    }
    pub fn bad_argument(name: &str, why: impl Into<String>, example: &str) -> Refusal {
        Refusal::new("bad-argument").with("argument", name).with("why", why.into()).with("example", example)
    }
    pub fn missing(name: &str, example: &str) -> Refusal {
        Refusal::bad_argument(name, "is missing", example)
    }

    pub fn into_reply(self) -> Reply {
        let mut reply = match self.card {
            Some(card) => *card,
            None => Reply::new(Code::Refusal, &format!("refusal-{}", self.code)),
        };
        reply.reason = Some(self.code.to_owned());
        reply.contact = reply.contact.or(self.contact);
        for (name, value) in self.vars {
            reply.vars.insert(name.to_owned(), value);
        }
        reply
    }
}
