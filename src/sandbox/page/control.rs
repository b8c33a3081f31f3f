//! The control calls: everything that the page can do, a script can do with the same paths.
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::files::{self, GivenFile};
use super::groups;
use super::listen;
use super::world::World;
use crate::sandbox::twilio::{CallPlan, Texted};
use crate::sandbox::views::{MessageView, PhoneMessageView, PhoneView, RoomView, UserView};

/// The furthest that one call moves the clock, in milliseconds: a year, so that a slip of the finger stays harmless.
const MAX_ADVANCE: i64 = 366 * 24 * 3_600_000;
/// Journal entries in one answer; a page asks again with the last sequence it got.
const MAX_JOURNAL: usize = 1_000;
/// The most calls that one order of trouble spoils.
const MAX_TROUBLE: u32 = 1_000;
/// Bytes of a call that may bring files, in Base64: Symphony's 30 MB of one message, or a client's.
const FILES_LIMIT: usize = 48 * 1024 * 1024;
/// Characters of a room's last line in the list of rooms.
const LAST_LINE: usize = 120;

#[derive(Clone)]
pub(super) struct Control {
    pub(super) world: Arc<dyn World>,
    seats: Arc<Semaphore>,
}

pub(super) fn routes(world: Arc<dyn World>) -> Router {
    Router::new()
        .route("/api/clock", get(clock).post(advance))
        .route("/api/users", get(users))
        .route("/api/users/{email}/messages", post(write_in_chat).layer(DefaultBodyLimit::max(FILES_LIMIT)))
        .route("/api/users/{email}/forms", post(send_form))
        .route("/api/users/{email}/ims", post(open_im))
        .route("/api/rooms", get(rooms))
        .route("/api/rooms/{id}/messages", get(room_messages))
        .route("/api/phones", get(phones).post(add_phone))
        .route(
            "/api/phones/{number}/messages",
            get(phone_messages).post(write_on_phone).layer(DefaultBodyLimit::max(FILES_LIMIT)),
        )
        .route("/api/phones/{number}/look", post(look))
        .route("/api/phones/{number}/groups", get(groups::all))
        .route("/api/phones/{number}/groups/join", post(groups::join))
        .route("/api/phones/{number}/groups/{group}/leave", post(groups::leave))
        .route("/api/phones/files/{file}", get(files::on_phone))
        .route("/api/rooms/files/{message}/{file}", get(files::in_chat))
        .route("/api/phones/{number}/calls", post(call))
        .route("/api/trouble", post(make_trouble))
        .route("/api/journal", get(journal))
        .route("/api/events", get(events))
        .with_state(Control { world, seats: listen::seats() })
}

/// Why a call did nothing: what is wrong, where, and how to mend it.
#[derive(Debug)]
pub struct Complaint {
    status: StatusCode,
    error: String,
    place: String,
    mend: String,
}

impl Complaint {
    pub fn new(status: StatusCode, error: impl Into<String>, place: impl Into<String>, mend: impl Into<String>) -> Complaint {
        Complaint { status, error: error.into(), place: place.into(), mend: mend.into() }
    }

    pub fn missing(what: &str, which: &str, mend: &str) -> Complaint {
        Complaint::new(StatusCode::NOT_FOUND, format!("There is no {what} {which}."), what, mend)
    }

    pub(super) fn bad(error: impl Into<String>, place: &str, mend: &str) -> Complaint {
        Complaint::new(StatusCode::BAD_REQUEST, error, place, mend)
    }
}

impl IntoResponse for Complaint {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error, "where": self.place, "mend": self.mend }))).into_response()
    }
}

pub(super) type Answer<T> = Result<Json<T>, Complaint>;

/// A JSON body of any content type, so that `curl -d` does without a header.
pub(super) struct Said<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Said<T> {
    type Rejection = Complaint;

