//! What the account says of each template of ours: only what it has approved, in the words of our file, is sent.
use super::case::{Record, wake_key};
use super::commit::{Entry, Key};
use super::contact::{Contact, Pointer};
use super::effect::{Body, Code, Reply};
use super::event::{TemplateNews, TemplateSeen, TemplateTold};
use super::gates::Verdict;
use super::ids::*;
use super::message::{Message, MessageState};
use super::policy::{INVITATION, MESSAGE_WAITING};
use super::scene::{PROGRAM, Scene};
use super::sending::{self, contact_name, tell_room};
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// As messages carry it in `reason`, beside the ids of the gates: the account has not approved the template.
pub const TEMPLATE: &str = "template";
/// The client wants no marketing, and this is a marketing template.
pub const MARKETING: &str = "marketing";
const APPROVED: &str = "APPROVED";
/// The account has none of this name and language.
pub const MISSING: &str = "MISSING";
/// The account does not tell.
pub const UNKNOWN: &str = "UNKNOWN";
/// How far the provider's clock may be behind ours.
const CLOCKS_APART: Span = Span::seconds(60);
/// Messages that one commit lets go when their template is approved; the next commit takes the next ones.
const RELEASED_AT_ONCE: usize = 200;

/// One of our templates in one language, as the account has it. A file that was never looked at has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub name: String,
    /// As the account names it ("en_US").
    pub language: String,
    /// In the provider's words, or `MISSING`, or `UNKNOWN`.
    pub status: String,
    pub reason: Option<String>,
    pub category: Option<String>,
    pub quality: Option<String>,
    pub words: Words,
    status_at: Timestamp,
    category_at: Timestamp,
    quality_at: Timestamp,
}

/// Whether the account's text is that of our file, which is what evidence quotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Words {
    NotCompared,
    AsInFile,
    Differ(String),
}

impl Standing {
    pub fn key_of(name: &str, language: &str) -> Key {
        Key::new("template", format_args!("{name}/{language}"))
    }

    fn unseen(name: &str, language: &str) -> Standing {
        Standing {
            name: name.to_owned(),
            language: language.to_owned(),
            status: UNKNOWN.to_owned(),
            reason: None,
            category: None,
            quality: None,
            words: Words::NotCompared,
            status_at: Timestamp(0),
            category_at: Timestamp(0),
            quality_at: Timestamp(0),
        }
    }

    pub fn may_be_sent(&self) -> bool {
        self.status == APPROVED && self.words == Words::AsInFile
    }

    pub fn differs(&self) -> Option<&str> {
        match &self.words {
            Words::Differ(place) => Some(place),
            Words::NotCompared | Words::AsInFile => None,
        }
    }

    /// For lines that say why it is not sent.
    pub fn row(&self) -> Value {
        json!({
            "name": self.name, "language": self.language, "status": self.status, "reason": self.reason,
            "category": self.category, "quality": self.quality, "differs": self.differs(), "sendable": self.may_be_sent(),
        })
    }

    fn tells_the_same_as(&self, other: &Standing) -> bool {
        self.row() == other.row() && self.words == other.words
    }

    fn hear(&mut self, news: &TemplateNews, at: Timestamp) {
        match news {
            TemplateNews::Status { status, reason } if at >= self.status_at => {
                self.status_at = at;
                self.reason = reason.clone();
                match status.as_str() {
                    "REINSTATED" | "UNARCHIVED" | "UNPAUSED" => self.status = APPROVED.to_owned(),
                    // A warning that it may be disabled; until then it is sent.
                    "FLAGGED" => self.reason = reason.clone().or(Some("flagged by WhatsApp".to_owned())),
                    status => self.status = status.to_owned(),
                }
            }
            TemplateNews::Quality { score } if at >= self.quality_at => {
                (self.quality, self.quality_at) = (Some(score.clone()), at);
            }
            TemplateNews::Category { category } if at >= self.category_at => {
                (self.category, self.category_at) = (Some(category.clone()), at);
            }
            TemplateNews::Rewritten => self.words = Words::NotCompared,
            // What comes late says how it was, not how it is.
            TemplateNews::Status { .. } | TemplateNews::Quality { .. } | TemplateNews::Category { .. } => {}
        }
    }

    fn seen(seen: &TemplateSeen, now: Timestamp) -> Standing {
        let words = match &seen.differs {
            Some(place) => Words::Differ(place.clone()),
            // What is not there has no words; whatever comes there is to be looked at.
            None if seen.status == MISSING || seen.status == UNKNOWN => Words::NotCompared,
            None => Words::AsInFile,
        };
        // By the provider's clock, which counts in seconds, what is told next may have happened before we looked.
        let as_of = now - CLOCKS_APART;
        Standing {
            name: seen.name.clone(),
            language: seen.language.clone(),
            status: seen.status.clone(),
            reason: seen.reason.clone(),
            category: Some(seen.category.clone()).filter(|category| !category.is_empty()),
            quality: seen.quality.clone(),
            words,
            status_at: as_of,
            category_at: as_of,
            quality_at: as_of,
        }
    }
}

