//! What a contact has agreed to on one channel.
//!
//! ```text
//! None --request--> Pending --yes--> OptedIn;  any --stop--> OptedOut --yes--> OptedIn
//! any but OptedOut --possible stop--> Review --cleared--> the state before, --confirmed or 24 h--> OptedOut
//! any --proved not on WhatsApp--> Unreachable --inbound--> the state before
//! Pending, OptedIn --the person may be another--> None, also as the state before a Review or behind Unreachable
//! ```
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A possible stop that nobody clears becomes a stop after this time (RULES, Consent).
pub const REVIEW_LASTS: Span = Span::hours(24);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    #[default]
    None,
    /// Asked, not answered. `asked_before` is the last request that this one repeats, should this one never leave.
    Pending {
        asked_at: Timestamp,
        asked_before: Option<Timestamp>,
    },
    /// `at` is the provider's time of the client's word.
    OptedIn {
        at: Timestamp,
    },
    OptedOut {
        at: Timestamp,
    },
    /// `since` is our time, by which the day of review is counted; `said_at` the provider's, by which words are ordered.
    Review {
        since: Timestamp,
        said_at: Timestamp,
        before: Box<Consent>,
    },
    Unreachable {
        since: Timestamp,
        before: Box<Consent>,
    },
}

/// What can happen to a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// We ask.
    Request,
    /// We asked, and the request never left.
    RequestFailed,
    Yes,
    /// Any answer, where the firm lets any answer count (C5).
    AnyAnswer,
    Stop,
    PossibleStop,
    Cleared,
    StopConfirmed,
    ReviewRanOut,
    NotOnWhatsApp,
    Inbound,
    /// The provider says that the person behind the address may be another one: consent never moves by itself.
    AnotherPerson,
}

impl Consent {
    /// The state after `turn`, which the client or the firm made `at` (provider time for a client's words); `None` where
    /// it changes nothing. `any_reply` is the firm's choice of C5.
    pub fn after(&self, turn: Turn, at: Timestamp, any_reply: bool) -> Option<Consent> {
        match turn {
            Turn::Request => self.after_request(at),
            Turn::RequestFailed => self.after_failed_request(),
            Turn::Yes => self.after_yes(at, any_reply),
            Turn::AnyAnswer => match self {
                Consent::Pending { .. } if any_reply => Some(Consent::OptedIn { at }),
                Consent::Pending { .. }
                | Consent::None
                | Consent::OptedIn { .. }
                | Consent::OptedOut { .. }
                | Consent::Review { .. }
                | Consent::Unreachable { .. } => None,
            },
            Turn::Stop => self.after_stop(at),
            Turn::PossibleStop => match self {
                Consent::OptedOut { .. } | Consent::Review { .. } => None,
                Consent::OptedIn { at: agreed } if at < *agreed => None,
                Consent::None | Consent::Pending { .. } | Consent::OptedIn { .. } | Consent::Unreachable { .. } => {
                    Some(Consent::Review { since: at, said_at: at, before: Box::new(self.clone()) })
                }
            },
            Turn::Cleared => self.before_review(),
            Turn::StopConfirmed | Turn::ReviewRanOut => self.before_review().map(|_| Consent::OptedOut { at }),
            Turn::NotOnWhatsApp => match self {
                Consent::Unreachable { .. } => None,
                Consent::None
                | Consent::Pending { .. }
                | Consent::OptedIn { .. }
                | Consent::OptedOut { .. }
                | Consent::Review { .. } => Some(Consent::Unreachable { since: at, before: Box::new(self.clone()) }),
            },
            Turn::Inbound => match self {
                Consent::Unreachable { before, .. } => Some((**before).clone()),
                Consent::None
                | Consent::Pending { .. }
                | Consent::OptedIn { .. }
                | Consent::OptedOut { .. }
                | Consent::Review { .. } => None,
            },
            Turn::AnotherPerson => self.of_another_person(),
        }
    }

