//! A client: one identity with the keys by which he is found, and where he stands on each channel.
use super::case::Record;
use super::commit::Key;
use super::consent::{Consent, REVIEW_LASTS};
use super::effect::Address;
use super::ids::*;
use super::time::Timestamp;
use super::window::Window;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many of a contact's messages `/sent` shows.
pub const RECENT_MESSAGES: usize = 10;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    pub id: ContactId,
    pub phone: Option<Phone>,
    /// As it was typed or received.
    pub phone_raw: Option<String>,
    /// Canonical: trimmed, case-folded.
    pub email: Option<String>,
    pub email_raw: Option<String>,
    pub wa_id: Option<String>,
    /// WhatsApp's business-scoped id.
    pub user_id: Option<String>,
    pub first: String,
    pub last: String,
    pub company: String,
    /// What the client calls himself; never taken for his name.
    pub profile_name: Option<String>,
    /// Two letters.
    pub language: String,
    pub created_at: Timestamp,
    /// Who typed it in, and for whom (S0-14).
    pub created_by: String,
    pub requestor: Option<UserId>,
    pub channels: BTreeMap<Channel, OnChannel>,
    /// The advisors on whose lists he stands.
    pub listed_by: BTreeSet<UserId>,
    /// Rooms that are open or opening.
    pub rooms: Vec<RoomKey>,
    pub blocked: Option<String>,
    /// Newest last.
    pub recent: VecDeque<MessageId>,
    /// Provider time since when he has these keys, or may be another person: what was said before and comes late may be kept
    /// and read, but agrees to nothing, opens nothing and tells nothing of who he is.
    #[serde(default)]
    pub keys_since: Option<Timestamp>,
    /// A name of the IANA database, where somebody wrote down which clock he reads.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// Where a contact stands on one channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OnChannel {
    pub consent: Consent,
    /// By line; WhatsApp only.
    pub windows: BTreeMap<LineId, Window>,
    /// Something was delivered to him or received from him here.
    pub ever_reached: bool,
    /// He agreed here once: the next yes is answered with `opted_in`, not with `welcome`.
    pub ever_agreed: bool,
    /// In this silence he was told that a message waits (S0-24).
    pub notice_sent: bool,
    /// When he was last shown the question as reply buttons.
    pub question_at: Option<Timestamp>,
    /// A free text after the latest request was answered with the question already.
    pub question_answered_request: Option<Timestamp>,
    /// The message in which we asked him last.
    pub asked_in: Option<MessageId>,
    /// The advisor who asked, to be told of the answer when there is no room.
    pub asked_by: Option<UserId>,
    /// The line on which he was asked or wrote last.
    pub line: Option<LineId>,
    /// SMS: the lines on which he was welcomed.
    #[serde(default)]
    pub welcomed: BTreeSet<LineId>,
    /// SMS: when he was last answered by nobody's decision.
    #[serde(default)]
    pub answered_at: Option<Timestamp>,
    /// What he chose about marketing; consent is apart from that.
    #[serde(default)]
    pub marketing: Option<MarketingChoice>,
    /// The latest turns of the consent, newest last; the evidence itself stands in the journal.
    #[serde(default)]
    pub history: VecDeque<Turned>,
}

/// A client's latest word on marketing messages, by the provider's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketingChoice {
    pub at: Timestamp,
    pub wants_none: bool,
}

/// How many turns of a consent `/consent history` shows.
pub const TURNS_KEPT: usize = 50;

/// One turn of a consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turned {
    pub at: Timestamp,
    pub from: String,
    pub to: String,
    /// An e-mail address, `client` or `liaison`.
    pub by: String,
    pub how: String,
    /// The message that it rests on, by the provider's or our own id.
    pub message: Option<String>,
}

impl OnChannel {
    pub fn remember_turn(&mut self, turned: Turned) {
        self.history.push_back(turned);
        while self.history.len() > TURNS_KEPT {
            self.history.pop_front();
        }
    }
    pub fn wants_no_marketing(&self) -> bool {
        self.marketing.is_some_and(|choice| choice.wants_none)
    }
    /// Whether he may be written to freely now, as far as time is concerned; SMS knows no window.
    pub fn is_open(&self, channel: Channel, line: &LineId, now: Timestamp) -> bool {
        channel == Channel::Sms || self.window(line).is_open(now)
    }
    pub fn window(&self, line: &LineId) -> Window {
        self.windows.get(line).copied().unwrap_or_default()
    }
}

