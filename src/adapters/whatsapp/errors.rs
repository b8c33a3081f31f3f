//! What Meta's error codes mean for a message, and what an advisor can do about each.
use super::wire::Complaint;
use crate::domain::time::Span;
use std::collections::BTreeMap;
use std::path::Path;

/// What a complaint means for the message that it answers. In every class the message was certainly not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Too fast for the line or the account: later, all of them.
    Throttled { wait: Span },
    /// Too fast for this one contact: later, the others go on.
    PairThrottled,
    /// Meta's own trouble: later.
    Trouble { wait: Span },
    /// Too many people blocked or reported the line: it rests a long while, since asking more often makes it worse.
    Restricted { wait: Span },
    /// Token, permission, account or number must be mended before anything leaves on this line: it stops, its messages wait.
    Line,
    /// The firm must mend this template or this use of the account first; other messages go on.
    Account,
    /// This client cannot be reached, or must not be.
    Recipient,
    /// The window is closed, or the group still empty.
    Window,
    /// This message will never be accepted as it is.
    Message,
}

/// One second's worth of a full queue is gone after this.
const SHORT: Span = Span::seconds(5);
/// Limits per hour and maintenance ("up to a minute").
const MINUTE: Span = Span::seconds(60);
/// A number restricted for spam is tried again with one message after this.
const HOUR: Span = Span::hours(1);

/// The class of each code; `contracts/whatsapp/error-codes.json` holds the sources.
pub fn class(code: i64) -> Option<Class> {
    use Class::*;
    Some(match code {
        130429 | 131208 | 132069 => Throttled { wait: SHORT },
        4 | 80007 | 131057 => Throttled { wait: MINUTE },
        131048 => Restricted { wait: HOUR },
        131056 => PairThrottled,
        1 | 2 | 131000 | 131016 | 131059 | 133004 => Trouble { wait: SHORT },
        0 | 3 | 10 | 33 | 190 | 200..=299 | 368 => Line,
        131005 | 131031 | 131037 | 131042 | 131045 | 133010 => Line,
        131030 | 131063 | 131064 | 131207 | 131211 | 131214 | 131215 => Account,
        132001 | 132007 | 132015 | 132016 | 132068 | 133016 => Account,
        130403 | 130497 | 131026 | 131050 | 131203 => Recipient,
        131020 | 131047 => Window,
        100 | 130472 | 130501 | 131008 | 131009 | 131021 | 131041 | 131049 | 131051..=131053 | 131055 | 131062 => Message,
        131201 | 131202 | 131204 | 131209 | 131210 | 131212 | 131213 => Message,
        132000 | 132005 | 132012 | 132018 | 135000 => Message,
        _ => return None,
    })
}

/// What Liaison does about a code, a sentence for people who look it up; what the domain makes of single codes is in it.
pub fn does(code: i64) -> Option<String> {
    const FAILS: &str = "The message fails and its author is told; nothing is repeated.";
    let of_template = "The template is sent no more until the account has approved it; the admins are told.";
    let more = match code {
        131026 => Some("Where nothing was ever delivered, the client counts as not on WhatsApp and SMS is offered.".to_owned()),
        131050 => {
            Some("The client's choice is kept: marketing templates are not sent to him any more, everything else is.".to_owned())
        }
        132001 | 132007 | 132015 | 132016 => Some(of_template.to_owned()),
        _ => None,
    };
    let does = match class(code)? {
        Class::Throttled { wait } => {
            format!("The line waits {}, or as long as `Retry-After` says; then everything goes in its order.", words(wait))
        }
        Class::PairThrottled => {
            "This client waits 1, 4, 16, 64 … seconds (4ⁿ), then everything goes in its order; others go on.".to_owned()
        }
        Class::Trouble { wait } => format!("The message is tried again after {}, slower each time, for 24 hours.", words(wait)),
        Class::Restricted { wait } => {
            format!("The line rests, messages wait, and one tries it once in {}. {TOLD}", words(wait))
        }
        Class::Line => format!("The line stops, messages wait, and one tries it once in a minute. {TOLD}"),
        Class::Window if code == 131047 => {
            "An advisor's message waits until the client writes; a template can restart the conversation.".to_owned()
        }
        Class::Account | Class::Recipient | Class::Window | Class::Message => FAILS.to_owned(),
    };
    Some([Some(does), more].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

const TOLD: &str = "The admins are told, `/readyz` says `line:<number>`.";

fn words(span: Span) -> String {
    match span.0 / 1_000 {
        3_600 => "an hour".to_owned(),
        60 => "a minute".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

/// The class of a whole complaint: a code that nobody knows yet still says whether it will pass.
pub fn class_of(complaint: &Complaint) -> Class {
    let unknown = if complaint.is_transient == Some(true) { Class::Trouble { wait: SHORT } } else { Class::Message };
    complaint.code.and_then(class).unwrap_or(unknown)
}

#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct AdviceError {
    pub file: String,
    pub why: String,
}

/// What an advisor should do, by code, from `templates/errors/whatsapp.toml`. `other` is for a code that is not there.
pub fn advice(templates_dir: &Path) -> Result<BTreeMap<String, String>, AdviceError> {
    let path = templates_dir.join("errors").join("whatsapp.toml");
    let failed = |why: String| AdviceError { file: path.display().to_string(), why };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.to_string()))
}

/// The sentence for a code: its own, that of its hundred (200 stands for 200 to 299), or the general one.
pub fn advice_for<'a>(advice: &'a BTreeMap<String, String>, code: &str) -> Option<&'a str> {
    let permission = code.parse::<i64>().is_ok_and(|code| (200..300).contains(&code)).then_some("200");
    let keys = [Some(code), permission, Some("other")];
    keys.into_iter().flatten().find_map(|key| advice.get(key)).map(String::as_str)
}
