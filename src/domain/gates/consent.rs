//! Has the contact agreed to messages on this channel (S3-1, C3)?
use super::{Gate, Subject, Verdict};
use crate::domain::consent::Consent;
use crate::domain::sms;
use crate::fault;

pub const GATE: Gate = Gate { id: "consent", check };

fn check(subject: &Subject) -> Verdict {
    match subject.contact.consent(subject.channel) {
        Consent::OptedIn { .. } => Verdict::Pass,
        // SMS to a country that asks for no yes beforehand (S2-8).
        Consent::None if !sms::must_agree_first(subject.policy, subject.contact, subject.channel) => Verdict::Pass,
        Consent::None | Consent::Pending { .. } | Consent::Review { .. } => Verdict::Hold,
        Consent::OptedOut { .. } if fault::planted("template-after-stop") && !subject.free_text => Verdict::Pass,
        // An unreachable contact is refused by `address` before this is asked.
        Consent::OptedOut { .. } | Consent::Unreachable { .. } => Verdict::Refuse,
    }
}
