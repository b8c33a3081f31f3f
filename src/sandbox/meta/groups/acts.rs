//! What the firm does to its groups: each call with its checks, its answer and the webhook that follows after a moment.
use super::super::Inner;
use super::super::errors::GraphError;
use super::super::graph::{cursor, place};
use super::super::world::{Outgoing, Phone, Record, World};
use super::calls::Answered;
use super::{Group, LINK, MAX_PARTICIPANTS, Standing, link_code, shapes};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// Characters of a group's name and description (Meta, groups reference).
const MAX_SUBJECT: usize = 128;
const MAX_DESCRIPTION: usize = 2048;
/// Groups of one number (Meta, groups).
const MAX_GROUPS: usize = 10_000;
const PAGE: usize = 25;
const MAX_PAGE: usize = 1024;
/// Webhooks about a call come a moment after its answer …
const AFTER: Duration = Duration::from_millis(50);
/// … or much later where that is ordered.
const LATE: Duration = Duration::from_secs(5);
const COPIES: u32 = 3;

/// What is ordered of the webhook that follows a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Twisted {
    No,
    Lost,
    Late,
    Twice,
    /// It tells that WhatsApp did not do it after all.
    Fails,
}

/// What became of each join request or participant of a call.
#[derive(Default)]
struct Parts {
    done: Vec<Value>,
    failed: Vec<(Value, GraphError)>,
}

impl Inner {
    pub(super) fn create_group(&self, request: &Value, twisted: Twisted) -> Result<Value, GraphError> {
        let subject = words(request, "subject", MAX_SUBJECT)?.filter(|subject| !subject.is_empty());
        let subject = subject.ok_or_else(|| GraphError::new(100, "The parameter subject is required."))?;
        let description = words(request, "description", MAX_DESCRIPTION)?.unwrap_or_default();
        let approval = match request["join_approval_mode"].as_str() {
            None | Some("auto_approve") => false,
            Some("approval_required") => true,
            Some(_) => return Err(GraphError::new(100, "join_approval_mode must be auto_approve or approval_required")),
        };
        let mut world = self.world();
        if world.groups.all.values().filter(|group| !group.over).count() >= MAX_GROUPS {
            return Err(GraphError::new(131211, "Reached the limit of groups that can be created for this number."));
        }
        let now = (self.now)();
        let group = Group::new(&self.settings.digits(), &subject, &description, approval, now);
        let request = request_id();
        let answer = json!({"messaging_product": "whatsapp", "request_id": request});
        if twisted == Twisted::Fails {
            let told = shapes::failed("group_create", &request, &GraphError::new(131211, "Group create limit reached"));
            let hook = self.hook("group_lifecycle_update", &group, &told, Twisted::No);
            self.commit(&mut world, Vec::new(), hook.into_iter().collect())?;
            return Ok(answer);
        }
        let hook = self.hook("group_lifecycle_update", &group, &shapes::created(&request, &group), twisted);
        self.keep_group(&mut world, group, vec![hook])?;
        Ok(answer)
    }

    /// `here` is the address of the list, for its next page.
    pub(super) fn list_groups(&self, here: &str, query: &HashMap<String, String>) -> Result<Value, GraphError> {
        let world = self.world();
        let listed = |group: &&Group| !group.over;
        let object = |group: &Group| json!({"id": group.id, "subject": group.subject, "created_at": (group.created_at / 1000).to_string()});
        let groups: Vec<Value> = world.groups.all.values().filter(listed).map(object).collect();
        let start = query.get("after").map_or(Some(0), |after| place(after));
        let start = start.ok_or_else(|| GraphError::new(100, "Invalid cursors values for after cursor"))?.min(groups.len());
        let limit = limit(query)?;
        let end = (start + limit).min(groups.len());
        let mut paging = json!({"cursors": {"before": cursor(start), "after": cursor(end)}});
        if end < groups.len() {
            paging["next"] = json!(format!("{here}?limit={limit}&after={}", cursor(end)));
        }
        Ok(json!({"data": {"groups": groups[start..end]}, "paging": paging}))
    }

