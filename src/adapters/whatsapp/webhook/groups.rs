//! What webhooks tell of native groups: each person of a change is an event by itself.
use super::{Around, Found, at, digest, read, sender};
use crate::adapters::whatsapp::content::phone;
use crate::adapters::whatsapp::wire::{Complaint, Metadata, Value, seconds};
use crate::domain::event::{ClientKeys, Fact, GroupNews, GroupTold};
use crate::domain::ids::{EventId, GroupId, LineId};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Group {
    #[serde(deserialize_with = "seconds")]
    timestamp: Option<i64>,
    #[serde(rename = "type")]
    kind: Option<String>,
    group_id: Option<String>,
    request_id: Option<String>,
    invite_link: Option<String>,
    join_request_id: Option<String>,
    #[serde(deserialize_with = "text_or_number")]
    wa_id: Option<String>,
    user_id: Option<String>,
    username: Option<String>,
    initiated_by: Option<String>,
    added_participants: Option<Vec<Participant>>,
    removed_participants: Option<Vec<Participant>>,
    failed_participants: Option<Vec<Participant>>,
    profile_picture: Option<Setting>,
    group_subject: Option<Setting>,
    group_description: Option<Setting>,
    errors: Option<Vec<Complaint>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Participant {
    /// As the firm named him: a number with its "+", or an id.
    #[serde(deserialize_with = "text_or_number")]
    input: Option<String>,
    #[serde(deserialize_with = "text_or_number")]
    wa_id: Option<String>,
    user_id: Option<String>,
    username: Option<String>,
    errors: Option<Vec<Complaint>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Setting {
    update_successful: Option<bool>,
    errors: Option<Vec<Complaint>>,
}

/// One piece of news, and whom or what of its group it concerns.
type Told = (String, GroupNews);

impl Found {
    pub(super) fn groups(&mut self, raw: &RawValue, value: Value, field: &str) {
        let Some(line) = value.metadata.and_then(|Metadata { phone_number_id }| phone_number_id) else {
            return self.set_aside(raw, "names no line (metadata.phone_number_id)".to_owned());
        };
        let contacts = value.contacts.into_iter().flatten().filter_map(|raw| read(raw).ok()).collect();
        let around = Around { line: LineId(line), contacts };
        for raw in value.groups.into_iter().flatten() {
            match read::<Group>(raw) {
                Ok(mut group) => {
                    group.initiated_by = group.initiated_by.or_else(|| value.initiated_by.clone());
                    self.group(raw, group, &around, field);
                }
                Err(why) => self.set_aside(raw, format!("a group's news of unexpected shape: {why}")),
            }
        }
        value.errors.into_iter().flatten().for_each(|raw| self.of_no_concern(raw, format!("{field}.errors")));
    }

    fn group(&mut self, raw: &RawValue, mut group: Group, around: &Around, field: &str) {
        let kind = group.kind.take().unwrap_or_default();
        let (id, timestamp) = (group.group_id.take().unwrap_or_default(), group.timestamp);
        let told = match read_news(field, &kind, group, around) {
            Ok(told) if told.is_empty() => return self.of_no_concern(raw, of_no_concern(field, &kind)),
            Ok(told) => told,
            Err(why) => return self.set_aside(raw, format!("{field} {kind} {why}")),
        };
        let not_made = |news: &GroupNews| matches!(news, GroupNews::NotCreated { .. });
        if id.is_empty() && !told.iter().all(|(_, news)| not_made(news)) {
            return self.set_aside(raw, format!("{field} {kind} names no group"));
        }
        // One join request after another of the same person may bear the same id; the time tells them apart.
        let when = timestamp.map_or_else(|| digest(raw), |seconds| seconds.to_string());
        for (of, news) in told {
            let event = EventId(format!("wa:group:{}:{id}:{}:{of}:{when}", around.line, word(&news)));
            let group = GroupId(if not_made(&news) { String::new() } else { id.clone() });
            let fact = Fact::GroupTold(GroupTold { line: around.line.clone(), group, news });
            let element = self.element(event, at(timestamp, self.now), fact, raw, format!("group {id}"));
            self.others.push(element);
        }
    }
}

/// Nothing where there is nothing to know; `Err` where something essential is missing.
fn read_news(field: &str, kind: &str, group: Group, around: &Around) -> Result<Vec<Told>, &'static str> {
    match (field, kind) {
        // Meta's own document names the removal of participants so.
        ("group_participants_update", "group_create") => participants(group, around),
        (_, "group_create") => created(group, around),
        (_, "group_delete") if group.errors.is_none() => Ok(vec![about_all(GroupNews::Deleted)]),
        (_, "group_participants_add" | "group_participants_remove" | "group_add_participants" | "group_remove_participants") => {
            participants(group, around)
        }
        (_, "group_join_request_created" | "group_join_request_revoked") => join_request(kind, group, around),
        (_, "group_settings_update") => Ok(settings(group)),
        (_, "group_suspend") => Ok(vec![about_all(GroupNews::Suspended)]),
        (_, "group_suspend_cleared") => Ok(vec![about_all(GroupNews::Unsuspended)]),
        _ => Ok(Vec::new()),
    }
}

fn created(group: Group, around: &Around) -> Result<Vec<Told>, &'static str> {
    let request = group.request_id.clone().ok_or("names no request")?;
    if let Some(complaint) = group.errors.as_ref().and_then(|errors| errors.first()) {
        let (code, detail) = told_by(complaint);
        return Ok(vec![(request.clone(), GroupNews::NotCreated { request, code, detail })]);
    }
    let news = GroupNews::Created { request: request.clone(), link: group.invite_link.clone() };
    let mut told = vec![(request, news)];
    told.append(&mut participants(group, around)?);
    Ok(told)
}

