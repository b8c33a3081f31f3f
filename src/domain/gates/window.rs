//! Is the 24-hour window open? WhatsApp free text only (S4-9, C1, C2).
use super::{Gate, Subject, Verdict, hold_unless};
use crate::domain::ids::Channel;

pub const GATE: Gate = Gate { id: "window", check };

fn check(subject: &Subject) -> Verdict {
    match subject.channel {
        Channel::WhatsApp if subject.free_text => {
            hold_unless(subject.contact.on(subject.channel).window(subject.line).is_open(subject.now))
        }
        Channel::WhatsApp | Channel::Sms => Verdict::Pass,
    }
}
