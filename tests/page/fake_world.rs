//! A world of a few lines for the page's own tests: it plays the first conversation by heart and decides nothing.
use std::sync::{Mutex, MutexGuard};

use liaison::sandbox::page::World;
use liaison::sandbox::views::{ButtonView, MemberView, MessageView, PhoneMessageView, PhoneView, RoomView, UserView};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

pub const JANE: u64 = 7001;
pub const BOB: u64 = 7002;
pub const BOT: u64 = 9001;
const START: i64 = 1_772_442_000_000;
const DAY: i64 = 86_400_000;

pub struct FakeWorld {
    scene: Mutex<Scene>,
    version: watch::Sender<u64>,
    begun: std::time::Instant,
}

#[derive(Default)]
struct Scene {
    shift: i64,
    rooms: Vec<RoomView>,
    lines: Vec<(String, MessageView)>,
    submitted: Vec<(u64, String, String)>,
    phones: Vec<PhoneView>,
    on_phones: Vec<(String, PhoneMessageView)>,
    journal: Vec<Value>,
    held: Vec<(String, String)>,
    agreed: bool,
    client_wrote: i64,
    pub forms: Vec<Map<String, Value>>,
}

impl FakeWorld {
    pub fn new() -> FakeWorld {
        let phone = |number: &str, name: &str, on_whatsapp| PhoneView { number: number.into(), name: name.into(), on_whatsapp };
        let phones = vec![phone("+4915112345678", "Ann Lee", true), phone("+12125550107", "Tom Rivera", true)];
        let scene = Scene { phones, ..Scene::default() };
        FakeWorld { scene: Mutex::new(scene), version: watch::Sender::new(0), begun: std::time::Instant::now() }
    }

