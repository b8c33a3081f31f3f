//! Our template files against the account: where they differ, and the look at it that every running bot takes now and then.
mod verbs;

pub use verbs::{Act, Line, act};

use crate::adapters::whatsapp::WhatsApp;
use crate::adapters::whatsapp::errors::{Class, class};
use crate::adapters::whatsapp::templates::{Listed, NoAnswer};
use crate::adapters::wording::{WhatsAppTemplate, Wording};
use crate::domain::approval::{MISSING, UNKNOWN};
use crate::domain::event::{Event, Fact, TemplateSeen};
use crate::domain::ids::EventId;
use crate::ports::{Clock, Inbox, Receipt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// While all is well webhooks tell what changes; this finds what they did not (200 such calls an hour are free).
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// While some template cannot be sent people wait for it.
const LOOK_SOON: Duration = Duration::from_secs(60);
/// Between tries of a look that nobody answers, doubled each time.
const FIRST_TRY_AGAIN: Duration = Duration::from_millis(500);
/// An event that cannot be kept now is brought again after this.
const BRING_AGAIN: Duration = Duration::from_secs(1);
/// How much of a text is quoted where it differs, in characters.
const QUOTED: usize = 40;

/// What the account has for a file of ours.
#[derive(Debug, PartialEq)]
pub enum InAccount<'l> {
    /// With the languages in which it has one of this name.
    Missing(Vec<&'l str>),
    There {
        theirs: &'l Listed,
        /// Where words or parameters are not those of the file.
        words: Vec<String>,
        /// Where it is filed otherwise.
        category: Option<String>,
    },
}

/// Looks our template up in the account; `ours` as it is submitted.
pub fn in_account<'l>(ours: &Value, account: &'l [Listed]) -> InAccount<'l> {
    let text = |field: &str| ours[field].as_str().unwrap_or_default();
    let of_name = || account.iter().filter(|theirs| theirs.name == text("name"));
    let Some(theirs) = of_name().find(|theirs| theirs.language == text("language")) else {
        return InAccount::Missing(of_name().map(|theirs| theirs.language.as_str()).collect());
    };
    let filed_as = text("category");
    let category = (!theirs.category.eq_ignore_ascii_case(filed_as))
        .then(|| format!("its category is {}, in the file {filed_as}", theirs.category));
    InAccount::There { theirs, words: words_apart(ours, theirs), category }
}

fn words_apart(ours: &Value, theirs: &Listed) -> Vec<String> {
    let mut apart = Vec::new();
    let format = ours["parameter_format"].as_str().unwrap_or_default();
    let their_format = theirs.parameter_format.as_deref().unwrap_or(format);
    let has_parameters = theirs.components.to_string().contains("{{") || ours["components"].to_string().contains("{{");
    if has_parameters && !their_format.eq_ignore_ascii_case(format) {
        apart.push(format!("its parameters are {}, in the file {format}", their_format.to_lowercase()));
    }
    let (ours, theirs) = (parts(&ours["components"]), parts(&theirs.components));
    let kinds: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differing = kinds.into_iter().filter(|kind| ours.get(*kind) != theirs.get(*kind));
    apart.extend(differing.map(|kind| difference(kind, &ours, &theirs)));
    apart
}

/// Whether the account has the template as its file has it: `Err` says where not, and what to do.
pub fn compared(ours: &Value, account: &[Listed]) -> Result<(), (String, String)> {
    match in_account(ours, account) {
        InAccount::Missing(languages) => {
            let what = match languages.is_empty() {
                true => "It is missing in the account.".to_owned(),
                false => format!("It is missing in this language; the account has {}.", languages.join(", ")),
            };
            Err((what, "Submit it with “liaison templates submit”, and wait for the approval.".to_owned()))
        }
        InAccount::There { theirs, .. } if !theirs.status.eq_ignore_ascii_case("APPROVED") => {
            let why = theirs.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
            Err((format!("Its status is {}{why}.", theirs.status), remedy_of_status(&theirs.status).to_owned()))
        }
        InAccount::There { words, category, .. } => {
            let apart: Vec<String> = category.into_iter().chain(words).collect();
            if apart.is_empty() {
                return Ok(());
            }
            let what = format!("It differs from its file: {}.", apart.join("; "));
            Err((what, "Put the same into the file, or edit the template in WhatsApp Manager.".to_owned()))
        }
    }
}

