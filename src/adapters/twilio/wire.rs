//! What stands on the wire: the forms of webhooks and the JSON of the REST API, as far as we read them.
use crate::domain::ids::Phone;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a called number sees where the caller withholds his: words, and the letters of such words as digits.
const WITHHELD: [&str; 11] = [
    "anonymous",
    "restricted",
    "unknown",
    "unavailable",
    "private",
    "blocked",
    "+266696687",
    "+7378742833",
    "+2562533",
    "+8656696",
    "+86282452253",
];
/// SIDs are 34 characters; those of Twilio-shaped APIs may be UUIDs.
const LONGEST_SID: usize = 64;
/// A call comes with some forty parameters.
const NAMES_SHOWN: usize = 64;
/// Parts of one MMS (Twilio).
pub const MEDIA_MAX: usize = 10;

/// The parameters of a webhook, decoded, in the order in which they came.
pub struct Form(Vec<(String, String)>);

impl Form {
    pub fn parse(text: &[u8]) -> Form {
        Form(url::form_urlencoded::parse(text).into_owned().collect())
    }
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
    /// What stands under a name; many parameters come empty, which is as good as not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.trim().parse().ok()
    }
    /// The first of the names that holds something of the form of a SID.
    pub fn sid(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name)).filter(|sid| is_sid(sid))
    }
    /// For a log: values belong to people, names do not. Anybody may have sent them, so only what looks like one is shown.
    pub fn names(&self) -> String {
        let names = self.0.iter().map(|(name, _)| name.as_str()).filter(|name| is_sid(name));
        names.take(NAMES_SHOWN).collect::<Vec<_>>().join(" ")
    }
}

/// It becomes part of a path and must not lead anywhere else.
pub fn is_sid(text: &str) -> bool {
    (1..=LONGEST_SID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// The number of somebody who calls; `None` where he withholds it.
pub fn is_withheld(from: &str) -> bool {
    from.trim().is_empty() || WITHHELD.iter().any(|withheld| withheld.eq_ignore_ascii_case(from.trim()))
}

pub fn phone(text: &str) -> Option<Phone> {
    Phone::from_e164(text.trim())
}

/// A message as the REST API tells of it; nearly everything comes as text, and anything may be null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listed {
    pub sid: Option<String>,
    pub direction: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub body: Option<String>,
    pub status: Option<String>,
    pub num_media: Value,
    pub error_code: Value,
    pub error_message: Option<String>,
    pub date_created: Option<String>,
    pub date_sent: Option<String>,
}

impl Listed {
    pub fn is_inbound(&self) -> bool {
        self.direction.as_deref() == Some("inbound")
    }
    pub fn media(&self) -> usize {
        shown(&self.num_media).and_then(|count| count.parse().ok()).unwrap_or(0).min(MEDIA_MAX)
    }
    /// When it was made, in whole seconds.
    pub fn created(&self) -> Option<Timestamp> {
        self.date_created.as_deref().and_then(at)
    }
    pub fn error_code(&self) -> Option<String> {
        shown(&self.error_code)
    }
}

/// A number or a text, as text.
pub fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// "Thu, 24 Aug 2023 05:01:45 +0000", and ISO 8601 as newer services write it.
pub fn at(text: &str) -> Option<Timestamp> {
    let at = jiff::fmt::rfc2822::parse(text).map(|at| at.timestamp()).or_else(|_| text.parse::<jiff::Timestamp>());
    at.ok().map(|at| Timestamp(at.as_millisecond()))
}

/// An error as the REST API words it, in its own form or that of RFC 9457.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    pub code: i64,
    pub detail: String,
}

impl Complaint {
    pub fn read(bytes: &[u8]) -> Option<Complaint> {
        #[derive(Deserialize)]
        struct Refused {
            code: Value,
            #[serde(default)]
            message: Option<String>,
            #[serde(default)]
            detail: Option<String>,
            #[serde(default)]
            title: Option<String>,
        }
        let refused: Refused = serde_json::from_slice(bytes).ok()?;
        let code = shown(&refused.code)?.parse().ok()?;
        let detail = refused.message.or(refused.detail).or(refused.title).unwrap_or_default();
        Some(Complaint { code, detail })
    }
}
