//! Where a contact stands in one native group.
//!
//! ```text
//! Invited --joins--> Joined --leaves--> Left --joins--> Joined;  any --removed by an advisor--> Barred, for ever
//! ```
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// May ask to join, and is let in when he does.
    Invited,
    Joined,
    /// By himself: he may come back (S1-29).
    Left,
    /// An advisor removed him: never again in this group (S1-28).
    Barred,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Invite,
    Join,
    Leave,
    Bar,
}

impl Membership {
    /// The state after the step; `None` where it changes nothing.
    pub fn after(self, step: Step) -> Option<Membership> {
        use Membership::*;
        match (self, step) {
            (Invited | Left, Step::Join) => Some(Joined),
            (Joined, Step::Leave) => Some(Left),
            (Left, Step::Invite) => Some(Invited),
            (Invited | Joined | Left, Step::Bar) => Some(Barred),
            (Barred, Step::Invite | Step::Join | Step::Leave | Step::Bar) => None,
            (Invited, Step::Invite | Step::Leave) | (Joined, Step::Invite | Step::Join) | (Left, Step::Leave) => None,
        }
    }
    /// Is his request to join approved, as far as this group is concerned?
    pub fn may_join(self) -> bool {
        self.after(Step::Join).is_some()
    }
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Membership::Invited => "INVITED",
            Membership::Joined => "JOINED",
            Membership::Left => "LEFT",
            Membership::Barred => "BARRED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Membership::*;
    use super::*;

    #[test]
    fn s1_28_s1_29_every_step_from_every_state() {
        let rows = [
            (Invited, [None, Some(Joined), None, Some(Barred)]),
            (Joined, [None, None, Some(Left), Some(Barred)]),
            (Left, [Some(Invited), Some(Joined), None, Some(Barred)]),
            (Barred, [None, None, None, None]),
        ];
        for (from, ends) in rows {
            for (step, end) in [Step::Invite, Step::Join, Step::Leave, Step::Bar].into_iter().zip(ends) {
                assert_eq!(from.after(step), end, "{from:?} {step:?}");
            }
        }
    }
}
