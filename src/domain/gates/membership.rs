//! Is the author in the room, and the contact too (S4-7)?
use super::{Gate, Subject, Verdict, refuse_unless};

pub const GATE: Gate = Gate { id: "membership", check };

fn check(subject: &Subject) -> Verdict {
    let together = |room: &crate::domain::room::Room| {
        room.members.contains_key(&subject.author) && room.contacts.contains(&subject.contact.id)
    };
    refuse_unless(subject.room.is_some_and(together))
}
