//! The Groups API: makes, changes and looks for native groups, answers who asks to join, and takes people out.
use super::content::phone;
use super::errors::{Class, class_of};
use super::health::LOOK_AGAIN;
use super::send::{Answer, Exchange, NO_CONNECTION, TOO_MANY, WhatsApp};
use super::wire::Complaint;
use crate::domain::effect::{Address, Attempt, GroupAct, GroupCall, Outcome};
use crate::domain::event::{ClientKeys, JoinRequest};
use crate::domain::ids::{GroupId, LineId};
use crate::domain::time::{Span, Timestamp};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Characters of a group's name and of its description (Meta, groups reference).
pub const LONGEST_SUBJECT: usize = 128;
pub const LONGEST_DESCRIPTION: usize = 2048;
/// Meta's largest page of the list of groups …
const PAGE: &str = "1024";
/// … of which a line has 10,000 at most; this also ends a list that turns in a circle.
const MAX_PAGES: usize = 16;
/// Requests that one look brings; the next look brings the others.
const MOST_REQUESTS: usize = 64;
/// What says no more than that a part failed; the part itself says why.
const PARTLY: i64 = 131201;

impl WhatsApp {
    /// Asks for it once. What `Done` carries is told with each call. A picture has a call of its own, `picture`.
    pub async fn group(&self, act: &GroupAct) -> Attempt {
        match &act.call {
            GroupCall::Create { subject, description } => self.create(&act.line, subject, description).await,
            GroupCall::Find { subject, created_after } => self.find(&act.line, subject, *created_after).await,
            GroupCall::Change { group, .. }
            | GroupCall::Link { group, .. }
            | GroupCall::Requests { group }
            | GroupCall::Answer { group, .. }
            | GroupCall::Remove { group, .. }
            | GroupCall::Delete { group } => match path(group) {
                Some(path) => self.of_group(&act.line, &path, &act.call).await,
                None => failed("no-such-group", "its id is none"),
            },
            GroupCall::Picture { .. } => failed("attachment", "it goes with its bytes"),
        }
    }

    async fn create(&self, line: &LineId, subject: &str, description: &str) -> Attempt {
        #[derive(Deserialize)]
        struct Created {
            request_id: String,
        }
        let mut body = with_words(Some(subject), Some(description).filter(|text| !text.is_empty()));
        body["join_approval_mode"] = "approval_required".into();
        let request = self.post(&format!("{line}/groups")).json(&body);
        match self.asked::<Created>(line, request).await {
            Ok(created) => done(Some(created.request_id)),
            Err(attempt) => attempt,
        }
    }

    async fn of_group(&self, line: &LineId, group: &str, call: &GroupCall) -> Attempt {
        match call {
            GroupCall::Change { subject, description, .. } => {
                let request = self.post(group).json(&with_words(subject.as_deref(), description.as_deref()));
                self.plainly(line, request).await
            }
            GroupCall::Link { anew, .. } => self.link(line, group, *anew).await,
            GroupCall::Requests { .. } => self.requests(line, group).await,
            GroupCall::Answer { request, approve, .. } => {
                let path = format!("{group}/join_requests");
                let asked = if *approve { self.post(&path) } else { self.delete(&path) };
                let body = json!({ "messaging_product": "whatsapp", "join_requests": [request] });
                self.plainly(line, asked.json(&body)).await
            }
            GroupCall::Remove { who, .. } => match participant(who) {
                Some(participant) => {
                    let body = json!({ "messaging_product": "whatsapp", "participants": [participant] });
                    self.plainly(line, self.delete(&format!("{group}/participants")).json(&body)).await
                }
                None => failed("unsendable", "There is no address of this participant."),
            },
            GroupCall::Delete { .. } => self.plainly(line, self.delete(group)).await,
            GroupCall::Create { .. } | GroupCall::Find { .. } | GroupCall::Picture { .. } => {
                failed("no-such-group", "it has no id yet")
            }
        }
    }

    /// A call that names one thing: done, unless the answer says that this very thing failed.
    async fn plainly(&self, line: &LineId, request: RequestBuilder) -> Attempt {
        match self.answered(line, request).await {
            Ok(_) => done(None),
            Err(attempt) => attempt,
        }
    }

