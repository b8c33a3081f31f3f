//! What Twilio's error codes mean for a message, and what an advisor can do about each.
use crate::domain::time::Span;
use std::collections::BTreeMap;
use std::path::Path;

pub use crate::adapters::whatsapp::errors::AdviceError;

/// What a refusal means for the message that it answers. In every class the message was certainly not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Too fast for the line or the account: later, all of them.
    Throttled { wait: Span },
    /// Credentials or account must be mended before anything leaves on this line: it stops, its messages wait.
    Line,
    /// This message will never be accepted as it is, or this client cannot be reached: other messages go on.
    Message,
}

/// One second's worth of too many requests at once is gone after this.
const SHORT: Span = Span::seconds(5);
/// A full queue holds ten hours of messages; after a minute some of them have left.
const MINUTE: Span = Span::seconds(60);
/// Codes of Twilio's dictionary; other channels have smaller ones, and larger ones.
const TWILIOS: std::ops::RangeInclusive<i64> = 10_000..=69_999;
/// The file with what to do about each.
const FILE: &str = "sms.toml";

pub fn class(code: i64) -> Class {
    match code {
        20429 | 14107 => Class::Throttled { wait: SHORT },
        21611 | 30001 => Class::Throttled { wait: MINUTE },
        // Credentials, the account, or an address that is no account at all.
        20003 | 20005 | 20006 | 20008 | 20404 | 30002 => Class::Line,
        _ => Class::Message,
    }
}

/// What an advisor should do, by code, from `templates/errors/sms.toml`. `other` is for a code that is not there.
pub fn advice(templates_dir: &Path) -> Result<BTreeMap<String, String>, AdviceError> {
    let path = templates_dir.join("errors").join(FILE);
    let failed = |why: String| AdviceError { file: path.display().to_string(), why };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.to_string()))
}

/// Whether a code is one of Twilio's: a number of its dictionary, or one of the words for an end without a number.
pub fn is_twilios(code: &str) -> bool {
    match code.parse::<i64>() {
        Ok(code) => TWILIOS.contains(&code),
        Err(_) => matches!(code, "undelivered" | "failed" | "canceled") || code.starts_with("http-"),
    }
}

/// The sentence for a code, or the general one.
pub fn advice_for<'a>(advice: &'a BTreeMap<String, String>, code: &str) -> Option<&'a str> {
    [code, "other"].into_iter().find_map(|key| advice.get(key)).map(String::as_str)
}
