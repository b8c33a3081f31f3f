//! Can the contact be reached on this channel (S3-10)?
use super::{Gate, Subject, Verdict, refuse_unless};

pub const GATE: Gate = Gate { id: "address", check };

fn check(subject: &Subject) -> Verdict {
    let contact = subject.contact;
    let has_address = contact.phone.is_some() || contact.user_id.is_some();
    refuse_unless(has_address && !contact.consent(subject.channel).is_unreachable())
}
