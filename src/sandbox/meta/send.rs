//! `POST /{phone-number-id}/messages`: what Meta checks, in its order, and what follows a message that was accepted.
use super::errors::GraphError;
use super::groups::is_for_a_group;
use super::shapes::{self, Told};
use super::template::Shown;
use super::trouble::Twist;
use super::world::{Message, Outgoing, Phone, Record, Status, Taps, World};
use super::{Fails, Inner, Strangers};
use crate::sandbox::views::{ButtonView, FileView};
use serde_json::{Value, json};
use std::time::Duration;

/// Limits of Meta's send-messages pages, in characters.
const MAX_TEXT: usize = 4096;
const MAX_CALLBACK_DATA: usize = 512;
const MAX_CAPTION: usize = 1024;
const MAX_INTERACTIVE_BODY: usize = 1024;
const MAX_INTERACTIVE_FOOTER: usize = 60;
const MAX_REPLY_BUTTONS: usize = 3;
const MAX_REPLY_ID: usize = 256;
const MAX_REPLY_TITLE: usize = 20;
const MAX_LIST_ROWS: usize = 10;
/// Statuses follow the answer after a moment, as they do with Meta, and seldom overtake it.
const SENT_AFTER: Duration = Duration::from_millis(10);
const DELIVERED_AFTER: Duration = Duration::from_millis(40);

/// Whom a request names: `to` wins over `recipient`.
struct Addressed {
    input: String,
    phone: Phone,
    by_user_id: bool,
}

/// A request that has passed every check of its form.
pub(super) struct Checked {
    pub kind: String,
    pub shown: Shown,
    pub pricing: Value,
    pub callback_data: Option<String>,
}

/// A message that has been accepted and now has its consequences.
struct Accepted {
    phone: Phone,
    checked: Checked,
    wamid: String,
    at: i64,
}

impl Inner {
    /// A read receipt or a typing indicator, which has its own small answer; `None` if the request is a message.
    pub(super) fn receipt(&self, request: &Value) -> Option<Result<Value, GraphError>> {
        if request["status"].as_str() != Some("read") {
            return None;
        }
        let known = self.world().message(request["message_id"].as_str().unwrap_or_default()).is_some_and(|m| !m.from_firm);
        let unknown = || GraphError::new(131009, "Parameter message_id is not the id of a message to this number");
        Some(known.then(|| json!({"success": true})).ok_or_else(unknown))
    }

    /// Checks and accepts one message; its phone shows it and its statuses are on their way when this returns.
    pub(super) fn accept(&self, request: &Value, twist: Twist) -> Result<Value, GraphError> {
        if is_for_a_group(request) {
            return self.accept_in_group(request, twist, true);
        }
        let mut world = self.world();
        let now = (self.now)();
        let addressed = self.addressed(&world, request)?;
        let checked = self.check(&world, request, addressed.phone.the_window_is_open(now), now)?;
        self.may_reach(&addressed.phone, &checked, now)?;
        world.pace.admit(&addressed.phone.number, now)?;
        let wamid = shapes::wamid(addressed.phone.wa_id(), true);
        let answer = answer(&addressed, &checked.kind, &wamid);
        let accepted = Accepted { phone: addressed.phone, checked, wamid, at: now };
        let hooks = self.told(&accepted, twist);
        let records = if twist.fails.is_some() { Vec::new() } else { self.shown(&world, accepted) };
        self.commit(&mut world, records, hooks)?;
        Ok(answer)
    }

    /// The answer of an accepted message that goes nowhere, for the trouble "hang".
    pub(super) fn pretend(&self, request: &Value) -> Result<Value, GraphError> {
        if is_for_a_group(request) {
            return self.accept_in_group(request, Twist::default(), false);
        }
        let (world, now) = (self.world(), (self.now)());
        let addressed = self.addressed(&world, request)?;
        let checked = self.check(&world, request, addressed.phone.the_window_is_open(now), now)?;
        Ok(answer(&addressed, &checked.kind, &shapes::wamid(addressed.phone.wa_id(), true)))
    }

    fn addressed(&self, world: &World, request: &Value) -> Result<Addressed, GraphError> {
        if request["messaging_product"].as_str() != Some("whatsapp") {
            return Err(GraphError::new(100, "The parameter messaging_product is required."));
        }
        let named = ["to", "recipient"].iter().find_map(|key| request[*key].as_str().map(|value| (*key, value)));
        match named {
            Some(("to", input)) => self.by_number(world, input),
            Some((_, input)) => by_user_id(world, input),
            None => Err(GraphError::new(100, "The parameter to is required.")),
        }
    }

