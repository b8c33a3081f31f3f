//! Is the contact free of a block?
use super::{Gate, Subject, Verdict, refuse_unless};

pub const GATE: Gate = Gate { id: "blocked", check };

fn check(subject: &Subject) -> Verdict {
    refuse_unless(subject.contact.blocked.is_none())
}