impl Record for Standing {
    fn key(&self) -> Key {
        Standing::key_of(&self.name, &self.language)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

// ---- what is known

/// How the template stands that one who reads this language is sent.
pub fn standing(scene: &Scene, name: &str, language: &str) -> Option<Standing> {
    let filed = scene.policy.filed(name, language)?;
    scene.case.get(&Standing::key_of(name, &filed.meta_language))
}

/// The same, where it is a reason not to send it.
pub fn not_approved(scene: &Scene, name: &str, language: &str) -> Option<Standing> {
    standing(scene, name, language).filter(|standing| !standing.may_be_sent())
}

/// The invitation to this contact waits for its template, or would.
pub fn invitation_waits(scene: &Scene, contact: &ContactId) -> bool {
    let Some(contact) = scene.contact(contact) else { return false };
    not_approved(scene, INVITATION, scene.policy.language(&contact.language)).is_some()
}

/// By the account's word, which may change, else by the file's.
pub fn is_marketing(scene: &Scene, name: &str, language: &str) -> bool {
    let known = standing(scene, name, language).and_then(|standing| standing.category);
    let category = known.or_else(|| scene.policy.filed(name, language).map(|filed| filed.category.clone()));
    category.is_some_and(|category| category.eq_ignore_ascii_case("MARKETING"))
}

/// What keeps this template from leaving to these, behind all gates; free text and texts of the program need no approval.
pub fn objection(scene: &Scene, readers: &[Contact], message: &Message) -> Option<(&'static str, Verdict)> {
    let Body::Template { name, language, .. } = &message.body else { return None };
    let wants_none = readers.iter().any(|contact| contact.on(message.channel).wants_no_marketing());
    if wants_none && is_marketing(scene, name, language) {
        return Some((MARKETING, Verdict::Refuse));
    }
    not_approved(scene, name, language).map(|_| (TEMPLATE, Verdict::Hold))
}

// ---- what is told

pub fn told(scene: &mut Scene, told: &TemplateTold) {
    let detail = json!({ "template": told.name, "language": told.language, "news": format!("{:?}", told.news) });
    scene.note(Entry::new("template.told", "whatsapp").told_at(scene.event.at).detail(detail));
    let ours = scene.policy.filed.get(&told.name);
    if !ours.is_some_and(|languages| languages.values().any(|filed| filed.meta_language == told.language)) {
        return;
    }
    let before: Option<Standing> = scene.case.get(&Standing::key_of(&told.name, &told.language));
    let mut after = before.clone().unwrap_or_else(|| Standing::unseen(&told.name, &told.language));
    after.hear(&told.news, scene.event.at.min(scene.now));
    let news = changed(scene, before.as_ref(), &after);
    tell_admins(scene, news.into_iter().collect());
}

pub fn listed(scene: &mut Scene, seen: &[TemplateSeen]) {
    let mut news = Vec::new();
    for seen in seen {
        let before: Option<Standing> = scene.case.get(&Standing::key_of(&seen.name, &seen.language));
        let after = Standing::seen(seen, scene.now);
        if before.as_ref().is_some_and(|before| before.tells_the_same_as(&after)) {
            continue;
        }
        let detail = json!({ "before": before.as_ref().map(Standing::row), "now": after.row() });
        scene.note(Entry::new("template.seen", PROGRAM).detail(detail));
        news.extend(changed(scene, before.as_ref(), &after));
    }
    tell_admins(scene, news);
}

/// A send was refused for the template's own sake: what the account thinks of it is known before the next look.
pub fn refused(scene: &mut Scene, message: &Message, code: &str, detail: &str) {
    let Body::Template { name, language, .. } = &message.body else { return };
    let status = match code {
        "132001" => MISSING,
        "132007" => "REJECTED",
        "132015" => "PAUSED",
        "132016" => "DISABLED",
        _ => return,
    };
    let Some(before) = standing(scene, name, language) else { return };
    let mut after = before.clone();
    let news = TemplateNews::Status { status: status.to_owned(), reason: Some(detail.to_owned()) };
    // The provider tells news in whole seconds: an approval in this very second comes after the refusal.
    let at = scene.event.at.min(scene.now);
    after.hear(&news, Timestamp(at.0 - at.0.rem_euclid(1_000)));
    if status == MISSING {
        // Whatever comes in its place is to be looked at.
        after.words = Words::NotCompared;
    }
    let news = changed(scene, Some(&before), &after);
    tell_admins(scene, news.into_iter().collect());
}

/// Keeps what is known now; tells what admins should read of it. What waited for the approval goes.
fn changed(scene: &mut Scene, before: Option<&Standing>, after: &Standing) -> Option<Value> {
    if before == Some(after) {
        return None;
    }
    scene.put(after);
    let (was_fine, is_fine) = (before.is_none_or(Standing::may_be_sent), after.may_be_sent());
    if is_fine {
        release_waiting(scene, &after.name, &after.language);
    }
    let same = |part: fn(&Standing) -> Option<String>| before.and_then(part) == part(after);
    let filed = scene.policy.filed.get(&after.name);
    let filed = filed.and_then(|languages| languages.values().find(|filed| filed.meta_language == after.language));
    let filed_category = filed.map(|filed| filed.category.clone());
    let news = if was_fine != is_fine {
        if is_fine { "approved" } else { "not-approved" }
    } else if !is_fine && before.is_some_and(|before| before.status != after.status) {
        "not-approved"
    } else if !same(|standing| standing.category.clone()) && after.category.is_some() && after.category != filed_category {
        "category"
    } else if !same(|standing| standing.quality.clone()) && matches!(after.quality.as_deref(), Some("RED" | "YELLOW")) {
        "quality"
    } else if !same(|standing| standing.reason.clone()) && after.reason.is_some() {
        "reason"
    } else {
        return None;
    };
    let mut row = after.row();
    row["news"] = json!(news);
    row["filed_category"] = json!(filed_category);
    Some(row)
}

fn tell_admins(scene: &mut Scene, news: Vec<Value>) {
    if news.is_empty() {
        return;
    }
    let reply = Reply::new(Code::Notice, "templates-changed").with("templates", news);
    for admin in scene.admins() {
        scene.post(admin, reply.clone());
    }
}

// ---- what waits for an approval

fn waits(name: &str, language: &str, message: &MessageId) -> Key {
    Key::new("awaits", format_args!("{name}/{language}/{message}"))
}

/// Once its template is approved this message is looked at again.
pub fn await_approval(scene: &mut Scene, message: &Message) {
    let Body::Template { name, language, .. } = &message.body else { return };
    if let Some(standing) = standing(scene, name, language) {
        scene.point(waits(name, &standing.language, &message.id), &message.id);
    }
}

/// A message of the program's own waits for its template, in no lane; those who would miss it are told why.
pub fn hold_own(scene: &mut Scene, message: &mut Message) {
    let Body::Template { name, language, .. } = message.body.clone() else { return };
    message.state = MessageState::Held { gate: TEMPLATE.to_owned() };
    scene.put(message);
    await_approval(scene, message);
    let known = standing(scene, &name, &language);
    let row = known.as_ref().map_or(Value::Null, Standing::row);
    let entry = Entry::new("message.held", PROGRAM).about(&message.contact).message(&message.id);
    let detail = json!({ "gate": TEMPLATE, "template": row });
    scene.note(Entry { room: message.room.clone(), ..entry.detail(detail) });
    let reply = Reply::new(Code::Held, "template-waits").about(&message.contact).of(&message.id).because(TEMPLATE);
    let who = contact_name(scene, message.room.as_ref(), &message.contact);
    tell_room(scene, message, reply.with("name", who).with("template", name).with("standing", row));
}

/// Lets go what waited, some of it now and the rest in the next commits.
pub fn release_waiting(scene: &mut Scene, name: &str, language: &str) {
    let fine: Option<Standing> = scene.case.get(&Standing::key_of(name, language));
    if !fine.is_some_and(|standing| standing.may_be_sent()) {
        return;
    }
    let waiting: Vec<Pointer> = scene.case.scan(&format!("awaits/{name}/{language}/"), None, RELEASED_AT_ONCE);
    if waiting.len() == RELEASED_AT_ONCE {
        let again = wake_key(scene.now, &Key::new("template", format_args!("{name}/{language}")));
        scene.point(again, name);
    }
    for pointer in waiting {
        let id = MessageId::new(pointer.to);
        scene.case.remove::<Pointer>(&waits(name, language, &id));
        if let Some(message) = scene.message(&id).filter(is_held_for_it) {
            let_go(scene, message);
        }
    }
}

fn is_held_for_it(message: &Message) -> bool {
    matches!(&message.state, MessageState::Held { gate } if gate == TEMPLATE)
}

fn let_go(scene: &mut Scene, mut message: Message) {
    if message.advisor().is_some() {
        if let Some(room) = message.room.clone() {
            sending::release(scene, &room, &message.contact);
        }
        return;
    }
    if message.program_name() == Some(MESSAGE_WAITING) && !something_waits(scene, &message) {
        message.state = MessageState::Withdrawn { reason: "not needed".to_owned() };
        scene.put(&message);
        let entry = Entry::new("message.withdrawn", PROGRAM).about(&message.contact).message(&message.id);
        return scene.note(entry.detail(json!({ "reason": "nothing waits any more" })));
    }
    // Whether the program may still say it is asked when it is taken.
    sending::make_ready(scene, &mut message);
}

fn something_waits(scene: &Scene, notice: &Message) -> bool {
    let Some(contact) = scene.contact(&notice.contact) else { return false };
    let silent = !contact.on(notice.channel).window(&notice.line).is_open(scene.now);
    silent && !sending::held_messages(scene, &contact, notice.channel).is_empty()
}