    async fn from_request(request: Request, state: &S) -> Result<Self, Complaint> {
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            Complaint::new(rejection.status(), rejection.body_text(), "body", "Send at most one megabyte of JSON.")
        })?;
        serde_json::from_slice(&body)
            .map(Said)
            .map_err(|error| Complaint::bad(error.to_string(), "body", "Send one JSON object with the fields of this call."))
    }
}

/// The part of an address after its question mark.
struct Asked<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Complaint;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Complaint> {
        let Query(asked) = Query::from_request_parts(parts, state).await.map_err(|rejection| {
            Complaint::bad(rejection.body_text(), "query", "Write ?name=value with the names of this call.")
        })?;
        Ok(Asked(asked))
    }
}

// ---- the clock

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: String,
}

#[derive(Serialize)]
struct Now {
    now: String,
    ms: i64,
}

impl Now {
    fn of(world: &dyn World) -> Now {
        let ms = world.now_ms();
        let now = jiff::Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default();
        Now { now, ms }
    }
}

async fn clock(State(control): State<Control>) -> Json<Now> {
    Json(Now::of(&*control.world))
}

async fn advance(State(control): State<Control>, Said(asked): Said<Advance>) -> Answer<Now> {
    let ms = span_ms(&asked.advance)
        .filter(|ms| (1..=MAX_ADVANCE).contains(ms))
        .ok_or_else(|| Complaint::bad("That is no span of time.", "advance", "Write 30s, 90m, 24h or 2d, at most 366d."))?;
    control.world.advance(ms);
    Ok(Json(Now::of(&*control.world)))
}

/// `<n>s`, `m`, `h` or `d` in milliseconds.
fn span_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let unit = match text.chars().last()? {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    let count = text.get(..text.len() - 1)?;
    let digits_only = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    digits_only.then(|| count.parse::<i64>().ok())?.and_then(|count| count.checked_mul(unit))
}

// ---- the chat

#[derive(Serialize)]
struct Users {
    bot: u64,
    users: Vec<UserView>,
}

async fn users(State(control): State<Control>) -> Json<Users> {
    Json(Users { bot: control.world.bot_id(), users: control.world.users() })
}

#[derive(Deserialize)]
struct AsUser {
    user: Option<String>,
}

/// A room and what its entry in the list shows besides.
#[derive(Serialize)]
struct ListedRoom {
    #[serde(flatten)]
    room: RoomView,
    last_line: String,
    last_from: Option<u64>,
}

/// The rooms of the user who is named, who reads in them; or all rooms, and nobody in particular reads.
fn rooms_for(world: &dyn World, whose: AsUser) -> Result<(Vec<RoomView>, Option<u64>), Complaint> {
    let Some(email) = whose.user else { return Ok((world.all_rooms(), None)) };
    let user = user_by(world, &email)?;
    Ok((world.rooms_of(user.id), Some(user.id)))
}

async fn rooms(State(control): State<Control>, Asked(whose): Asked<AsUser>) -> Answer<Vec<ListedRoom>> {
    let world = &*control.world;
    let (rooms, reader) = rooms_for(world, whose)?;
    Ok(Json(rooms.into_iter().map(|room| listed(world, room, reader)).collect()))
}

fn listed(world: &dyn World, room: RoomView, reader: Option<u64>) -> ListedRoom {
    let last = world.chat_messages(&room.id, reader).pop();
    let line = last.as_ref().and_then(|message| message.text.lines().find(|line| !line.trim().is_empty())).unwrap_or_default();
    ListedRoom { last_line: line.trim().chars().take(LAST_LINE).collect(), last_from: last.map(|message| message.from.id), room }
}

