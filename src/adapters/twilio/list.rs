//! What the account itself shows: messages, their files, calls, numbers. A webhook comes once; a list can be read again.
use super::client::{Answer, Exchange, Twilio};
use super::wire::{Listed, is_sid};
use crate::domain::time::Timestamp;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Messages on a page.
const PAGE: &str = "100";
/// Pages of one look: a line at full speed, one message in a second, fills them in a quarter of an hour.
const PAGES: usize = 10;

/// Why the account did not tell.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("Twilio refuses it with {code}: {detail}")]
    Refused { code: i64, detail: String },
    #[error("Twilio could not be reached: {0}")]
    NotReached(String),
    #[error("the answer {0} is not understood")]
    NotUnderstood(u16),
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Listed>,
    #[serde(default)]
    next_page_uri: Option<String>,
}

/// Messages as they were found.
pub struct Found {
    pub messages: Vec<Listed>,
    /// The list was read back to the time that was asked for, or to its end.
    pub whole: bool,
}

/// One file of a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedMedia {
    pub sid: String,
    #[serde(default)]
    pub content_type: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Account {
    pub status: Option<String>,
    pub friendly_name: Option<String>,
}

/// A number of the account, and where Twilio tells of what comes to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Number {
    pub phone_number: Option<String>,
    pub sms_url: Option<String>,
    pub voice_url: Option<String>,
    pub sms_method: Option<String>,
    pub voice_method: Option<String>,
}

/// Who called whom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedCall {
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub to: Option<String>,
}

impl Twilio {
    /// The messages that a query names, newest first, back to `since`; whatever is older on the last page comes too.
    pub async fn messages(&self, query: &[(&str, &str)], since: Timestamp) -> Result<Found, NoAnswer> {
        let mut messages = Vec::new();
        let mut request = self.get("Messages.json").query(query).query(&[("PageSize", PAGE)]);
        for _ in 0..PAGES {
            let page: Page = self.read_json(request).await?;
            let is_old = |message: &Listed| message.created().is_some_and(|created| created < since);
            let reached = page.messages.last().is_none_or(is_old);
            messages.extend(page.messages);
            let next = page.next_page_uri.filter(|uri| !uri.is_empty() && !reached);
            let Some(next) = next else { return Ok(Found { messages, whole: true }) };
            match self.get_page(&next) {
                Some(next) => request = next,
                None => break,
            }
        }
        Ok(Found { messages, whole: false })
    }

    pub async fn media_of(&self, message: &str) -> Result<Vec<ListedMedia>, NoAnswer> {
        #[derive(Deserialize)]
        struct Page {
            media_list: Vec<ListedMedia>,
        }
        let page: Page = self.read_json(self.get(&format!("Messages/{message}/Media.json"))).await?;
        Ok(page.media_list.into_iter().filter(|media| is_sid(&media.sid)).collect())
    }

    pub async fn call(&self, sid: &str) -> Result<ListedCall, NoAnswer> {
        self.read_json(self.get(&format!("Calls/{sid}.json"))).await
    }

    pub async fn account(&self) -> Result<Account, NoAnswer> {
        self.read_json(self.get_account()).await
    }

    /// The account's own number of this name, if it has it.
    pub async fn number(&self, e164: &str) -> Result<Option<Number>, NoAnswer> {
        #[derive(Deserialize)]
        struct Page {
            incoming_phone_numbers: Vec<Number>,
        }
        let page: Page = self.read_json(self.get("IncomingPhoneNumbers.json").query(&[("PhoneNumber", e164)])).await?;
        Ok(page.incoming_phone_numbers.into_iter().find(|number| number.phone_number.as_deref() == Some(e164)))
    }

    async fn read_json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, NoAnswer> {
        match self.exchange(request).await {
            Exchange::NotSent(why) | Exchange::Lost(why) => Err(NoAnswer::NotReached(why)),
            Exchange::Answered(answer) => parsed(&answer),
        }
    }
}

fn parsed<T: DeserializeOwned>(answer: &Answer) -> Result<T, NoAnswer> {
    if let Some(complaint) = answer.complaint() {
        return Err(NoAnswer::Refused { code: complaint.code, detail: complaint.detail });
    }
    let not_understood = NoAnswer::NotUnderstood(answer.status.as_u16());
    if answer.status != StatusCode::OK {
        return Err(not_understood);
    }
    serde_json::from_slice(&answer.bytes).map_err(|_| not_understood)
}