    fn by_number(&self, world: &World, input: &str) -> Result<Addressed, GraphError> {
        let number =
            super::phones::number(input).ok_or_else(|| GraphError::new(131009, "Recipient phone number is not valid"))?;
        if number == self.settings.number {
            return Err(GraphError::new(131021, "Recipient cannot be sender"));
        }
        let reachable = self.habits().strangers == Strangers::Adopt;
        let stranger = || Phone::new(&number, &number, reachable);
        let phone = world.phones.get(&number).cloned().unwrap_or_else(stranger);
        Ok(Addressed { input: input.to_string(), phone, by_user_id: false })
    }

    pub(super) fn check(
        &self,
        world: &World,
        request: &Value,
        the_window_is_open: bool,
        now: i64,
    ) -> Result<Checked, GraphError> {
        let kind = request["type"].as_str().unwrap_or("text").to_lowercase();
        let content = &request[&kind];
        // Cards come as a list, everything else as one object.
        if !(if kind == "contacts" { content.is_array() } else { content.is_object() }) {
            return Err(GraphError::new(100, format!("The parameter {kind} is required.")));
        }
        let callback_data = request["biz_opaque_callback_data"].as_str().map(str::to_string);
        if callback_data.as_deref().is_some_and(|data| data.chars().count() > MAX_CALLBACK_DATA) {
            return Err(too_long("biz_opaque_callback_data", MAX_CALLBACK_DATA));
        }
        let mut category = "service".to_string();
        let shown = match kind.as_str() {
            "text" => text(content)?,
            "template" => template(world, content, &mut category, now)?,
            "interactive" => interactive(content)?,
            "reaction" => reaction(world, content)?,
            "image" | "document" | "audio" | "video" | "sticker" => media(world, &kind, content)?,
            "location" | "contacts" => line(format!("[{kind}]")),
            _ => return Err(GraphError::new(100, format!("Param type must be one of {{TEXT, TEMPLATE, …}} - got \"{kind}\"."))),
        };
        let pricing = pricing(&category, the_window_is_open);
        Ok(Checked { kind, shown, pricing, callback_data })
    }

    /// The refusals that depend on the person, where the sandbox is told to give them in the answer.
    fn may_reach(&self, phone: &Phone, checked: &Checked, now: i64) -> Result<(), GraphError> {
        let habits = self.habits();
        match self.obstacle(phone, checked, now) {
            Some(error) if error.code == 131026 && habits.unreachable == Fails::Sync => Err(error),
            Some(error) if error.code == 131047 && habits.window == Fails::Sync => Err(error),
            Some(_) | None => Ok(()),
        }
    }

    fn obstacle(&self, phone: &Phone, checked: &Checked, now: i64) -> Option<GraphError> {
        if !phone.on_whatsapp {
            return Some(GraphError::new(131026, "Message Undeliverable."));
        }
        if checked.kind != "template" && !phone.the_window_is_open(now) {
            let details =
                "Message failed to send because more than 24 hours have passed since the customer last replied to this number.";
            return Some(GraphError::new(131047, details));
        }
        None
    }

    /// The webhooks of an accepted message.
    fn told(&self, accepted: &Accepted, twist: Twist) -> Vec<Outgoing> {
        let Accepted { phone, checked, wamid, at } = accepted;
        let told = Told { phone, wamid, callback_data: checked.callback_data.as_deref(), at: *at };
        let out = |value, after| Outgoing { value, message: None, after: after + twist.late, copies: twist.copies };
        let status = |word| shapes::status(&self.settings, &told, word, Some(&checked.pricing));
        let ordered = twist.fails.map(|code| GraphError::new(code, super::errors::title(code)));
        let (first, second) = if twist.backwards { (DELIVERED_AFTER, SENT_AFTER) } else { (SENT_AFTER, DELIVERED_AFTER) };
        match ordered.or_else(|| self.obstacle(phone, checked, *at)) {
            _ if !twist.statuses => Vec::new(),
            Some(error) => vec![out(shapes::failure(&self.settings, &told, &error), SENT_AFTER)],
            None => vec![out(status("sent"), first), out(status("delivered"), second)],
        }
    }

    /// What the phone shows of it: nothing, if it could not be reached.
    fn shown(&self, world: &World, accepted: Accepted) -> Vec<Record> {
        if self.obstacle(&accepted.phone, &accepted.checked, accepted.at).is_some() {
            return Vec::new();
        }
        let stranger = !world.phones.contains_key(&accepted.phone.number);
        let phone = stranger.then(|| Record::Phone(accepted.phone.clone()));
        phone.into_iter().chain([Record::Message(delivered(accepted))]).collect()
    }
}