    pub(super) fn group_object(&self, id: &str) -> Result<Value, GraphError> {
        let world = self.world();
        let group = world.groups.living(id)?;
        let people: Vec<Value> = group.members().map(|number| json!({"wa_id": number.trim_start_matches('+')})).collect();
        Ok(json!({"messaging_product": "whatsapp", "id": group.id, "subject": group.subject, "description": group.description,
            "join_approval_mode": group.mode(), "suspended": group.suspended, "creation_timestamp": group.created_at / 1000,
            "total_participant_count": people.len(), "participants": people}))
    }

    pub(super) fn change_group(&self, id: &str, request: &Value, twisted: Twisted) -> Result<Value, GraphError> {
        let subject = words(request, "subject", MAX_SUBJECT)?;
        let description = words(request, "description", MAX_DESCRIPTION)?;
        if subject.as_deref() == Some("") || (subject.is_none() && description.is_none()) {
            return Err(GraphError::new(100, "One of the parameters subject and description is required."));
        }
        let mut world = self.world();
        let mut group = self.acting(&world, id)?;
        let (request, well) = (request_id(), twisted != Twisted::Fails);
        let mut told = json!({"type": "group_settings_update", "request_id": request});
        let parts =
            [("group_subject", &subject, &mut group.subject), ("group_description", &description, &mut group.description)];
        for (name, wanted, place) in parts {
            let Some(wanted) = wanted else { continue };
            told[name] = json!({"text": wanted, "update_successful": well});
            if well {
                place.clone_from(wanted);
            } else {
                told["errors"] = json!([GraphError::new(131000, "The group was not changed").in_group()]);
            }
        }
        let hook = self.hook("group_settings_update", &group, &told, twisted);
        self.keep_group(&mut world, group, vec![hook])?;
        Ok(shapes::asked(&request))
    }

    pub(super) fn delete_group(&self, id: &str, twisted: Twisted) -> Result<Value, GraphError> {
        let mut world = self.world();
        let mut group = world.groups.living(id)?.clone();
        group.over = true;
        let told = json!({"type": "group_delete", "request_id": request_id()});
        let hook = self.hook("group_lifecycle_update", &group, &told, twisted);
        self.keep_group(&mut world, group, vec![hook])?;
        Ok(json!({"success": true}))
    }

    pub(super) fn group_link(&self, id: &str, anew: bool) -> Result<Value, GraphError> {
        let mut world = self.world();
        let mut group = self.acting(&world, id)?;
        if anew {
            group.link = link_code();
            self.keep_group(&mut world, group.clone(), Vec::new())?;
        }
        Ok(json!({"messaging_product": "whatsapp", "invite_link": format!("{LINK}{}", group.link)}))
    }

    pub(super) fn join_requests(&self, id: &str) -> Result<Value, GraphError> {
        let world = self.world();
        let group = world.groups.living(id)?;
        let asked = |(number, standing): (&String, &Standing)| match standing {
            Standing::Asked { request, at } => Some(json!({"join_request_id": request, "wa_id": number.trim_start_matches('+'),
                "creation_timestamp": at / 1000})),
            Standing::In | Standing::Left | Standing::Removed => None,
        };
        let data: Vec<Value> = group.people.iter().filter_map(asked).collect();
        let paging = json!({"cursors": {"before": cursor(0), "after": cursor(data.len())}});
        Ok(json!({"data": data, "paging": paging}))
    }

    pub(super) fn approve(&self, id: &str, request: &Value, twisted: Twisted) -> Result<Answered, GraphError> {
        let mut world = self.world();
        let mut group = self.acting(&world, id)?;
        let (mut parts, mut hooks) = (Parts::default(), Vec::new());
        for wanted in named(request, "join_requests")? {
            match group.asking(wanted.as_str().unwrap_or_default()).cloned() {
                None => parts.failed.push((wanted, no_such_request())),
                Some(_) if group.is_full() => parts.failed.push((wanted, full())),
                Some(number) => {
                    group = group.with(&number, Standing::In);
                    let phone = phone_of(&world, &number);
                    hooks.push(self.hook("group_participants_update", &group, &shapes::joined(&phone), twisted));
                    parts.done.push(wanted);
                }
            }
        }
        let answer = parts.answered(["approved_join_requests", "failed_join_requests", "join_request_id"])?;
        self.keep_group(&mut world, group, hooks)?;
        Ok(answer)
    }

