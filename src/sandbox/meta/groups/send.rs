//! Messages of the firm into a group: what Meta checks, on whose phones they are, and the statuses of each member.
use super::super::errors::GraphError;
use super::super::send::Checked;
use super::super::trouble::Twist;
use super::super::world::{Outgoing, Phone, Record, Status, World};
use super::super::{Fails, Inner};
use super::acts::phone_of;
use super::calls::not_eligible;
use super::{Group, GroupMessage, shapes};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const SENT_AFTER: Duration = Duration::from_millis(10);
const DELIVERED_AFTER: Duration = Duration::from_millis(40);
/// Everything else is refused in groups (Meta, groups messaging).
const KINDS: [&str; 7] = ["text", "template", "image", "document", "audio", "video", "sticker"];

pub(in super::super) fn is_for_a_group(request: &Value) -> bool {
    request["recipient_type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("group"))
}

impl Inner {
    /// Checks and accepts one message to a group; with `keeps` false it goes nowhere.
    pub(in super::super) fn accept_in_group(&self, request: &Value, twist: Twist, keeps: bool) -> Result<Value, GraphError> {
        if request["messaging_product"].as_str() != Some("whatsapp") {
            return Err(GraphError::new(100, "The parameter messaging_product is required."));
        }
        if !self.habits().groups {
            return Err(not_eligible());
        }
        let mut world = self.world();
        let now = (self.now)();
        let to = request["to"].as_str().ok_or_else(|| GraphError::new(100, "The parameter to is required."))?;
        let group = world.groups.living(to)?.clone();
        if group.suspended {
            return Err(GraphError::new(131207, "The group is suspended"));
        }
        let kind = request["type"].as_str().unwrap_or("text").to_lowercase();
        if !KINDS.contains(&kind.as_str()) {
            return Err(GraphError::new(131051, format!("A message of type {kind} cannot be sent to a group")));
        }
        let checked = self.check(&world, request, group.the_window_is_open(now), now)?;
        let ordered = twist.fails.map(|code| GraphError::new(code, super::super::errors::title(code)));
        let hindered = obstacle(&group, &checked, now);
        if let Some(error) = hindered.clone().filter(|_| self.habits().window == Fails::Sync) {
            return Err(error);
        }
        world.pace.admit(&group.id, now)?;
        let id = super::super::shapes::wamid(&group.number, true);
        let answer = answer(&group, &kind, &id);
        if !keeps {
            return Ok(answer);
        }
        let members: Vec<Phone> = group.members().map(|number| phone_of(&world, number)).collect();
        let pricing = pricing(&checked, group.the_window_is_open(now));
        let message = message(id, &group, checked, now);
        let hindered = ordered.or(hindered);
        let hooks = self.statuses(&message, &members, &pricing, hindered.as_ref(), twist);
        let records = if hindered.is_some() { Vec::new() } else { vec![Record::GroupMessage(message)] };
        self.commit(&mut world, records, hooks)?;
        Ok(answer)
    }

    fn statuses(
        &self,
        message: &GroupMessage,
        members: &[Phone],
        pricing: &Value,
        hindered: Option<&GraphError>,
        twist: Twist,
    ) -> Vec<Outgoing> {
        let out = |value, after| Outgoing { value, message: None, after: after + twist.late, copies: twist.copies };
        let status = |word, members, more: &Value| shapes::status(&self.settings, message, word, members, more, message.at);
        let (first, second) = if twist.backwards { (DELIVERED_AFTER, SENT_AFTER) } else { (SENT_AFTER, DELIVERED_AFTER) };
        match hindered {
            _ if !twist.statuses => Vec::new(),
            Some(error) => vec![out(status("failed", &[], &json!({"errors": [error.in_status()]})), SENT_AFTER)],
            None => vec![
                out(status("sent", &[], &json!({})), first),
                out(status("delivered", members, &json!({ "pricing": pricing })), second),
            ],
        }
    }

    /// What becomes of unread messages of groups when the client looks at the phone, and the webhooks of that.
    pub(in super::super) fn looked_at_groups(&self, world: &World, phone: &Phone) -> (Vec<Record>, Vec<Outgoing>) {
        let at = (self.now)();
        let unread = |message: &&GroupMessage| message.from.is_none() && message.reached.get(&phone.number) == Some(&false);
        let (mut records, mut hooks) = (Vec::new(), Vec::new());
        for message in world.groups.all.keys().flat_map(|id| world.groups.thread(id)).filter(unread) {
            let mut message = message.clone();
            message.reached.insert(phone.number.clone(), true);
            let value = shapes::status(&self.settings, &message, "read", std::slice::from_ref(phone), &json!({}), at);
            hooks.push(Outgoing { value, message: None, after: Duration::from_millis(50), copies: 1 });
            records.push(Record::GroupMessage(message));
        }
        (records, hooks)
    }
}

fn obstacle(group: &Group, checked: &Checked, now: i64) -> Option<GraphError> {
    if group.members().next().is_none() {
        return Some(GraphError::new(131020, "Cannot send messages to single member groups."));
    }
    if checked.kind != "template" && !group.the_window_is_open(now) {
        let details = "Message failed to send because more than 24 hours have passed since a member last wrote in this group.";
        return Some(GraphError::new(131047, details));
    }
    None
}

fn message(id: String, group: &Group, checked: Checked, at: i64) -> GroupMessage {
    let reached: BTreeMap<String, bool> = group.members().map(|number| (number.clone(), false)).collect();
    let (callback_data, shown) = (checked.callback_data, checked.shown);
    let (text, template, file) = (shown.text, shown.template, shown.file);
    let status = Status::Delivered;
    GroupMessage { id, group: group.id.clone(), at, from: None, text, template, callback_data, file, status, reached }
}

fn answer(group: &Group, kind: &str, wamid: &str) -> Value {
    let mut message = json!({"id": wamid, "group_id": group.id});
    if kind == "template" {
        message["message_status"] = json!("accepted");
    }
    json!({"messaging_product": "whatsapp", "contacts": [{"input": group.id, "wa_id": group.id}], "messages": [message]})
}

/// Each delivered member is charged, but for what is said within the group's window (Meta, groups pricing).
fn pricing(checked: &Checked, the_window_is_open: bool) -> Value {
    let category = checked.pricing["category"].as_str().unwrap_or("service");
    let free = the_window_is_open && category != "marketing";
    let kind = if free { "free_group_customer_service" } else { "regular" };
    json!({"billable": !free, "pricing_model": "PMP", "type": kind, "category": format!("group_{category}")})
}