fn delivered(accepted: Accepted) -> Message {
    let Accepted { phone, checked, wamid, at } = accepted;
    let Shown { text, buttons, taps, template, file } = checked.shown;
    let (phone, callback_data, status) = (phone.number, checked.callback_data, Status::Delivered);
    Message { id: wamid, phone, at, from_firm: true, text, template, buttons, taps, status, callback_data, file }
}

/// Only templates are answered with a `message_status`.
fn answer(addressed: &Addressed, kind: &str, wamid: &str) -> Value {
    let contact = if addressed.by_user_id {
        json!({"input": addressed.input, "user_id": addressed.phone.user_id})
    } else {
        json!({"input": addressed.input, "wa_id": addressed.phone.wa_id()})
    };
    let message = if kind == "template" { json!({"id": wamid, "message_status": "accepted"}) } else { json!({ "id": wamid }) };
    json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]})
}

fn by_user_id(world: &World, input: &str) -> Result<Addressed, GraphError> {
    let phone = world.phones.values().find(|phone| phone.user_id == input).cloned();
    let phone = phone.ok_or_else(|| GraphError::new(131009, "Parameter recipient is not the id of a known user"))?;
    Ok(Addressed { input: input.to_string(), phone, by_user_id: true })
}

/// Utility inside an open window is free; service messages are billed since October 2026.
fn pricing(category: &str, the_window_is_open: bool) -> Value {
    let free = category == "utility" && the_window_is_open;
    let kind = if free { "free_customer_service" } else { "regular" };
    json!({"billable": !free, "pricing_model": "PMP", "type": kind, "category": category})
}

fn too_long(what: &str, most: usize) -> GraphError {
    GraphError::new(100, format!("Param {what} must be at most {most} characters long."))
}

fn required<'a>(content: &'a Value, place: &str, key: &str) -> Result<&'a str, GraphError> {
    let value = content[key].as_str().filter(|value| !value.is_empty());
    value.ok_or_else(|| GraphError::new(100, format!("The parameter {place}['{key}'] is required.")))
}

fn line(text: String) -> Shown {
    Shown { text, ..Shown::default() }
}

fn text(content: &Value) -> Result<Shown, GraphError> {
    let body = required(content, "text", "body")?;
    if body.chars().count() > MAX_TEXT {
        return Err(too_long("text['body']", MAX_TEXT));
    }
    Ok(line(body.to_string()))
}

fn template(world: &World, content: &Value, category: &mut String, now: i64) -> Result<Shown, GraphError> {
    let name = required(content, "template", "name")?;
    let language = required(&content["language"], "template['language']", "code")?;
    let known = world.templates.get(&(name.to_string(), language.to_string()));
    let missing = || GraphError::new(132001, format!("template name ({name}) does not exist in {language}"));
    let template = known.ok_or_else(missing)?;
    if let Some(refusal) = template.refusal(now) {
        return Err(refusal);
    }
    *category = template.category.to_lowercase();
    let components = content["components"].as_array().map_or(&[][..], Vec::as_slice);
    let mut shown = template.render(components)?;
    let parameters = components.iter().filter_map(|component| component["parameters"].as_array()).flatten();
    for id in parameters.filter_map(|parameter| parameter["group_id"].as_str()) {
        shown.text = shown.text.replace(&format!("https://chat.whatsapp.com/{id}"), &world.groups.link_of(id)?);
    }
    Ok(shown)
}

fn reaction(world: &World, content: &Value) -> Result<Shown, GraphError> {
    let target = required(content, "reaction", "message_id")?;
    if world.message(target).is_none() {
        return Err(GraphError::new(131009, "Parameter reaction['message_id'] is not the id of a message with this person"));
    }
    match content["emoji"].as_str().unwrap_or_default() {
        "" => Ok(line("[reaction removed]".into())),
        emoji => Ok(line(format!("[reaction] {emoji}"))),
    }
}

