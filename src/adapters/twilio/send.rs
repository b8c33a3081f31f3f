//! Sends one message and says what is certain about its end; finds out whether one went of which nobody knows.
use super::client::{Answer, Exchange, NO_CONNECTION, TOO_MANY, Twilio, failed, unknown};
use super::errors::{Class, class};
use super::wire::{Complaint, Listed, is_sid};
use crate::adapters::whatsapp::health::LOOK_AGAIN;
use crate::domain::effect::{Attempt, Body, LookUp, Outcome, Prepared, Send};
use crate::domain::time::{Span, Timestamp};
use reqwest::StatusCode;
use serde::Deserialize;

/// What the code of a refusal is where Twilio names none.
const NO_CREDENTIALS: i64 = 20003;
/// Sooner after the taking nothing can be said of a message that the list does not show.
const LISTED_AFTER: Span = Span::seconds(30);
/// Their clock and ours may differ by this: what was made a little before the taking may be this message or the one before.
const CLOCKS_APART: Span = Span::seconds(60);

impl Twilio {
    /// Posts the message once. `Done` carries its SID.
    pub async fn send(&self, send: &Send, prepared: &Prepared) -> Attempt {
        let Some(form) = self.form(send, prepared) else {
            return failed("unsendable", "There is no number or no text for an SMS.");
        };
        let exchange = self.exchange(self.post("Messages.json").form(&form)).await;
        self.health().ended(&send.line, exchange.is_an_answer(), self.now());
        match exchange {
            Exchange::NotSent(why) => self.not_yet(why, NO_CONNECTION),
            Exchange::Lost(why) => unknown(why),
            Exchange::Answered(answer) => self.read(send, &answer),
        }
    }

    fn form(&self, send: &Send, prepared: &Prepared) -> Option<Vec<(&'static str, String)>> {
        let to = send.to.phone.as_ref()?;
        let mut form = vec![("To", to.e164().to_owned()), ("From", send.line.as_str().to_owned())];
        match prepared {
            Prepared::Text { text } => form.push(("Body", text.clone())),
            Prepared::Media { caption } => {
                let Body::Media { file, .. } = &send.body else { return None };
                form.extend(caption.clone().map(|caption| ("Body", caption)));
                form.push(("MediaUrl", self.links.address(&file.id, self.now())?));
            }
            Prepared::Plain | Prepared::Chat { .. } | Prepared::Template { .. } | Prepared::Buttons { .. } => return None,
        }
        form.push(("StatusCallback", format!("{}{}", self.callback, send.message)));
        Some(form)
    }

    fn read(&self, send: &Send, answer: &Answer) -> Attempt {
        let status = answer.status;
        if status.is_success() {
            let Some(sid) = sid(&answer.bytes) else { return unknown("an answer without the SID of the message".to_owned()) };
            self.health().accepted(&send.line);
            return Attempt::Ended(Outcome::Done { external_id: Some(sid) });
        }
        // The request may have been carried out before the server failed; a redirect or a time-out tells nothing either.
        if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT {
            return unknown(format!("an answer {}", status.as_u16()));
        }
        match (answer.complaint(), status) {
            // Never processed, whatever the body says.
            (complaint, StatusCode::TOO_MANY_REQUESTS) => self.throttled(send, &complaint.unwrap_or_default(), answer, TOO_MANY),
            (Some(complaint), _) => self.complained(send, &complaint, answer),
            (None, StatusCode::UNAUTHORIZED) => {
                let detail = "The credentials are not accepted.".to_owned();
                self.complained(send, &Complaint { code: NO_CREDENTIALS, detail }, answer)
            }
            (None, status) => unknown(format!("an answer {} that does not come from Twilio", status.as_u16())),
        }
    }

    fn complained(&self, send: &Send, complaint: &Complaint, answer: &Answer) -> Attempt {
        let code = complaint.code.to_string();
        match class(complaint.code) {
            Class::Throttled { wait } => self.throttled(send, complaint, answer, wait),
            Class::Line => {
                let not_before = self.health().troubled(&send.line, (&code, &complaint.detail), LOOK_AGAIN, self.now());
                Attempt::NotYet { why: format!("Twilio {code}: {}", complaint.detail), not_before }
            }
            Class::Message => failed(&code, &complaint.detail),
        }
    }

    fn throttled(&self, send: &Send, complaint: &Complaint, answer: &Answer, wait: Span) -> Attempt {
        let not_before = self.now() + answer.retry_after(self.now()).unwrap_or(wait);
        self.rest(&send.line, not_before);
        Attempt::NotYet { why: format!("Twilio {} {}", complaint.code, complaint.detail).trim().to_owned(), not_before }
    }

    /// Did this message, taken first at `taken`, go? Only a list that was read to its end can say that it did not.
    pub async fn look_up(&self, send: &Send, prepared: &Prepared, taken: Timestamp) -> LookUp {
        let (Some(to), Some(text)) = (&send.to.phone, text_of(prepared)) else { return LookUp::Unclear };
        // Without a date: one that is still in the queue has none, and must be found all the same.
        let query = [("To", to.e164()), ("From", send.line.as_str())];
        let Ok(listed) = self.messages(&query, taken - CLOCKS_APART).await else { return LookUp::Unclear };
        let same = listed.messages.iter().filter(|message| !message.is_inbound() && is_text(message, text));
        let same: Vec<(&Listed, Option<Timestamp>)> = same.map(|message| (message, message.created())).collect();
        // They tell whole seconds.
        let second = Timestamp(taken.0.div_euclid(1_000) * 1_000);
        if let Some((found, _)) = same.iter().rfind(|(_, created)| created.is_some_and(|created| created >= second)) {
            return LookUp::Found { external_id: found.sid.clone().filter(|sid| is_sid(sid)) };
        }
        let may_be_it = same.iter().any(|(_, created)| created.is_none_or(|created| created >= taken - CLOCKS_APART));
        let told = listed.whole && !may_be_it && self.now() - taken >= LISTED_AFTER;
        if told { LookUp::Absent } else { LookUp::Unclear }
    }
}

fn text_of(prepared: &Prepared) -> Option<&str> {
    match prepared {
        Prepared::Text { text } => Some(text),
        Prepared::Media { caption } => Some(caption.as_deref().unwrap_or_default()),
        Prepared::Plain | Prepared::Chat { .. } | Prepared::Template { .. } | Prepared::Buttons { .. } => None,
    }
}

/// Twilio may trim what it shows again.
fn is_text(message: &Listed, text: &str) -> bool {
    message.body.as_deref().unwrap_or_default().trim() == text.trim()
}

fn sid(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Accepted {
        sid: String,
    }
    let accepted: Accepted = serde_json::from_slice(bytes).ok()?;
    Some(accepted.sid).filter(|sid| is_sid(sid))
}