async fn room_messages(
    State(control): State<Control>,
    Path(id): Path<String>,
    Asked(reader): Asked<AsUser>,
) -> Answer<Vec<MessageView>> {
    let world = &*control.world;
    let (rooms, reader) = rooms_for(world, reader)?;
    let room = rooms.into_iter().find(|room| room.id == id).ok_or_else(|| no_such_room(&id))?;
    Ok(Json(world.chat_messages(&room.id, reader)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChatText {
    room: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    files: Vec<GivenFile>,
}

async fn write_in_chat(
    State(control): State<Control>,
    Path(email): Path<String>,
    Said(said): Said<ChatText>,
) -> Answer<MessageView> {
    let world = &*control.world;
    let user = user_by(world, &email)?;
    let stream = stream_for(world, &user, said.room.as_deref())?;
    let posted = match said.files.is_empty() {
        true => world.post_as(user.id, &stream, some_text(&said.text)?),
        false => world.post_files_as(user.id, &stream, &said.text, files::all(said.files)?),
    };
    posted.map(Json).map_err(|why| Complaint::bad(why, "room, text", "Look at the room in GET /api/rooms?user=…"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormSent {
    room: Option<String>,
    message: String,
    form: String,
    values: Map<String, Value>,
}

async fn send_form(State(control): State<Control>, Path(email): Path<String>, Said(sent): Said<FormSent>) -> Answer<Value> {
    let world = &*control.world;
    let user = user_by(world, &email)?;
    let stream = stream_for(world, &user, sent.room.as_deref())?;
    world
        .submit_form(user.id, &stream, &sent.message, &sent.form, sent.values)
        .map_err(|why| Complaint::bad(why, "message, form, values", "Take them from GET /api/rooms/{id}/messages."))?;
    Ok(Json(json!({ "sent": true })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct With {
    with: String,
}

/// Opens the 1:1 chat with another user, `bot` being Liaison.
async fn open_im(State(control): State<Control>, Path(email): Path<String>, Said(asked): Said<With>) -> Answer<Value> {
    let world = &*control.world;
    let user = user_by(world, &email)?;
    let other = if names_the_bot(&asked.with) { world.bot_id() } else { user_by(world, &asked.with)?.id };
    if other == user.id {
        return Err(Complaint::bad("Nobody chats with himself here.", "with", "Name another user or \"bot\"."));
    }
    Ok(Json(json!({ "id": world.im(user.id, other) })))
}

fn names_the_bot(name: &str) -> bool {
    name.is_empty() || name.eq_ignore_ascii_case("bot") || name.eq_ignore_ascii_case("liaison")
}

fn user_by(world: &dyn World, name: &str) -> Result<UserView, Complaint> {
    let known = |user: &UserView| user.email.eq_ignore_ascii_case(name) || user.username == name || user.id.to_string() == name;
    world.users().into_iter().find(known).ok_or_else(|| Complaint::missing("user", name, "GET /api/users lists them."))
}

/// A stream id or the name of a room that the user is in; nothing, `bot` or `liaison` is the 1:1 with the bot.
fn stream_for(world: &dyn World, user: &UserView, named: Option<&str>) -> Result<String, Complaint> {
    let named = named.unwrap_or_default().trim();
    if names_the_bot(named) {
        return Ok(world.im(user.id, world.bot_id()));
    }
    let rooms = world.rooms_of(user.id);
    if let Some(room) = rooms.iter().find(|room| room.id == named) {
        return Ok(room.id.clone());
    }
    let mut called_so: Vec<_> = rooms.iter().filter(|room| room.name.eq_ignore_ascii_case(named)).collect();
    if called_so.iter().any(|room| room.active) {
        called_so.retain(|room| room.active);
    }
    match called_so[..] {
        [room] => Ok(room.id.clone()),
        [] => Err(no_such_room(named)),
        _ => Err(Complaint::bad(format!("More than one room is called {named}."), "room", "Give the stream id instead.")),
    }
}

fn no_such_room(which: &str) -> Complaint {
    Complaint::missing("room", which, "GET /api/rooms?user=… lists the rooms that a user is in.")
}

pub(super) fn some_text(text: &str) -> Result<&str, Complaint> {
    if text.trim().is_empty() {
        return Err(Complaint::bad("There is nothing to send.", "text", "Write at least one character."));
    }
    Ok(text)
}

// ---- the phones

async fn phones(State(control): State<Control>) -> Json<Vec<PhoneView>> {
    Json(control.world.phones())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPhone {
    number: String,
    #[serde(default)]
    name: String,
    #[serde(default = "usually")]
    on_whatsapp: bool,
}

fn usually() -> bool {
    true
}

async fn add_phone(State(control): State<Control>, Said(phone): Said<NewPhone>) -> Answer<PhoneView> {
    let world = &*control.world;
    let number = e164(&phone.number).ok_or_else(|| {
        Complaint::bad("That is no phone number.", "number", "Write it with country code, like +4915112345678.")
    })?;
    if world.phones().iter().any(|known| known.number == number) {
        return Err(Complaint::bad(format!("{number} is here already."), "number", "Use it, or give another number."));
    }
    let name = if phone.name.trim().is_empty() { &number } else { phone.name.trim() };
    world.add_phone(&number, name, phone.on_whatsapp).map_err(|why| Complaint::bad(why, "number", "Give another number."))?;
    Ok(Json(PhoneView { name: name.to_owned(), number, on_whatsapp: phone.on_whatsapp }))
}

/// The digits after a plus sign, 7 to 15 of them, the usual punctuation left out.
fn e164(written: &str) -> Option<String> {
    let compact: String = written.chars().filter(|c| !c.is_whitespace() && !"-().".contains(*c)).collect();
    let digits = compact.strip_prefix('+').unwrap_or(&compact);
    let sound = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    sound.then(|| format!("+{digits}"))
}

pub(super) fn phone_by(world: &dyn World, written: &str) -> Result<String, Complaint> {
    let phones = world.phones();
    e164(written)
        .filter(|number| phones.iter().any(|phone| phone.number == *number))
        .ok_or_else(|| Complaint::missing("phone", written, "Add it with POST /api/phones {\"number\":…,\"name\":…}."))
}

/// Anybody may turn to the firm: a number that nobody added yet becomes a phone when it first writes or calls.
fn phone_or_new(world: &dyn World, written: &str) -> Result<String, Complaint> {
    let known = phone_by(world, written);
    let (Err(_), Some(number)) = (&known, e164(written)) else { return known };
    let why = |why: String| Complaint::bad(why, "number", "Write a number as +4915112345678.");
    world.add_phone(&number, "", true).map_err(why)?;
    Ok(number)
}

/// The client looks at the phone: what had only arrived is read now.
async fn look(State(control): State<Control>, Path(number): Path<String>) -> Answer<Value> {
    let number = phone_by(&*control.world, &number)?;
    let read = control.world.phone_looks(&number);
    read.map(|read| Json(json!({ "read": read }))).map_err(|why| Complaint::bad(why, "number", "GET /api/phones lists them."))
}

async fn phone_messages(State(control): State<Control>, Path(number): Path<String>) -> Answer<Vec<PhoneMessageView>> {
    let number = phone_by(&*control.world, &number)?;
    Ok(Json(control.world.phone_messages(&number)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneText {
    channel: Option<String>,
    text: Option<String>,
    payload: Option<String>,
    image: Option<GivenFile>,
    document: Option<GivenFile>,
    audio: Option<GivenFile>,
    video: Option<GivenFile>,
    sticker: Option<GivenFile>,
    /// With WhatsApp only: the group into which the text goes.
    group: Option<String>,
    /// With SMS only: which of the firm's numbers, and another sender than the phone's own number.
    line: Option<String>,
    sender: Option<String>,
}

impl PhoneText {
    fn take_files(&mut self) -> Vec<(&'static str, GivenFile)> {
        let files = [
            ("image", &mut self.image),
            ("document", &mut self.document),
            ("audio", &mut self.audio),
            ("video", &mut self.video),
            ("sticker", &mut self.sticker),
        ];
        files.into_iter().filter_map(|(kind, file)| Some((kind, file.take()?))).collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Channel {
    WhatsApp,
    Sms,
}

impl Channel {
    fn named(name: &str) -> Result<Channel, Complaint> {
        match name {
            "whatsapp" => Ok(Channel::WhatsApp),
            "sms" => Ok(Channel::Sms),
            _ => Err(Complaint::bad(format!("There is no channel {name}."), "channel", "Write \"whatsapp\" or \"sms\".")),
        }
    }
}

async fn write_on_phone(
    State(control): State<Control>,
    Path(number): Path<String>,
    Said(said): Said<PhoneText>,
) -> Answer<PhoneMessageView> {
    let number = phone_or_new(&*control.world, &number)?;
    let channel = Channel::named(said.channel.as_deref().unwrap_or("whatsapp"))?;
    match channel {
        Channel::WhatsApp => write_on_whatsapp(&*control.world, &number, said),
        Channel::Sms => text(&*control.world, &number, said),
    }
}

fn write_on_whatsapp(world: &dyn World, number: &str, mut said: PhoneText) -> Answer<PhoneMessageView> {
    if let Some(group) = said.group.take() {
        let file = said.take_files().into_iter().next();
        return groups::write(world, number, &group, said.text.as_deref().unwrap_or_default(), file);
    }
    if let Some((kind, file)) = said.take_files().into_iter().next() {
        let caption = file.caption.clone();
        let sent = world.phone_send_file(number, kind, file.given()?, caption.as_deref());
        return sent.map(Json).map_err(|why| Complaint::bad(why, kind, "Send a type that WhatsApp takes."));
    }
    let (text, payload) = match (&said.text, &said.payload) {
        (Some(text), None) => (Some(some_text(text)?), None),
        (None, Some(payload)) => (None, Some(payload.as_str())),
        _ => {
            return Err(Complaint::bad(
                "A phone sends a text or taps a button.",
                "body",
                "Give either text, payload, image, document, audio, video or sticker.",
            ));
        }
    };
    let sent = world.phone_send(number, text, payload);
    sent.map(Json).map_err(|why| Complaint::bad(why, "channel, text, payload", "Look at GET /api/phones/{number}/messages."))
}

/// A text message has no buttons, and its caption is its text.
fn text(world: &dyn World, number: &str, mut said: PhoneText) -> Answer<PhoneMessageView> {
    let given = said.take_files();
    let caption = given.iter().find_map(|(_, file)| file.caption.clone());
    let text = said.text.or(caption).unwrap_or_default();
    if said.payload.is_some() || (given.is_empty() && text.is_empty()) {
        let mend = "Give text, or image, document, audio or video.";
        return Err(Complaint::bad("A text message has a text or a file.", "body", mend));
    }
    let files = given.into_iter().map(|(_, file)| file.given()).collect::<Result<_, _>>()?;
    let sent = world.phone_text(number, Texted { text, files, line: said.line, sender: said.sender });
    sent.map(Json).map_err(|why| Complaint::bad(why, "text, line", "Look at GET /api/phones/{number}/messages."))
}

/// How a call goes; whoever only wants to call sends nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ring {
    channel: Option<String>,
    line: Option<String>,
    sender: Option<String>,
    withheld: bool,
    answered: Option<bool>,
    seconds: Option<u64>,
    voicemail: Option<String>,
}

impl Ring {
    fn read(body: &[u8]) -> Result<Ring, Complaint> {
        if body.is_empty() {
            return Ok(Ring::default());
        }
        let mend = "Send one JSON object with the fields of this call.";
        serde_json::from_slice(body).map_err(|error| Complaint::bad(error.to_string(), "body", mend))
    }

    /// Whoever says how a call goes means the telephone, since a call on WhatsApp is never taken. Of the others one without a
    /// channel goes where the phone's other messages go by default.
    fn channel(&self, world: &dyn World, number: &str) -> Result<Channel, Complaint> {
        if let Some(channel) = &self.channel {
            return Channel::named(channel);
        }
        let planned = self.withheld || self.answered.is_some() || self.seconds.is_some();
        let named = self.line.is_some() || self.sender.is_some() || self.voicemail.is_some();
        let whatsapp = world.phones().iter().any(|phone| phone.number == number && phone.on_whatsapp);
        Ok(if planned || named || !whatsapp { Channel::Sms } else { Channel::WhatsApp })
    }

    fn plan(self) -> CallPlan {
        let Ring { line, sender, withheld, answered, seconds, voicemail, .. } = self;
        let answered = answered.unwrap_or(false);
        CallPlan { line, sender, withheld, answered, seconds, voicemail: voicemail.filter(|words| !words.is_empty()) }
    }
}

async fn call(State(control): State<Control>, Path(number): Path<String>, body: Bytes) -> Answer<Value> {
    let world = &*control.world;
    let number = phone_or_new(world, &number)?;
    let ring = Ring::read(&body)?;
    let no = |why: String| Complaint::bad(why, "number, line", "Send a message instead.");
    match ring.channel(world, &number)? {
        Channel::WhatsApp => world.phone_call(&number).map(|()| json!({ "called": true, "channel": "whatsapp" })),
        Channel::Sms => {
            world.phone_ring(&number, ring.plan()).map(|call| json!({ "called": true, "channel": "sms", "id": call.id }))
        }
    }
    .map(Json)
    .map_err(no)
}

// ---- trouble, the journal, and what is new

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    provider: String,
    /// Codes are numbers to people and to JSON writers alike.
    code: Value,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

async fn make_trouble(State(control): State<Control>, Said(trouble): Said<Trouble>) -> Answer<Value> {
    let code = match &trouble.code {
        Value::String(code) => code.clone(),
        Value::Number(code) => code.to_string(),
        _ => return Err(Complaint::bad("That is no code.", "code", "Write it as a string or a number, like 500.")),
    };
    if trouble.times > MAX_TROUBLE {
        return Err(Complaint::bad("That is too much trouble.", "times", "Write at most 1000."));
    }
    control
        .world
        .trouble(&trouble.provider, &code, trouble.times)
        .map_err(|why| Complaint::bad(why, "provider, code", "Name a provider and one of its codes."))?;
    Ok(Json(json!({ "provider": trouble.provider, "code": code, "times": trouble.times })))
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn journal(State(control): State<Control>, Asked(since): Asked<Since>) -> Json<Vec<Value>> {
    let limit = since.limit.unwrap_or(MAX_JOURNAL).min(MAX_JOURNAL);
    Json(control.world.journal(since.after, limit))
}

async fn events(State(control): State<Control>) -> Result<impl IntoResponse, Complaint> {
    listen::events(control.world.changes(), control.seats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read_with_their_unit() {
        let cases = [("24h", 86_400_000), ("90m", 5_400_000), ("30s", 30_000), ("2d", 172_800_000), (" 1h ", 3_600_000)];
        for (text, ms) in cases {
            assert_eq!(span_ms(text), Some(ms), "{text}");
        }
        for text in ["", "h", "24", "-1h", "+1h", "1.5h", "1w", "９h", "9999999999999999999h", "9223372036854775807d", "1é"] {
            assert_eq!(span_ms(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_found_with_and_without_its_plus() {
        for written in ["+4915112345678", "4915112345678", " 49 151 12345678", "+49 (151) 1234-5678"] {
            assert_eq!(e164(written).as_deref(), Some("+4915112345678"), "{written}");
        }
        for written in ["", "+", "0151", "015112345678", "++4915112345678", "+49151x2345678", "+4915112345678901234"] {
            assert_eq!(e164(written), None, "{written}");
        }
    }
}