    async fn link(&self, line: &LineId, group: &str, anew: bool) -> Attempt {
        #[derive(Deserialize)]
        struct Linked {
            invite_link: String,
        }
        let path = format!("{group}/invite_link");
        let request = match anew {
            true => self.post(&path).json(&json!({ "messaging_product": "whatsapp" })),
            false => self.get(&path),
        };
        match self.asked::<Linked>(line, request).await {
            Ok(linked) => done(Some(linked.invite_link)),
            Err(attempt) => attempt,
        }
    }

    /// Who asks to join, whole pages of them until there are enough for one answer.
    async fn requests(&self, line: &LineId, group: &str) -> Attempt {
        let mut requests: Vec<JoinRequest> = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let query: Vec<(&str, &str)> = after.as_deref().map(|after| ("after", after)).into_iter().collect();
            let asked = self.get(&format!("{group}/join_requests")).query(&query);
            let page: Requests = match self.asked(line, asked).await {
                Ok(page) => page,
                Err(attempt) => return attempt,
            };
            requests.extend(page.data.into_iter().filter_map(Asking::request));
            after = page.paging.and_then(Paging::next_page).filter(|_| requests.len() < MOST_REQUESTS);
            if after.is_none() {
                requests.truncate(MOST_REQUESTS);
                return done(serde_json::to_string(&requests).ok());
            }
        }
        unknown("a list of requests without end".to_owned())
    }

    /// The first group of this name that came to be at that time or later: a second one of the same name was asked for later.
    async fn find(&self, line: &LineId, subject: &str, created_after: Timestamp) -> Attempt {
        let (subject, since) = (cut(subject, LONGEST_SUBJECT), Timestamp(created_after.0.div_euclid(1_000) * 1_000));
        let mut found: Option<(Timestamp, String)> = None;
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut query = vec![("limit", PAGE)];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let page: Page = match self.asked(line, self.get(&format!("{line}/groups")).query(&query)).await {
                Ok(page) => page,
                Err(attempt) => return attempt,
            };
            let fitting = page.data.groups.iter().filter(|group| group.subject.trim() == subject).filter_map(Listed::since);
            found = fitting.filter(|(at, _)| *at >= since).chain(found).min();
            after = page.paging.and_then(Paging::next_page);
            if after.is_none() {
                return found.map_or_else(|| failed("not-there", "The account lists no such group."), |(_, id)| done(Some(id)));
            }
        }
        unknown("a list of groups without end".to_owned())
    }

    async fn asked<T: DeserializeOwned>(&self, line: &LineId, request: RequestBuilder) -> Result<T, Attempt> {
        let answer = self.answered(line, request).await?;
        serde_json::from_slice(&answer.bytes).map_err(|error| unknown(format!("an answer that cannot be read: {error}")))
    }

    /// An answer that says yes, or what is certain otherwise.
    pub(super) async fn answered(&self, line: &LineId, request: RequestBuilder) -> Result<Answer, Attempt> {
        let answer = match self.exchange(request).await {
            Exchange::NotSent(why) => return Err(self.not_yet(why, NO_CONNECTION)),
            Exchange::Lost(why) => return Err(unknown(why)),
            Exchange::Answered(answer) => answer,
        };
        if let Some(complaint) = of_the_part(&answer).or_else(|| answer.complaint()) {
            return Err(self.no(line, &complaint, &answer));
        }
        match answer.status {
            status if status.is_success() => Ok(answer),
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = answer.retry_after(self.now()).unwrap_or(TOO_MANY);
                Err(self.not_yet("WhatsApp takes no more requests now".to_owned(), wait))
            }
            status => Err(unknown(format!("an answer {} that does not come from WhatsApp", status.as_u16()))),
        }
    }

    fn no(&self, line: &LineId, complaint: &Complaint, answer: &Answer) -> Attempt {
        let code = complaint.code.unwrap_or_default();
        let why = format!("WhatsApp {code}: {}", complaint.detail());
        let later = |wait: Span| answer.retry_after(self.now()).unwrap_or(wait);
        let rests = |every: Span| {
            let told = (code.to_string(), complaint.detail());
            let not_before = self.health().troubled(line, (&told.0, &told.1), every, self.now());
            Attempt::NotYet { why: why.clone(), not_before }
        };
        match class_of(complaint) {
            Class::Throttled { wait } | Class::Trouble { wait } => self.not_yet(why, later(wait)),
            Class::PairThrottled => self.not_yet(why, later(TOO_MANY)),
            // The right to groups is one of its own: messages may go on as ever.
            Class::Line if concerns_rights(code) => failed(&code.to_string(), &complaint.detail()),
            Class::Line => rests(LOOK_AGAIN),
            Class::Restricted { wait } => rests(later(wait)),
            Class::Account | Class::Recipient | Class::Window | Class::Message => failed(&code.to_string(), &complaint.detail()),
        }
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    data: Groups,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize, Default)]
struct Groups {
    #[serde(default)]
    groups: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    created_at: Value,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Option<Cursors>,
    /// There only while another page follows.
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Cursors {
    #[serde(default)]
    after: Option<String>,
}

impl Paging {
    fn next_page(self) -> Option<String> {
        self.next.and(self.cursors).and_then(|cursors| cursors.after)
    }
}

#[derive(Deserialize)]
struct Requests {
    #[serde(default)]
    data: Vec<Asking>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Asking {
    join_request_id: String,
    #[serde(default)]
    wa_id: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
}

impl Asking {
    /// Nothing of somebody who has no name: nobody could say whether he may come in.
    fn request(self) -> Option<JoinRequest> {
        let phone = self.wa_id.as_deref().and_then(phone);
        let who = ClientKeys { phone, wa_id: self.wa_id, user_id: self.user_id, profile_name: None };
        (!who.is_nobody()).then_some(JoinRequest { request: self.join_request_id, who })
    }
}

impl Listed {
    /// Seconds as a number or as a text, or a date: Meta's document says "timestamp" and no more. Without a time nobody can tell
    /// whether it is an older group of the same name.
    fn since(&self) -> Option<(Timestamp, String)> {
        let text = || self.created_at.as_str().map(str::trim);
        let seconds = self.created_at.as_i64().or_else(|| text()?.parse().ok());
        let date = || text()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
        let at = Timestamp(seconds.or_else(date)?.checked_mul(1_000)?);
        Some((at, self.id.clone()))
    }
}

/// What became of the one join request or participant that was named, where it did not go well.
fn of_the_part(answer: &Answer) -> Option<Complaint> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Parts {
        failed_join_requests: Vec<Part>,
        failed_participants: Vec<Part>,
        errors: Vec<Complaint>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Part {
        errors: Vec<Complaint>,
    }
    let parts: Parts = serde_json::from_slice(&answer.bytes).ok()?;
    let failed = !parts.failed_join_requests.is_empty() || !parts.failed_participants.is_empty();
    let each = parts.failed_join_requests.into_iter().chain(parts.failed_participants).flat_map(|part| part.errors);
    let mut told: Vec<Complaint> = each.chain(parts.errors).filter(|complaint| complaint.code.is_some()).collect();
    told.sort_by_key(|complaint| complaint.code == Some(PARTLY));
    let nameless = || failed.then(|| Complaint { code: Some(PARTLY), ..Complaint::default() });
    told.into_iter().next().or_else(nameless)
}

fn concerns_rights(code: i64) -> bool {
    matches!(code, 3 | 10 | 200..=299 | 131005)
}

/// The one segment of an address that a group's id may become; whatever else it is must not become another path.
pub(super) fn path(group: &GroupId) -> Option<String> {
    let id = group.as_str();
    let fits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-=:@".contains(&byte));
    fits.then(|| id.to_owned())
}

fn with_words(subject: Option<&str>, description: Option<&str>) -> Value {
    let mut body = json!({ "messaging_product": "whatsapp" });
    if let Some(subject) = subject {
        body["subject"] = cut(subject, LONGEST_SUBJECT).into();
    }
    if let Some(description) = description {
        body["description"] = cut(description, LONGEST_DESCRIPTION).into();
    }
    body
}

/// As Meta keeps it: without spaces around. What is too long is cut, since a shortened name is better than no group.
fn cut(text: &str, most: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => format!("{}…", text.chars().take(most - 1).collect::<String>().trim_end()),
    }
}

/// Whoever has no number is named by his user id.
fn participant(who: &Address) -> Option<Value> {
    match (&who.phone, &who.user_id) {
        (Some(phone), _) => Some(json!({ "user": phone.e164() })),
        (None, Some(user_id)) => Some(json!({ "user_id": user_id })),
        (None, None) => None,
    }
}

fn done(external_id: Option<String>) -> Attempt {
    Attempt::Ended(Outcome::Done { external_id })
}

fn failed(code: &str, detail: &str) -> Attempt {
    Attempt::Ended(Outcome::Failed { code: code.to_owned(), detail: detail.to_owned() })
}

fn unknown(why: String) -> Attempt {
    Attempt::Ended(Outcome::Unknown { why })
}