fn participants(group: Group, around: &Around) -> Result<Vec<Told>, &'static str> {
    let by_himself = match group.initiated_by.as_deref() {
        Some(by) => by == "participant",
        None => group.request_id.is_none(),
    };
    let mut told = Vec::new();
    for added in group.added_participants.into_iter().flatten() {
        let who = added.keys(around)?;
        told.push((sender(&who), GroupNews::Joined { who }));
    }
    for removed in group.removed_participants.into_iter().flatten() {
        let who = removed.keys(around)?;
        let of = sender(&who);
        told.push((of, if by_himself { GroupNews::Left { who } } else { GroupNews::Removed { who } }));
    }
    for failed in group.failed_participants.into_iter().flatten() {
        let complaint = failed.errors.as_ref().and_then(|errors| errors.first());
        let (code, detail) = complaint.or(group.errors.as_ref().and_then(|errors| errors.first())).map_or_else(unknown, told_by);
        let who = failed.keys(around)?;
        told.push((sender(&who), GroupNews::NotRemoved { who, code, detail }));
    }
    Ok(told)
}

fn join_request(kind: &str, group: Group, around: &Around) -> Result<Vec<Told>, &'static str> {
    let request = group.join_request_id.ok_or("names no request")?;
    let who = keys(around, group.wa_id, group.user_id, group.username);
    if who.is_nobody() {
        return Err("names nobody");
    }
    let news = match kind {
        "group_join_request_revoked" => GroupNews::AsksNoMore { request: request.clone(), who },
        _ => GroupNews::AsksToJoin { request: request.clone(), who },
    };
    Ok(vec![(request, news)])
}

fn settings(group: Group) -> Vec<Told> {
    let picture = picture(&group);
    // What went wrong with the picture alone says nothing of the words.
    let has_words = picture.is_none() || group.group_subject.is_some() || group.group_description.is_some();
    let words = if has_words { not_changed(group) } else { None };
    picture.into_iter().chain(words).collect()
}

/// How it went with the picture, for which an owner waits. Without a word on that nothing but a reason tells that it failed.
fn picture(group: &Group) -> Option<Told> {
    let setting = group.profile_picture.as_ref()?;
    let own = setting.errors.as_ref().and_then(|errors| errors.first());
    let complaint = own.or(group.errors.as_ref().and_then(|errors| errors.first()));
    let request = group.request_id.clone().unwrap_or_default();
    if setting.update_successful.unwrap_or(complaint.is_none()) {
        return Some((request.clone(), GroupNews::PictureChanged { request }));
    }
    let (code, detail) = complaint.map_or_else(unknown, told_by);
    Some((request.clone(), GroupNews::PictureNotChanged { request, code, detail }))
}

/// Nothing where name and description were taken over.
fn not_changed(group: Group) -> Option<Told> {
    let settings = [group.group_subject, group.group_description];
    let failed = settings.into_iter().flatten().find(|setting| setting.update_successful == Some(false));
    let own = failed.as_ref().and_then(|setting| setting.errors.as_ref()?.first());
    let complaint = own.or(group.errors.as_ref().and_then(|errors| errors.first()));
    if failed.is_none() && complaint.is_none() {
        return None;
    }
    let (code, detail) = complaint.map_or_else(unknown, told_by);
    Some((group.request_id.unwrap_or_default(), GroupNews::NotChanged { code, detail }))
}

impl Participant {
    fn keys(&self, around: &Around) -> Result<ClientKeys, &'static str> {
        let named = self.input.as_deref().filter(|_| self.wa_id.is_none() && self.user_id.is_none());
        let number = named.and_then(phone).map(|phone| phone.digits().to_owned());
        let id = named.filter(|input| number.is_none() && input.contains('.')).map(str::to_owned);
        let (wa_id, user_id) = (self.wa_id.clone().or(number), self.user_id.clone().or(id));
        let keys = keys(around, wa_id, user_id, self.username.clone());
        if keys.is_nobody() { Err("names nobody") } else { Ok(keys) }
    }
}

fn keys(around: &Around, wa_id: Option<String>, user_id: Option<String>, username: Option<String>) -> ClientKeys {
    let mut keys = around.keys(wa_id, user_id);
    keys.profile_name = keys.profile_name.or(username);
    keys
}

fn of_no_concern(field: &str, kind: &str) -> String {
    if kind == field { field.to_owned() } else { format!("{field} {kind}") }
}

fn about_all(news: GroupNews) -> Told {
    (String::new(), news)
}

/// As it stands in the id of the event.
fn word(news: &GroupNews) -> &'static str {
    match news {
        GroupNews::Created { .. } => "created",
        GroupNews::NotCreated { .. } => "not-created",
        GroupNews::AsksToJoin { .. } => "asks",
        GroupNews::AsksNoMore { .. } => "asks-no-more",
        GroupNews::Joined { .. } => "joined",
        GroupNews::Left { .. } => "left",
        GroupNews::Removed { .. } => "removed",
        GroupNews::NotRemoved { .. } => "not-removed",
        GroupNews::NotChanged { .. } => "not-changed",
        GroupNews::PictureChanged { .. } => "picture-changed",
        GroupNews::PictureNotChanged { .. } => "picture-not-changed",
        GroupNews::Deleted => "deleted",
        GroupNews::Suspended => "suspended",
        GroupNews::Unsuspended => "unsuspended",
    }
}

fn told_by(complaint: &Complaint) -> (String, String) {
    (complaint.code.map_or_else(|| "unknown".to_owned(), |code| code.to_string()), complaint.detail())
}

fn unknown() -> (String, String) {
    ("unknown".to_owned(), String::new())
}

/// Meta's document has numbers where its pages have texts.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|number| number.to_string())))
}
