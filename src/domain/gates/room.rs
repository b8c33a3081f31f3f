//! Is the room active (S0-8)?
use super::{Gate, Subject, Verdict, refuse_unless};

pub const GATE: Gate = Gate { id: "room", check };

fn check(subject: &Subject) -> Verdict {
    refuse_unless(subject.room.is_some_and(|room| room.is_live()))
}