    pub fn submitted_values(&self) -> Vec<Map<String, Value>> {
        self.lock().forms.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap()
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn post(&self, scene: &mut Scene, from: u64, stream: &str, markup: &str, text: &str, liaison: Value) -> MessageView {
        let message = MessageView {
            id: format!("msg{}", scene.lines.len() + 1),
            at: self.now(scene),
            from: user(from),
            presentation: format!(r#"<div data-format="PresentationML" data-version="2.0">{markup}</div>"#),
            text: text.into(),
            data: if liaison.is_null() { Value::Null } else { json!({ "liaison": liaison }) },
            submitted: vec![],
            edited: false,
            files: vec![],
        };
        scene.lines.push((stream.into(), message.clone()));
        if let Some(room) = scene.rooms.iter_mut().find(|room| room.id == stream) {
            room.last_message = message.at;
        }
        message
    }

    fn bot(&self, scene: &mut Scene, stream: &str, code: &str, markup: &str) {
        let text = markup.replace("<br/>", "\n").replace("<b>", "").replace("</b>", "");
        self.post(scene, BOT, stream, markup, &text, json!({ "type": "liaison.message", "version": "1", "code": code }));
    }

    fn to_phone(&self, scene: &mut Scene, text: &str, template: Option<&str>, buttons: &[(&str, &str)]) {
        let message = PhoneMessageView {
            id: format!("wamid.in{}", scene.on_phones.len()),
            at: self.now(scene),
            channel: "whatsapp".into(),
            direction: "in".into(),
            text: text.into(),
            template: template.map(str::to_owned),
            buttons: buttons
                .iter()
                .map(|(payload, title)| ButtonView { payload: payload.to_string(), title: title.to_string() })
                .collect(),
            status: "delivered".into(),
            callback_data: None,
            file: None,
            line: None,
            call: None,
        };
        scene.on_phones.push(("+4915112345678".into(), message));
        self.note(scene, "sent", "liaison", Some("m-4K2P"));
    }

    fn note(&self, scene: &mut Scene, kind: &str, actor: &str, message: Option<&str>) {
        let at = jiff::Timestamp::from_millisecond(self.now(scene)).unwrap().to_string();
        let entry = json!({ "sequence": scene.journal.len() + 1, "at": at, "provider_at": at, "actor": actor, "kind": kind,
            "contact": "c-7F3K", "room": "Ann Lee", "message": message });
        scene.journal.push(entry);
    }

    fn now(&self, scene: &Scene) -> i64 {
        START + scene.shift + self.begun.elapsed().as_millis() as i64
    }

    fn open_room(&self, scene: &mut Scene, kind: &str, name: &str, members: &[u64]) -> String {
        let id = format!("stream{}_-x", scene.rooms.len() + 1);
        let member = |id: &u64| MemberView { id: *id, name: user(*id).name, email: user(*id).email, owner: *id == members[0] };
        scene.rooms.push(RoomView {
            id: id.clone(),
            name: name.into(),
            kind: kind.into(),
            active: true,
            members: members.iter().map(member).collect(),
            created: self.now(scene),
            last_message: 0,
            description: String::new(),
        });
        id
    }

    fn answer_command(&self, scene: &mut Scene, stream: &str, text: &str) {
        self.note(scene, "command", "jane.doe@acme.com", None);
        if text.starts_with("/contact add Ann") {
            let room = self.open_room(scene, "ROOM", "Ann Lee", &[BOT, JANE]);
            self.bot(
                scene,
                &room,
                "room_opened",
                "Room for <b>Ann Lee</b> is open. You can write now; messages wait for the answer.",
            );
            self.bot(scene, stream, "answer", "Added Ann Lee (c-7F3K) for Jane Doe.<br/>The client gets an invitation on WhatsApp.<br/>Write in the room <b>Ann Lee</b>.");
            let invitation = "Hello Ann, Jane Doe of Acme Wealth would like to write to you here on WhatsApp. Do you agree?";
            self.to_phone(
                scene,
                invitation,
                Some("liaison_invitation"),
                &[("consent:yes", "Yes, please"), ("consent:stop", "No, thank you")],
            );
            self.note(scene, "contact_added", "jane.doe@acme.com", None);
        } else if text.starts_with("/contact add") {
            self.post(scene, BOT, stream, FORM, "Add a contact", json!({ "code": "form" }));
        } else if text.starts_with("/template send") {
            let confirm = r#"Preview for Ann Lee: “Hello Ann, do you have a moment this week?”<form id="confirm"><button name="confirm" type="action" class="primary">Send it</button><button name="cancel" type="action" class="secondary">Cancel</button></form>"#;
            self.post(scene, BOT, stream, confirm, "Preview", json!({ "code": "confirm" }));
        } else {
            self.bot(scene, stream, "refusal", "I do not know that command.<br/>Did you mean <b>/contact add</b>?");
        }
    }

    fn relay(&self, scene: &mut Scene, stream: &str, text: &str) {
        let window_open = self.now(scene) - scene.client_wrote < DAY;
        if scene.agreed && window_open {
            return self.to_phone(scene, text, None, &[]);
        }
        scene.held.push((stream.into(), text.into()));
        let why = if scene.agreed {
            "Held: Ann Lee last wrote more than 24 hours ago.<br/>Send a template to ask for an answer: <b>/template send</b>."
        } else {
            "Held until Ann Lee agrees."
        };
        self.bot(scene, stream, "held", why);
        self.note(scene, "held", "jane.doe@acme.com", Some("m-4K2P"));
    }

    fn hear_client(&self, scene: &mut Scene, text: &str, payload: Option<&str>) {
        scene.client_wrote = self.now(scene);
        let Some(room) = scene.rooms.iter().find(|room| room.name == "Ann Lee").map(|room| room.id.clone()) else { return };
        if payload == Some("consent:yes") {
            scene.agreed = true;
            self.bot(scene, &room, "consent_yes", "Ann Lee has agreed.");
            self.to_phone(
                scene,
                "Thank you. You have agreed to hear from Acme Wealth on WhatsApp. Reply STOP at any time to end it.",
                None,
                &[],
            );
            self.note(scene, "consent_given", "Ann Lee", None);
        } else {
            let safe = text.replace('&', "&amp;").replace('<', "&lt;").replace('\n', "<br/>");
            self.bot(scene, &room, "client_message", &format!("<b>Ann Lee</b> · WhatsApp<br/>{safe}"));
        }
        for (stream, text) in std::mem::take(&mut scene.held) {
            self.to_phone(scene, &text, None, &[]);
            self.bot(scene, &stream, "released", "Sent now: what was held.");
        }
    }
}

impl World for FakeWorld {
    fn now_ms(&self) -> i64 {
        self.now(&self.lock())
    }

    fn advance(&self, ms: i64) {
        self.lock().shift += ms;
        self.changed();
    }

    fn users(&self) -> Vec<UserView> {
        [JANE, BOB, BOT].into_iter().map(user).collect()
    }

    fn bot_id(&self) -> u64 {
        BOT
    }

    fn rooms_of(&self, user: u64) -> Vec<RoomView> {
        self.all_rooms().into_iter().filter(|room| room.members.iter().any(|member| member.id == user)).collect()
    }

    fn all_rooms(&self) -> Vec<RoomView> {
        self.lock().rooms.clone()
    }

    fn chat_messages(&self, stream: &str, as_user: Option<u64>) -> Vec<MessageView> {
        let scene = self.lock();
        let is_member = |user| {
            let room = scene.rooms.iter().find(|room| room.id == stream);
            room.is_some_and(|room| room.members.iter().any(|member| member.id == user))
        };
        if !as_user.is_none_or(is_member) {
            return Vec::new();
        }
        let mut lines: Vec<_> = scene.lines.iter().filter(|(room, _)| room == stream).map(|(_, line)| line.clone()).collect();
        for line in &mut lines {
            let own = scene
                .submitted
                .iter()
                .filter(|(user, message, _)| as_user.is_none_or(|reader| reader == *user) && *message == line.id);
            line.submitted = own.map(|(_, _, form)| form.clone()).collect();
        }
        lines
    }

    fn im(&self, a: u64, b: u64) -> String {
        let between =
            |room: &RoomView| room.kind == "IM" && [a, b].iter().all(|id| room.members.iter().any(|member| member.id == *id));
        let mut scene = self.lock();
        if let Some(room) = scene.rooms.iter().find(|room| between(room)) {
            return room.id.clone();
        }
        let id = self.open_room(&mut scene, "IM", "", &[a, b]);
        drop(scene);
        self.changed();
        id
    }

    fn post_as(&self, user: u64, stream: &str, text: &str) -> Result<MessageView, String> {
        let mut scene = self.lock();
        let room = scene.rooms.iter().find(|room| room.id == stream).cloned().ok_or("There is no such room.")?;
        let safe = text.replace('&', "&amp;").replace('<', "&lt;").replace('\n', "<br/>");
        let posted = self.post(&mut scene, user, stream, &safe, text, Value::Null);
        let to_bot = room.members.iter().any(|member| member.id == BOT);
        match (to_bot, text.starts_with('/'), room.kind.as_str()) {
            (true, true, _) => self.answer_command(&mut scene, stream, text),
            (true, false, "ROOM") => self.relay(&mut scene, stream, text),
            _ => {}
        }
        drop(scene);
        self.changed();
        Ok(posted)
    }

    fn submit_form(&self, user: u64, stream: &str, message: &str, form: &str, values: Map<String, Value>) -> Result<(), String> {
        let mut scene = self.lock();
        if !scene.lines.iter().any(|(room, line)| room == stream && line.id == message) {
            return Err("There is no such message in this room.".into());
        }
        scene.submitted.push((user, message.into(), form.into()));
        if values.get("action") == Some(&json!("confirm")) {
            self.to_phone(&mut scene, "Hello Ann, do you have a moment this week?", Some("follow_up"), &[]);
            self.bot(&mut scene, stream, "answer", "Sent. The window opens only if the client answers.");
        }
        scene.forms.push(values);
        drop(scene);
        self.changed();
        Ok(())
    }

    fn phones(&self) -> Vec<PhoneView> {
        self.lock().phones.clone()
    }

    fn add_phone(&self, number: &str, name: &str, on_whatsapp: bool) -> Result<(), String> {
        self.lock().phones.push(PhoneView { number: number.into(), name: name.into(), on_whatsapp });
        self.changed();
        Ok(())
    }

    fn phone_messages(&self, number: &str) -> Vec<PhoneMessageView> {
        self.lock().on_phones.iter().filter(|(phone, _)| phone == number).map(|(_, message)| message.clone()).collect()
    }

    fn phone_send(&self, number: &str, text: Option<&str>, payload: Option<&str>) -> Result<PhoneMessageView, String> {
        let mut scene = self.lock();
        let title = payload.and_then(|payload| {
            scene
                .on_phones
                .iter()
                .flat_map(|(_, message)| &message.buttons)
                .find(|button| button.payload == payload)
                .map(|button| button.title.clone())
        });
        let words = match (text, title) {
            (Some(text), _) => text.to_owned(),
            (None, Some(title)) => title,
            (None, None) => return Err("No message on this phone has that button.".into()),
        };
        let sent = PhoneMessageView {
            id: format!("wamid.out{}", scene.on_phones.len()),
            at: self.now(&scene),
            channel: "whatsapp".into(),
            direction: "out".into(),
            text: words.clone(),
            template: None,
            buttons: vec![],
            status: "sent".into(),
            callback_data: None,
            file: None,
            line: None,
            call: None,
        };
        scene.on_phones.push((number.into(), sent.clone()));
        self.note(&mut scene, "client_message", number, None);
        if number == "+4915112345678" {
            self.hear_client(&mut scene, &words, payload);
        }
        drop(scene);
        self.changed();
        Ok(sent)
    }

    fn phone_call(&self, _number: &str) -> Result<(), String> {
        Err("Calls come with SMS.".into())
    }

    fn trouble(&self, provider: &str, _code: &str, _times: u32) -> Result<(), String> {
        if provider == "whatsapp" { Ok(()) } else { Err(format!("There is no trouble to be had with {provider}.")) }
    }

    fn journal(&self, after: u64, limit: usize) -> Vec<Value> {
        self.lock().journal.iter().filter(|entry| entry["sequence"].as_u64() > Some(after)).take(limit).cloned().collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

fn user(id: u64) -> UserView {
    let (name, email) = match id {
        JANE => ("Jane Doe", "jane.doe@acme.com"),
        BOB => ("Bob Martin", "bob.martin@acme.com"),
        _ => ("Liaison", "liaison@acme.com"),
    };
    UserView { id, name: name.into(), email: email.into(), username: email.split('@').next().unwrap().into(), service: id == BOT }
}

/// One of each Element, as a pod returns them.
const FORM: &str = r#"Add a contact&nbsp;<b>here</b><form id="contact-add">
<text-field name="first" label="First name" required="true" placeholder="Ann"/><text-field name="last" label="Last name" required="true"></text-field>
<text-field name="phone" label="Phone" placeholder="+49 …">+49151</text-field><text-field name="email" label="E-mail"/>
<select name="channel" label="Channel" required="true"><option value="whatsapp" selected="true">WhatsApp</option><option value="sms">SMS</option></select>
<person-selector name="for" label="Requestor" placeholder="Choose a colleague"/>
<date-picker name="since" label="Client since" value="2026-03-02"/><time-picker name="call" label="Best time" value="09:30:00"/>
<textarea name="remark" label="Remark" placeholder="For colleagues only"/>
<radio name="lang" value="en" checked="true">English</radio><radio name="lang" value="de">German</radio>
<checkbox name="room" value="true">Create a room</checkbox>
<button name="submit" type="action" class="primary">Add</button><button name="reset" type="reset" class="secondary">Reset</button><button name="cancel" type="action" class="destructive">Cancel</button></form>"#;
