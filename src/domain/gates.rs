//! The one gate that every advisor's message and template passes: when it is accepted, and again in the commit that takes it.
pub mod address;
pub mod blocked;
pub mod consent;
pub mod entitled;
pub mod membership;
pub mod quiet_hours;
pub mod room;
pub mod sub_org;
pub mod window;

use super::contact::Contact;
use super::entitlement::Rights;
use super::ids::*;
use super::policy::Policy;
use super::room::Room;
use super::time::Timestamp;

/// One message, as far as its permission to leave is concerned.
pub struct Subject<'s> {
    pub now: Timestamp,
    pub policy: &'s Policy,
    pub author: UserId,
    pub rights: &'s Rights,
    pub contact: &'s Contact,
    pub room: Option<&'s Room>,
    pub channel: Channel,
    pub line: &'s LineId,
    /// Not a template.
    pub free_text: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// Accepted, but must wait.
    Hold,
    Refuse,
}

pub struct Gate {
    /// As messages carry it in `reason` and `/why` prints it.
    pub id: &'static str,
    pub check: fn(&Subject) -> Verdict,
}

/// In the order in which they are asked.
pub const GATES: [Gate; 9] = [
    entitled::GATE,
    sub_org::GATE,
    blocked::GATE,
    address::GATE,
    consent::GATE,
    membership::GATE,
    room::GATE,
    quiet_hours::GATE,
    window::GATE,
];

/// The first gate that does not say yes, and what it says; `None` when the message may go.
pub fn first_objection(subject: &Subject) -> Option<(&'static str, Verdict)> {
    GATES.iter().map(|gate| (gate.id, (gate.check)(subject))).find(|(_, verdict)| *verdict != Verdict::Pass)
}

/// Asked of an author, and passed on words have none: the program only brings them.
const OF_THE_AUTHOR: [&str; 3] = ["entitled", "sub_org", "membership"];

/// The same for another client's words that are passed on: everything about the one who gets them.
pub fn first_objection_to_passing_on(subject: &Subject) -> Option<(&'static str, Verdict)> {
    let asked = GATES.iter().filter(|gate| !OF_THE_AUTHOR.contains(&gate.id));
    asked.map(|gate| (gate.id, (gate.check)(subject))).find(|(_, verdict)| *verdict != Verdict::Pass)
}

/// Every gate with its verdict, for `/why`.
pub fn all_verdicts(subject: &Subject) -> Vec<(&'static str, Verdict)> {
    GATES.iter().map(|gate| (gate.id, (gate.check)(subject))).collect()
}

fn refuse_unless(holds: bool) -> Verdict {
    if holds { Verdict::Pass } else { Verdict::Refuse }
}
fn hold_unless(holds: bool) -> Verdict {
    if holds { Verdict::Pass } else { Verdict::Hold }
}
