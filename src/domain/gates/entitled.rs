//! May the author use the channel, now (S0-1)?
use super::{Gate, Subject, Verdict, refuse_unless};

pub const GATE: Gate = Gate { id: "entitled", check };

fn check(subject: &Subject) -> Verdict {
    refuse_unless(subject.rights.may_use(subject.channel))
}