fn remedy_of_status(status: &str) -> &'static str {
    match status.to_uppercase().as_str() {
        "PENDING" | "IN_APPEAL" => "Wait for WhatsApp's review; it takes up to a day.",
        "REJECTED" => "Read in WhatsApp Manager why, and submit it under another name with other words.",
        "PAUSED" => "Clients marked it as unwanted: wait until the pause ends, and send it to fewer people.",
        "DISABLED" => "It was paused too often: submit another one under a new name.",
        "ARCHIVED" => "It was not used for a year: take it out of the archive in WhatsApp Manager.",
        _ => "Wait for the approval, or read in WhatsApp Manager why it was not given.",
    }
}

type Parts = BTreeMap<String, String>;

fn difference(kind: &str, ours: &Parts, theirs: &Parts) -> String {
    let name = kind.to_lowercase();
    match (ours.get(kind), theirs.get(kind)) {
        (Some(_), None) => format!("it has no {name}"),
        (None, Some(_)) => format!("it has a {name} that the file has not"),
        (Some(ours), Some(theirs)) => {
            let same = ours.chars().zip(theirs.chars()).take_while(|(ours, theirs)| ours == theirs).count();
            let from = |text: &str| text.chars().skip(same).take(QUOTED).collect::<String>().replace(['\t', '\n'], " ");
            format!("its {name} reads otherwise, “{}” in the account and “{}” in the file", from(theirs), from(ours))
        }
        (None, None) => format!("its {name} reads otherwise"),
    }
}

/// What of each component is compared: kind, format, words with their placeholders, and buttons. Examples are not: they
/// come back rewritten, or not at all.
fn parts(components: &Value) -> Parts {
    let components = components.as_array().map(Vec::as_slice).unwrap_or_default();
    let upper = |value: &Value| value.as_str().unwrap_or_default().to_uppercase();
    let part = |component: &Value| {
        let words = |value: &Value| value.as_str().unwrap_or_default().trim().replace("\r\n", "\n");
        let buttons = component["buttons"].as_array().map(Vec::as_slice).unwrap_or_default();
        let buttons = buttons.iter().map(|button| {
            [upper(&button["type"]), words(&button["text"]), words(&button["url"]), words(&button["phone_number"])].join("\t")
        });
        let format = Some(upper(&component["format"])).filter(|format| format != "TEXT").unwrap_or_default();
        let lines = [format, words(&component["text"])].into_iter().chain(buttons);
        (upper(&component["type"]), lines.collect::<Vec<_>>().join("\n"))
    };
    components.iter().map(part).collect()
}

// ---- the look that a running bot takes

/// Looks at the account at once and then now and then, until `stop`; what it sees goes to the desk. No template is sent before
/// the first look, so a file that differs from the account is found before its first send.
pub async fn watch(
    client: Arc<WhatsApp>,
    wording: Arc<Wording>,
    inbox: Arc<dyn Inbox>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut again = FIRST_TRY_AGAIN;
    loop {
        let pause = match client.message_templates().await {
            Ok(account) => {
                let seen: Vec<TemplateSeen> = wording.templates().map(|template| seen(template, &account)).collect();
                let all_well = seen.iter().all(|seen| seen.status == "APPROVED" && seen.differs.is_none());
                if stop.run_until_cancelled(bring(&*inbox, &*clock, seen)).await.is_none() {
                    return;
                }
                client.now_templates_are_known();
                again = FIRST_TRY_AGAIN;
                if all_well { LOOK_EVERY } else { LOOK_SOON }
            }
            Err(error) => {
                tracing::warn!(%error, "the account's templates cannot be looked at");
                if !client.templates_are_known() && is_lasting(&error) {
                    // Messages wait with this reason, and admins read of it, instead of nothing happening at all.
                    let seen = wording.templates().map(|ours| untold(ours, UNKNOWN, Some(error.to_string()))).collect();
                    if stop.run_until_cancelled(bring(&*inbox, &*clock, seen)).await.is_none() {
                        return;
                    }
                    client.now_templates_are_known();
                }
                again = (2 * again).min(LOOK_SOON);
                again
            }
        };
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(pause) => {} }
    }
}