    pub(super) fn reject(&self, id: &str, request: &Value) -> Result<Answered, GraphError> {
        let mut world = self.world();
        let mut group = self.acting(&world, id)?;
        let mut parts = Parts::default();
        for wanted in named(request, "join_requests")? {
            match group.asking(wanted.as_str().unwrap_or_default()).cloned() {
                None => parts.failed.push((wanted, no_such_request())),
                // He sees "Request to join" again.
                Some(number) => {
                    group.people.remove(&number);
                    parts.done.push(wanted);
                }
            }
        }
        let answer = parts.answered(["rejected_join_requests", "failed_join_requests", "join_request_id"])?;
        self.keep_group(&mut world, group, Vec::new())?;
        Ok(answer)
    }

    pub(super) fn remove_participants(&self, id: &str, request: &Value, twisted: Twisted) -> Result<Answered, GraphError> {
        let mut world = self.world();
        let mut group = self.acting(&world, id)?;
        let wanted = named(request, "participants")?;
        if wanted.len() > MAX_PARTICIPANTS {
            return Err(full());
        }
        let mut parts = Parts::default();
        for participant in wanted {
            let input = ["user", "user_id"].iter().find_map(|key| participant[*key].as_str()).unwrap_or_default().to_string();
            match person(&world, &input).filter(|phone| group.people.get(&phone.number) == Some(&Standing::In)) {
                Some(phone) => {
                    group = group.with(&phone.number, Standing::Removed);
                    parts.done.push(json!({ "input": input }));
                }
                None => {
                    let error = GraphError::new(131212, "Participant is not a part of the group.");
                    parts.failed.push((json!({ "input": input }), error));
                }
            }
        }
        let request = request_id();
        let told = parts.removal(&request);
        let Answered(status, mut answer) = parts.answered(["removed_participants", "failed_participants", "input"])?;
        answer["request_id"] = json!(request);
        let hook = self.hook("group_participants_update", &group, &told, twisted);
        self.keep_group(&mut world, group, vec![hook])?;
        Ok(Answered(status, answer))
    }

    /// WhatsApp suspends a group, or lets it go on.
    pub(super) fn suspend(&self, id: &str, suspended: bool) -> Result<(), GraphError> {
        let mut world = self.world();
        let mut group = world.groups.living(id)?.clone();
        if group.suspended == suspended {
            return Ok(());
        }
        group.suspended = suspended;
        let kind = if suspended { "group_suspend" } else { "group_suspend_cleared" };
        let hook = self.hook("group_status_update", &group, &json!({ "type": kind }), Twisted::No);
        self.keep_group(&mut world, group, vec![hook])
    }

    /// A group that something may be done to.
    pub(super) fn acting(&self, world: &World, id: &str) -> Result<Group, GraphError> {
        let group = world.groups.living(id)?;
        if group.suspended { Err(GraphError::new(131207, "The group is suspended")) } else { Ok(group.clone()) }
    }

    pub(super) fn keep_group(&self, world: &mut World, group: Group, hooks: Vec<Option<Outgoing>>) -> Result<(), GraphError> {
        Ok(self.commit(world, vec![Record::Group(group)], hooks.into_iter().flatten().collect())?)
    }

    pub(super) fn hook(&self, field: &str, group: &Group, news: &Value, twisted: Twisted) -> Option<Outgoing> {
        let value = shapes::news(&self.settings, field, group, (self.now)(), news);
        let (after, copies) = match twisted {
            Twisted::No | Twisted::Fails => (AFTER, 1),
            Twisted::Lost => return None,
            Twisted::Late => (AFTER + LATE, 1),
            Twisted::Twice => (AFTER, COPIES),
        };
        Some(Outgoing { value, message: None, after, copies })
    }
}

