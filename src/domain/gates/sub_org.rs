//! Does the author belong to the room's sub-organisation (S4-30)?
use super::{Gate, Subject, Verdict, refuse_unless};

pub const GATE: Gate = Gate { id: "sub_org", check };

fn check(subject: &Subject) -> Verdict {
    refuse_unless(subject.room.is_none_or(|room| room.sub_org == subject.rights.sub_org))
}