/// Asking again changes nothing before somebody mends the token or its rights.
fn is_lasting(error: &NoAnswer) -> bool {
    let NoAnswer::Refused { code, .. } = error else { return false };
    matches!(class(*code), Some(Class::Line | Class::Account | Class::Message))
}

/// A template of which the account has told nothing.
fn untold(ours: &WhatsAppTemplate, status: &str, reason: Option<String>) -> TemplateSeen {
    TemplateSeen {
        name: ours.name.clone(),
        language: ours.meta_language.clone(),
        status: status.to_owned(),
        reason,
        category: String::new(),
        quality: None,
        differs: None,
    }
}

fn seen(ours: &WhatsAppTemplate, account: &[Listed]) -> TemplateSeen {
    let unseen = untold(ours, MISSING, None);
    match in_account(&ours.as_submitted(), account) {
        InAccount::Missing(_) => unseen,
        // What it is filed under changes its price and whom it reaches, not what the client reads.
        InAccount::There { theirs, words, .. } => TemplateSeen {
            status: theirs.status.to_uppercase(),
            reason: theirs.reason().map(str::to_owned),
            category: theirs.category.to_uppercase(),
            quality: theirs.quality().map(str::to_owned),
            differs: (!words.is_empty()).then(|| words.join("; ")),
            ..unseen
        },
    }
}

async fn bring(inbox: &dyn Inbox, clock: &dyn Clock, seen: Vec<TemplateSeen>) {
    let at = clock.now();
    let id = EventId(format!("templates:{}", at.0));
    let event = Event { id, at, fact: Fact::TemplatesListed(seen), raw: None };
    while inbox.deliver(event.clone()).await != Receipt::Kept {
        tokio::time::sleep(BRING_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ours() -> Value {
        json!({ "name": "hello", "language": "en_US", "category": "UTILITY", "parameter_format": "named", "components": [
            { "type": "BODY", "text": "Hello {{firm}}", "example": { "body_text_named_params": [] } },
            { "type": "BUTTONS", "buttons": [{ "type": "QUICK_REPLY", "text": "Yes" }] },
        ] })
    }

    fn theirs() -> Listed {
        let components = json!([
            { "type": "body", "text": "Hello {{firm}}" },
            { "type": "BUTTONS", "buttons": [{ "type": "QUICK_REPLY", "text": "Yes" }] },
        ]);
        Listed {
            name: "hello".into(),
            language: "en_US".into(),
            status: "APPROVED".into(),
            category: "utility".into(),
            parameter_format: Some("NAMED".into()),
            components,
            rejected_reason: None,
            quality_score: json!({ "score": "GREEN" }),
        }
    }

    fn said(change: impl FnOnce(&mut Listed)) -> String {
        let mut theirs = theirs();
        change(&mut theirs);
        compared(&ours(), &[theirs]).err().map(|(what, _)| what).unwrap_or_default()
    }

    #[test]
    fn a_template_is_told_apart_wherever_it_differs() {
        assert_eq!(said(|_| {}), "");
        assert_eq!(said(|t| t.name = "other".into()), "It is missing in the account.");
        assert_eq!(said(|t| t.language = "de".into()), "It is missing in this language; the account has de.");
        assert_eq!(said(|t| t.status = "PAUSED".into()), "Its status is PAUSED.");
        assert!(said(|t| t.category = "MARKETING".into()).contains("its category is MARKETING, in the file UTILITY"));
        assert!(said(|t| t.parameter_format = Some("POSITIONAL".into())).contains("its parameters are positional"));
        assert!(said(|t| t.components[0]["text"] = "Hello {{1}}".into()).contains("its body reads otherwise"));
        assert!(said(|t| t.components[1]["buttons"][0]["text"] = "No".into()).contains("its buttons reads otherwise"));
        assert!(said(|t| t.components = json!([t.components[0]])).contains("it has no buttons"));
    }
}