    /// What was agreed, or asked, was so with somebody else. A stop stands: nothing is lost by keeping it.
    fn of_another_person(&self) -> Option<Consent> {
        match self {
            Consent::Pending { .. } | Consent::OptedIn { .. } => Some(Consent::None),
            Consent::None | Consent::OptedOut { .. } => None,
            Consent::Review { since, said_at, before } => {
                let before = Box::new(before.of_another_person()?);
                Some(Consent::Review { since: *since, said_at: *said_at, before })
            }
            Consent::Unreachable { since, before } => {
                let before = Box::new(before.of_another_person()?);
                Some(Consent::Unreachable { since: *since, before })
            }
        }
    }

    fn after_request(&self, at: Timestamp) -> Option<Consent> {
        match self {
            Consent::None => Some(Consent::Pending { asked_at: at, asked_before: None }),
            Consent::Pending { asked_at, .. } => Some(Consent::Pending { asked_at: at, asked_before: Some(*asked_at) }),
            Consent::OptedIn { .. } | Consent::OptedOut { .. } | Consent::Review { .. } | Consent::Unreachable { .. } => None,
        }
    }

    fn after_failed_request(&self) -> Option<Consent> {
        match self {
            Consent::Pending { asked_before: Some(asked_at), .. } => {
                Some(Consent::Pending { asked_at: *asked_at, asked_before: None })
            }
            Consent::Pending { asked_before: None, .. } => Some(Consent::None),
            Consent::None
            | Consent::OptedIn { .. }
            | Consent::OptedOut { .. }
            | Consent::Review { .. }
            | Consent::Unreachable { .. } => None,
        }
    }

    fn after_yes(&self, at: Timestamp, any_reply: bool) -> Option<Consent> {
        match self {
            Consent::Pending { .. } => Some(Consent::OptedIn { at }),
            // Of several messages the latest provider time wins; on equal times stop wins over yes.
            Consent::OptedOut { at: stopped } => (at > *stopped).then_some(Consent::OptedIn { at }),
            Consent::Review { said_at, .. } => (at > *said_at).then_some(Consent::OptedIn { at }),
            Consent::None => any_reply.then_some(Consent::OptedIn { at }),
            Consent::OptedIn { .. } | Consent::Unreachable { .. } => None,
        }
    }

    fn after_stop(&self, at: Timestamp) -> Option<Consent> {
        match self {
            // A second stop moves the time behind which a yes must lie.
            Consent::OptedOut { at: stopped } => (at > *stopped).then_some(Consent::OptedOut { at }),
            Consent::OptedIn { at: agreed } => (at >= *agreed).then_some(Consent::OptedOut { at }),
            Consent::None | Consent::Pending { .. } | Consent::Review { .. } | Consent::Unreachable { .. } => {
                Some(Consent::OptedOut { at })
            }
        }
    }

    fn before_review(&self) -> Option<Consent> {
        match self {
            Consent::Review { before, .. } => Some((**before).clone()),
            Consent::None
            | Consent::Pending { .. }
            | Consent::OptedIn { .. }
            | Consent::OptedOut { .. }
            | Consent::Unreachable { .. } => None,
        }
    }

    pub fn is_opted_in(&self) -> bool {
        matches!(self, Consent::OptedIn { .. })
    }
    pub fn is_opted_out(&self) -> bool {
        matches!(self, Consent::OptedOut { .. })
    }
    pub fn is_pending(&self) -> bool {
        matches!(self, Consent::Pending { .. })
    }
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Consent::Unreachable { .. })
    }
    /// As the journal, the data of messages and `/consent` name it.
    pub fn name(&self) -> &'static str {
        match self {
            Consent::None => "NONE",
            Consent::Pending { .. } => "PENDING",
            Consent::OptedIn { .. } => "OPTED_IN",
            Consent::OptedOut { .. } => "OPTED_OUT",
            Consent::Review { .. } => "REVIEW",
            Consent::Unreachable { .. } => "UNREACHABLE",
        }
    }
    /// Since when it stands so, where that is known.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Consent::None => None,
            Consent::Pending { asked_at, .. } => Some(*asked_at),
            Consent::OptedIn { at } | Consent::OptedOut { at } => Some(*at),
            Consent::Review { since, .. } | Consent::Unreachable { since, .. } => Some(*since),
        }
    }
}