impl Parts {
    /// 206 where a part failed; where nothing went well it is an error like any other.
    fn answered(self, [done, failed, key]: [&str; 3]) -> Result<Answered, GraphError> {
        let mut answer = json!({"messaging_product": "whatsapp"});
        if self.failed.is_empty() {
            answer[done] = json!(self.done);
            return Answered::well(answer);
        }
        if self.done.is_empty() {
            let first = self.failed.into_iter().next().expect("something failed");
            return Err(first.1);
        }
        answer[done] = json!(self.done);
        let part = |(what, error): &(Value, GraphError)| match what {
            Value::Object(_) => json!({key: what[key], "errors": [error.in_group()]}),
            what => json!({key: what, "errors": [error.in_group()]}),
        };
        answer[failed] = self.failed.iter().map(part).collect();
        answer["errors"] = json!([partly().in_group()]);
        Ok(Answered(StatusCode::PARTIAL_CONTENT, answer))
    }

    /// What the webhook tells of a removal.
    fn removal(&self, request: &str) -> Value {
        let mut told = json!({"type": "group_participants_remove", "request_id": request, "removed_participants": self.done,
            "initiated_by": "business"});
        if !self.failed.is_empty() {
            let failed = |(who, error): &(Value, GraphError)| json!({"input": who["input"], "errors": [error.in_group()]});
            told["failed_participants"] = self.failed.iter().map(failed).collect();
            told["errors"] = json!([partly().in_group()]);
        }
        told
    }
}

fn partly() -> GraphError {
    GraphError::new(131201, "Not all participant-level operations in the request succeeded.")
}

fn no_such_request() -> GraphError {
    GraphError::new(131213, "The join request does not exist; it was taken back, or answered already")
}

fn full() -> GraphError {
    GraphError::new(131204, "The group has reached its limit of participants")
}

/// What a list names: each once, and at least one.
fn named(request: &Value, key: &str) -> Result<Vec<Value>, GraphError> {
    let all = request[key].as_array().cloned().unwrap_or_default();
    if all.is_empty() {
        return Err(GraphError::new(100, format!("The parameter {key} is required.")));
    }
    let twice = all.iter().enumerate().any(|(nth, one)| all[..nth].contains(one));
    if twice { Err(GraphError::new(131202, "The same participant is named twice")) } else { Ok(all) }
}

/// How many groups a page has (Meta's document: 1 to 1024).
fn limit(query: &HashMap<String, String>) -> Result<usize, GraphError> {
    let asked = query.get("limit").map(|limit| limit.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)));
    let why = || GraphError::new(100, format!("Param limit must be an integer between 1 and {MAX_PAGE}."));
    asked.unwrap_or(Some(PAGE)).ok_or_else(why)
}

/// Without the spaces around it, and not too long.
fn words(request: &Value, key: &str, most: usize) -> Result<Option<String>, GraphError> {
    let text = match &request[key] {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim(),
        _ => return Err(GraphError::new(100, format!("The parameter {key} must be a text."))),
    };
    match text.chars().count() > most {
        true => Err(GraphError::new(100, format!("Param {key} must be at most {most} characters long."))),
        false => Ok(Some(text.to_string())),
    }
}

/// Whom a call names: by number, by the number without its "+", or by his user id.
fn person(world: &World, input: &str) -> Option<Phone> {
    let by_number = super::super::phones::number(input).and_then(|number| world.phones.get(&number));
    by_number.or_else(|| world.phones.values().find(|phone| phone.user_id == input)).cloned()
}

pub(super) fn phone_of(world: &World, number: &str) -> Phone {
    world.phones.get(number).cloned().unwrap_or_else(|| Phone::new(number, number, true))
}

pub(super) fn request_id() -> String {
    format!("{:032X}", fastrand::u128(..))
}