impl Contact {
    pub fn key_of(id: &ContactId) -> Key {
        Key::new("contact", id)
    }

    /// The name for people, or the number where there is none.
    pub fn name(&self) -> String {
        let name = format!("{} {}", self.first, self.last).trim().to_owned();
        if name.is_empty() { self.number() } else { name }
    }

    /// The number, or whatever else tells this client from others.
    pub fn number(&self) -> String {
        match (&self.phone, &self.profile_name) {
            (Some(phone), _) => phone.e164().to_owned(),
            (None, Some(name)) => name.clone(),
            (None, None) => self.id.to_string(),
        }
    }

    pub fn on(&self, channel: Channel) -> OnChannel {
        self.channels.get(&channel).cloned().unwrap_or_default()
    }
    pub fn on_mut(&mut self, channel: Channel) -> &mut OnChannel {
        self.channels.entry(channel).or_default()
    }
    pub fn consent(&self, channel: Channel) -> Consent {
        self.on(channel).consent
    }

    pub fn address(&self) -> Address {
        Address { phone: self.phone.clone(), user_id: self.user_id.clone(), group: None }
    }

    /// Whether something said at that time (by the provider's clock) was said under other keys, or by somebody else.
    pub fn was_another(&self, at: Timestamp) -> bool {
        self.keys_since.is_some_and(|since| at < since)
    }

    pub fn remember(&mut self, message: &MessageId) {
        self.recent.push_back(message.clone());
        while self.recent.len() > RECENT_MESSAGES {
            self.recent.pop_front();
        }
    }

    /// RULES, State machines, Contact; derived, so that it never contradicts the consent.
    pub fn status(&self, channel: Channel) -> &'static str {
        if self.listed_by.is_empty() {
            return "REMOVED";
        }
        let on = self.on(channel);
        match on.consent {
            Consent::Unreachable { .. } => "UNAVAILABLE",
            Consent::OptedIn { .. } => "CONFIRMED",
            // Who confirmed once stays confirmed, whatever the firm may send to him.
            Consent::None | Consent::Pending { .. } | Consent::OptedOut { .. } | Consent::Review { .. } if on.ever_agreed => {
                "CONFIRMED"
            }
            Consent::None | Consent::Pending { .. } | Consent::OptedOut { .. } | Consent::Review { .. } => "PENDING_CONFIRMATION",
        }
    }
}

impl Record for Contact {
    fn key(&self) -> Key {
        Contact::key_of(&self.id)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        Some(self.id.clone())
    }
    fn wake_at(&self) -> Option<Timestamp> {
        let reviews = self.channels.values().filter_map(|on| match &on.consent {
            Consent::Review { since, .. } => Some(*since + REVIEW_LASTS),
            Consent::None
            | Consent::Pending { .. }
            | Consent::OptedIn { .. }
            | Consent::OptedOut { .. }
            | Consent::Unreachable { .. } => None,
        });
        reviews.min()
    }
}

/// A contact on one advisor's list, under the name that this advisor gave him (S2-17).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    pub user: UserId,
    pub contact: ContactId,
    pub first: String,
    pub last: String,
    pub company: String,
    pub channels: BTreeSet<Channel>,
    /// Made by the client's own first message; the number only (S2-12).
    pub incomplete: bool,
    pub added_at: Timestamp,
    pub added_by: String,
    /// A designated colleague put him here for this advisor (S0-12).
    #[serde(default)]
    pub on_behalf: bool,
}

impl Listing {
    pub fn key_of(user: UserId, contact: &ContactId) -> Key {
        Key::new("listing", format_args!("{user}/{contact}"))
    }
    pub fn prefix_of(user: UserId) -> String {
        format!("listing/{user}/")
    }
    pub fn name(&self) -> String {
        format!("{} {}", self.first, self.last).trim().to_owned()
    }
}

impl Record for Listing {
    fn key(&self) -> Key {
        Listing::key_of(self.user, &self.contact)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        Some(self.contact.clone())
    }
}

/// An index entry: whatever stands in the key belongs to this contact, message, room or user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    #[serde(skip)]
    pub from: Option<Key>,
    pub to: String,
}

impl Pointer {
    pub fn new(from: Key, to: impl std::fmt::Display) -> Pointer {
        Pointer { from: Some(from), to: to.to_string() }
    }
}

impl Record for Pointer {
    fn key(&self) -> Key {
        self.from.clone().expect("a pointer that is written knows its key")
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}
