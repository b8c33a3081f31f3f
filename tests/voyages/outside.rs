//! The platform's pod and Meta, from their side: what they were asked for, and what they really did.
use super::clock::{DAY, START};
use super::oracle::Parcel;
use liaison::domain::effect::*;
use liaison::domain::ids::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
pub struct Post {
    pub id: String,
    pub stream: String,
    pub reply: Reply,
    pub pressed: u32,
}

#[derive(Default)]
pub struct Pod {
    /// Stream → who is in it.
    pub rooms: BTreeMap<String, BTreeSet<u64>>,
    pub streams_by_key: BTreeMap<String, String>,
    pub names: BTreeMap<String, u32>,
    pub posts: Vec<Post>,
    by_key: BTreeMap<String, String>,
}

/// What the pod did with a request.
pub enum Did {
    Posted(usize),
    Room { key: String, stream: String },
    Nothing,
    Refused(&'static str),
}

impl Pod {
    pub fn perform(&mut self, id: &EffectId, effect: &Effect) -> (Did, Option<String>) {
        match effect {
            Effect::Post { place, reply } => {
                let stream = match place {
                    Place::Stream(stream) => stream.to_string(),
                    Place::Direct(user) => format!("d-{user}"),
                    Place::DirectByEmail(email) => format!("d-{email}"),
                    Place::Room(_) => return (Did::Refused("no-such-stream"), None),
                };
                let post = format!("p{}", self.posts.len());
                self.by_key.insert(id.to_string(), post.clone());
                self.posts.push(Post { id: post.clone(), stream, reply: reply.clone(), pressed: 0 });
                (Did::Posted(self.posts.len() - 1), Some(post))
            }
            Effect::OpenRoom(room) => {
                let stream = format!("s-{}-{}", room.key, self.rooms.len());
                let members = room.owners.iter().chain(&room.members).map(|user| user.0).collect();
                self.rooms.insert(stream.clone(), members);
                self.streams_by_key.insert(room.key.to_string(), stream.clone());
                *self.names.entry(room.name.clone()).or_default() += 1;
                let external = format!("{stream}\n{}", room.name);
                (Did::Room { key: room.key.to_string(), stream }, Some(external))
            }
            Effect::AddMember { stream, user, .. } => {
                self.rooms.entry(stream.to_string()).or_default().insert(user.0);
                (Did::Nothing, None)
            }
            Effect::RemoveMember { stream, user } => {
                self.rooms.entry(stream.to_string()).or_default().remove(&user.0);
                (Did::Nothing, None)
            }
            Effect::Fetch(_) => (Did::Nothing, Some(r#"{"size":3,"sha256":"ab"}"#.to_owned())),
            Effect::Upload(upload) => (Did::Nothing, Some(format!("up-{}", upload.media.id))),
            Effect::DeactivateRoom { .. }
            | Effect::AcceptConnection { .. }
            | Effect::FindUser { .. }
            | Effect::DemoteMember { .. }
            | Effect::RenameRoom(_)
            | Effect::Group(_)
            | Effect::Send(_) => (Did::Nothing, None),
        }
    }

    pub fn look_up(&self, id: &EffectId, effect: &Effect) -> LookUp {
        let found = match effect {
            Effect::Post { .. } => self.by_key.get(id.as_str()).cloned(),
            Effect::OpenRoom(room) => self.streams_by_key.get(room.key.as_str()).map(|s| format!("{s}\n{}", room.name)),
            _ => None,
        };
        match found {
            Some(id) => LookUp::Found { external_id: Some(id) },
            None => LookUp::Absent,
        }
    }

    pub fn rooms_of(&self, user: u64) -> Vec<String> {
        self.rooms.iter().filter(|(_, members)| members.contains(&user)).map(|(stream, _)| stream.clone()).collect()
    }
}

pub struct Phone {
    pub on_whatsapp: bool,
    /// What the phone itself did: its last message opened the window.
    pub wrote_last: Option<i64>,
}

#[derive(Default)]
pub struct Meta {
    pub phones: BTreeMap<String, Phone>,
    pub accepted: u64,
}

pub enum Verdict {
    Accepted(String),
    Refused(&'static str),
}

impl Meta {
    /// Meta's own rules: is the number there, and is the window open for this?
    pub fn judge(&mut self, phone: &str, parcel: &Parcel, truth: i64) -> Verdict {
        let Some(known) = self.phones.get(phone) else { return Verdict::Refused("131026") };
        if !known.on_whatsapp {
            return Verdict::Refused("131026");
        }
        let template = matches!(parcel, Parcel::Template(_) | Parcel::Invitation | Parcel::Notice | Parcel::News);
        if !template && known.wrote_last.is_none_or(|at| truth >= at + DAY) {
            return Verdict::Refused("131047");
        }
        self.accepted += 1;
        Verdict::Accepted(format!("wamid.{}", self.accepted))
    }
}

/// What is in the envelope, by what can be read on it.
pub fn parcel_of(body: &Body) -> Parcel {
    match body {
        Body::Text(text) => Parcel::Text(token_in(text).unwrap_or_default()),
        Body::Media { caption, .. } => Parcel::Text(caption.as_deref().and_then(token_in).unwrap_or_default()),
        Body::Question { .. } => Parcel::Question,
        Body::Template { name, vars, .. } => match name.as_str() {
            "liaison_invitation" => Parcel::Invitation,
            "liaison_message_waiting" => Parcel::Notice,
            "liaison_notice" => Parcel::News,
            _ => Parcel::Template(vars.get("topic").cloned().unwrap_or_default()),
        },
        Body::Wording { name, .. } => match name.as_str() {
            "welcome" => Parcel::Welcome,
            "opted_in" => Parcel::OptedIn,
            "opted_out" => Parcel::OptedOut,
            _ => Parcel::Help,
        },
    }
}

/// Tokens look like `t12`: an advisor's text, a client's `w12`, a template's `k12`.
pub fn token_in(text: &str) -> Option<String> {
    let is_token = |word: &&str| {
        let digits = word.strip_prefix(['t', 'w', 'k']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.split_whitespace().find(is_token).map(str::to_owned)
}

/// For reports: time since the start of the voyage.
pub fn since_start(at: i64) -> String {
    let seconds = (at - START) / 1_000;
    format!(
        "{}d {:02}:{:02}:{:02}.{:03}",
        seconds / 86_400,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        (at - START) % 1_000
    )
}