fn media(world: &World, kind: &str, content: &Value) -> Result<Shown, GraphError> {
    match (content["id"].as_str(), content["link"].as_str()) {
        (Some(id), _) if world.media.contains_key(id) => {}
        (Some(_), _) => {
            let text = format!("Param {kind}['id'] is not a valid whatsapp business account media attachment ID");
            return Err(GraphError::new(100, text));
        }
        (None, Some(link)) if link.starts_with("https://") || link.starts_with("http://") => {}
        (None, Some(_)) => return Err(GraphError::new(100, format!("Param {kind}['link'] is not a valid URL."))),
        (None, None) => return Err(GraphError::new(100, format!("The parameter {kind}['id'] or {kind}['link'] is required."))),
    }
    if content["caption"].as_str().is_some_and(|caption| caption.chars().count() > MAX_CAPTION) {
        return Err(too_long(&format!("{kind}['caption']"), MAX_CAPTION));
    }
    let file = content["id"].as_str().and_then(|id| world.media.get(id)).map(|media| {
        let named = content["filename"].as_str().map(str::to_string);
        let view = media.view();
        FileView { name: named.unwrap_or(view.name.clone()), ..view }
    });
    Ok(Shown { file, ..line(media_line(kind, content)) })
}

/// How a phone shows a file: its kind, its name, its caption.
pub(super) fn media_line(kind: &str, content: &Value) -> String {
    let parts = ["filename", "caption"].iter().filter_map(|key| content[*key].as_str());
    parts.fold(format!("[{kind}]"), |line, part| line + " " + part)
}

fn interactive(content: &Value) -> Result<Shown, GraphError> {
    let wrong = |details: &str| GraphError::new(131009, details);
    let kind = content["type"].as_str().unwrap_or_default().to_lowercase();
    let body = content["body"]["text"].as_str().unwrap_or_default();
    let footer = content["footer"]["text"].as_str().unwrap_or_default();
    if body.is_empty() || body.chars().count() > MAX_INTERACTIVE_BODY {
        return Err(wrong("Parameter interactive['body']['text'] must have 1 to 1024 characters"));
    }
    if footer.chars().count() > MAX_INTERACTIVE_FOOTER {
        return Err(wrong("Parameter interactive['footer']['text'] must have at most 60 characters"));
    }
    let action = &content["action"];
    let (buttons, taps) = match kind.as_str() {
        "button" => (reply_buttons(action)?, Taps::Button),
        "list" => (list_rows(action)?, Taps::ListRow),
        "cta_url" => (vec![titled(&action["parameters"]["display_text"])], Taps::Button),
        "contact_request" | "location_request_message" => (Vec::new(), Taps::Button),
        _ => return Err(wrong("Parameter interactive['type'] is not one of {button, list, cta_url, contact_request}")),
    };
    let header = content["header"]["text"].as_str().unwrap_or_default();
    let text = [header, body, footer].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    Ok(Shown { text, buttons, taps, template: None, file: None })
}

fn titled(title: &Value) -> ButtonView {
    ButtonView { payload: String::new(), title: title.as_str().unwrap_or_default().to_string() }
}

fn reply_buttons(action: &Value) -> Result<Vec<ButtonView>, GraphError> {
    let wrong = |details: &str| Err(GraphError::new(131009, details));
    let buttons = action["buttons"].as_array().map_or(&[][..], Vec::as_slice);
    if buttons.is_empty() || buttons.len() > MAX_REPLY_BUTTONS {
        return wrong("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3");
    }
    let mut views: Vec<ButtonView> = Vec::new();
    for button in buttons {
        let (id, title) = (&button["reply"]["id"], &button["reply"]["title"]);
        let view = ButtonView { payload: id.as_str().unwrap_or_default().to_string(), ..titled(title) };
        let fits = |text: &str, most: usize| !text.is_empty() && text.chars().count() <= most;
        if !fits(&view.payload, MAX_REPLY_ID) || !fits(&view.title, MAX_REPLY_TITLE) {
            return wrong("Button title length invalid. Min length: 1, Max length: 20; id: 1 to 256");
        }
        if views.iter().any(|other| other.payload == view.payload || other.title == view.title) {
            return wrong("Duplicate button id or title");
        }
        views.push(view);
    }
    Ok(views)
}

fn list_rows(action: &Value) -> Result<Vec<ButtonView>, GraphError> {
    let sections = action["sections"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = sections.iter().filter_map(|section| section["rows"].as_array()).flatten();
    let row = |row: &Value| ButtonView { payload: row["id"].as_str().unwrap_or_default().to_string(), ..titled(&row["title"]) };
    let rows: Vec<ButtonView> = rows.map(row).collect();
    if rows.is_empty() || rows.len() > MAX_LIST_ROWS {
        return Err(GraphError::new(131009, "Total row count exceed max allowed count: 10"));
    }
    Ok(rows)
}
