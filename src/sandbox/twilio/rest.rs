//! The HTTP face: the paths of Twilio's 2010 API for messages, calls, numbers and recordings, behind Basic auth.
use super::errors::RestError;
use super::send::{Fate, Form, is_open, is_web_address};
use super::shapes::API_VERSION;
use super::trouble::{Trouble, Twist};
use super::world::{Message, Number, Record, Status};
use super::{Inner, Twilio, audio, phones, voice};
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::time::Duration;

/// Largest form; a message is a few kilobytes.
const MAX_FORM_BYTES: usize = 256 * 1024;
/// How long a send hangs under the trouble "hang".
const HANG: Duration = Duration::from_secs(60);
/// The size of a page of a list, unless it is asked for.
const PAGE: usize = 50;
const MAX_PAGE: usize = 1_000;
/// Where the bytes of files lie, on what stands for another host.
const CDN: &str = "/cdn";

type Answer = Result<Json<Value>, RestError>;
/// The account, then what stands after it in the path.
type Two = Path<(String, String)>;
type Three = Path<(String, String, String)>;

pub(super) fn router(twilio: Twilio) -> Router {
    let account = "/2010-04-01/Accounts/{account}";
    let at = |rest: &str| format!("{account}{rest}");
    Router::new()
        .route(account, get(the_account))
        .route(&at("/Messages.json"), get(list_messages).post(send))
        .route(&at("/Messages/{sid}"), get(message).post(change_message).delete(delete_message))
        .route(&at("/Messages/{sid}/Media.json"), get(list_media))
        .route(&at("/Messages/{sid}/Media/{media}"), get(media).delete(delete_media))
        .route(&at("/IncomingPhoneNumbers.json"), get(list_numbers))
        .route(&at("/IncomingPhoneNumbers/{sid}"), get(number).post(change_number))
        .route(&at("/Calls.json"), get(list_calls).post(call_out))
        .route(&at("/Calls/{sid}"), get(call).post(change_call).delete(delete_call))
        .route(&at("/Calls/{sid}/Recordings.json"), get(recordings_of_call))
        .route(&at("/Recordings.json"), get(list_recordings))
        .route(&at("/Recordings/{sid}"), get(recording).delete(delete_recording))
        .fallback(unknown)
        .method_not_allowed_fallback(async || RestError::new(20004))
        .layer(middleware::from_fn_with_state(twilio.clone(), authorised))
        .merge(Router::new().route(&format!("{CDN}/{{account}}/{{media}}"), get(file)))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .with_state(twilio)
}

/// The account with its token, or the key with its secret, and never one with the other's. The path names the account in any case.
async fn authorised(State(twilio): State<Twilio>, request: Request, next: Next) -> Response {
    let settings = &twilio.inner.settings;
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let basic = header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let given = basic.and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok());
    let good = [(&settings.account_sid, &settings.auth_token), (&settings.api_key, &settings.api_secret)];
    if !good.iter().any(|(user, password)| given.as_deref() == Some(format!("{user}:{password}").as_bytes())) {
        return RestError::new(20003).into_response();
    }
    let rest = request.uri().path().strip_prefix(&format!("/{API_VERSION}/Accounts/{}", settings.account_sid));
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.'])) {
        return RestError::missing(request.uri().path()).into_response();
    }
    next.run(request).await
}

async fn unknown(uri: Uri) -> RestError {
    RestError::missing(uri.path())
}

/// What the path names, its ".json" left out.
fn bare(sid: &str) -> &str {
    sid.strip_suffix(".json").unwrap_or(sid)
}

async fn the_account(State(twilio): State<Twilio>) -> Json<Value> {
    Json(twilio.inner.account())
}

// ---- messages

async fn send(State(twilio): State<Twilio>, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let trouble = twilio.inner.world().troubles.next();
    match trouble {
        None | Some(Trouble::MediaGone) => accept(&twilio, &form, Fate::Arrives, Twist::default()),
        Some(Trouble::Twisted(twist)) => accept(&twilio, &form, Fate::Arrives, twist),
        Some(Trouble::FailsLater(code)) => accept(&twilio, &form, Fate::Fails(code), Twist::default()),
        Some(Trouble::Refusal(error)) => error.into_response(),
        Some(Trouble::Html) => {
            (StatusCode::BAD_GATEWAY, Html("<html><body><h1>502 Bad Gateway</h1></body></html>")).into_response()
        }
        Some(Trouble::Hang) => hang(&twilio, &form).await,
        Some(Trouble::LostAnswer) => lose(accept(&twilio, &form, Fate::Arrives, Twist::default())),
        Some(Trouble::Slow(time)) => {
            let answer = accept(&twilio, &form, Fate::Arrives, Twist::default());
            tokio::time::sleep(time).await;
            answer
        }
    }
}

fn accept(twilio: &Twilio, form: &Form, fate: Fate, twist: Twist) -> Response {
    twilio.inner.accept(form, fate, twist).map(|message| (StatusCode::CREATED, Json(message))).into_response()
}

/// The caller waits, gets the usual answer at last, and the message never arrives.
async fn hang(twilio: &Twilio, form: &Form) -> Response {
    tokio::select! {
        () = tokio::time::sleep(HANG) => {}
        () = twilio.inner.stopped() => {}
    }
    twilio.inner.pretend(form).map(|message| (StatusCode::CREATED, Json(message))).into_response()
}

/// The connection closes before a byte of the answer is written. A refusal is still told, since nothing was accepted.
fn lose(answer: Response) -> Response {
    if answer.status() != StatusCode::CREATED {
        return answer;
    }
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("the answer is lost on purpose")) });
    Response::new(Body::from_stream(broken))
}

async fn list_messages(State(twilio): State<Twilio>, uri: Uri) -> Answer {
    let asked = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let (earliest, latest) = days(&asked)?;
    let number = |name: &str| asked.get(name).map(|typed| phones::number(typed).unwrap_or_else(|| typed.to_owned()));
    let (to, from) = (number("To"), number("From"));
    let fits = |message: &&Message| {
        let at = message.sent.unwrap_or(message.created);
        to.as_ref().is_none_or(|to| *to == message.to)
            && from.as_ref().is_none_or(|from| *from == message.from)
            && earliest.is_none_or(|earliest| at >= earliest)
            && latest.is_none_or(|latest| at <= latest)
            && message.direction != super::world::Direction::OutboundTwilio
    };
    let world = twilio.inner.world();
    let fitting = world.messages.iter().rev().filter(fits).map(|message| (message.sid.as_str(), message));
    Ok(Json(page(&twilio.inner, &asked, ("Messages", "messages"), fitting, |message| twilio.inner.message(message))))
}

/// The first and the last moment that `DateSent`, `DateSent>` and `DateSent<` leave; a day means all of it.
fn days(asked: &Form) -> Result<(Option<i64>, Option<i64>), RestError> {
    let read =
        |name: &str| asked.get(name).map(|text| span(text).ok_or_else(|| RestError::saying(20001, format!("Invalid {name}"))));
    let (on, after, before) = (read("DateSent").transpose()?, read("DateSent>").transpose()?, read("DateSent<").transpose()?);
    let earliest = on.or(after).map(|(first, _)| first);
    Ok((earliest, on.or(before).map(|(_, last)| last)))
}

/// A day, or a moment of ISO 8601 to the second, in GMT, as (first, last) millisecond.
fn span(text: &str) -> Option<(i64, i64)> {
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && !text.contains('T')
    {
        let first = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
        return Some((first, first + 86_400_000 - 1));
    }
    let at = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    Some((at - at.rem_euclid(1_000), at - at.rem_euclid(1_000) + 999))
}

/// One page of a list, newest first. A page goes on after the thing that its token names, so that nothing that came
/// meanwhile shifts it.
fn page<'a, T: 'a>(
    inner: &Inner,
    asked: &Form,
    (path, name): (&str, &str),
    things: impl Iterator<Item = (&'a str, &'a T)>,
    shape: impl Fn(&T) -> Value,
) -> Value {
    let size = asked.get("PageSize").and_then(|size| size.parse().ok()).unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let nth: usize = asked.get("Page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let all: Vec<(&str, &T)> = things.collect();
    let token = asked.get("PageToken").and_then(|token| token.strip_prefix("PA"));
    let after = token.and_then(|last| all.iter().position(|(sid, _)| *sid == last)).map(|place| place + 1);
    let start = after.unwrap_or(nth * size).min(all.len());
    let end = (start + size).min(all.len());
    let address = |page: usize, token: Option<&str>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(asked.0.iter().filter(|(key, _)| !["Page", "PageSize", "PageToken"].contains(&key.as_str())));
        query.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
        token.map(|token| query.append_pair("PageToken", &format!("PA{token}")));
        inner.uri(&format!("/{path}.json?{}", query.finish()))
    };
    let next = (end < all.len()).then(|| address(nth + 1, all[..end].last().map(|(sid, _)| *sid)));
    let shown: Vec<Value> = all[start..end].iter().map(|(_, thing)| shape(thing)).collect();
    json!({name: shown, "page": nth, "page_size": size, "start": start, "end": end.saturating_sub(1),
        "first_page_uri": address(0, None), "next_page_uri": next, "previous_page_uri": (nth > 0).then(|| address(nth - 1, None)),
        "uri": address(nth, token)})
}

async fn message(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Answer {
    let world = twilio.inner.world();
    let found = world.messages.get(bare(&sid)).ok_or_else(|| RestError::missing(uri.path()))?;
    Ok(Json(twilio.inner.message(found)))
}

/// An empty body is a redaction. Cancelling concerns scheduled messages, of which there are none.
async fn change_message(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri, body: Bytes) -> Answer {
    let form = Form::parse(&body);
    let mut world = twilio.inner.world();
    let known = world.messages.get(bare(&sid)).cloned().ok_or_else(|| RestError::missing(uri.path()))?;
    if form.has("Status") {
        return Err(RestError::saying(30409, "The message is not scheduled and cannot be canceled"));
    }
    if is_open(known.status) || form.get("Body").is_some() || !form.has("Body") {
        return Err(RestError::saying(20009, "Only the body of a message that is over can be redacted"));
    }
    let redacted = Message { body: String::new(), updated: (twilio.inner.now)(), ..known };
    let answer = twilio.inner.message(&redacted);
    world.commit(vec![Record::Message(redacted)])?;
    drop(world);
    twilio.inner.changed();
    Ok(Json(answer))
}

async fn delete_message(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Result<StatusCode, RestError> {
    let mut world = twilio.inner.world();
    let known = world.messages.get(bare(&sid)).cloned().ok_or_else(|| RestError::missing(uri.path()))?;
    if is_open(known.status) && known.status != Status::Receiving {
        return Err(RestError::saying(20009, "The message cannot be deleted while it is under way"));
    }
    world.commit(vec![Record::MessageGone { sid: known.sid }])?;
    drop(world);
    twilio.inner.changed();
    Ok(StatusCode::NO_CONTENT)
}

// ---- files

async fn list_media(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Answer {
    let world = twilio.inner.world();
    let message = world.messages.get(&sid).ok_or_else(|| RestError::missing(uri.path()))?;
    let files = message.media.iter().filter_map(|file| world.media.get(file)).map(|file| (file.sid.as_str(), file));
    let path = format!("Messages/{sid}/Media");
    let asked = Form::parse(uri.query().unwrap_or_default().as_bytes());
    Ok(Json(page(&twilio.inner, &asked, (&path, "media_list"), files, |file| twilio.inner.media(file))))
}

/// With ".json" what is known of the file; without it the way to its bytes.
async fn media(State(twilio): State<Twilio>, Path((account, message, sid)): Three, uri: Uri, headers: HeaderMap) -> Response {
    let mut world = twilio.inner.world();
    if world.troubles.next_media_is_gone() {
        return RestError::missing(uri.path()).into_response();
    }
    let Some(found) = world.media.get(bare(&sid)).filter(|file| file.message == message) else {
        return RestError::missing(uri.path()).into_response();
    };
    if sid.ends_with(".json") {
        return Json(twilio.inner.media(found)).into_response();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let place = format!("http://{host}{CDN}/{account}/{sid}");
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]).into_response()
}

async fn delete_media(State(twilio): State<Twilio>, Path((_, message, sid)): Three, uri: Uri) -> Result<StatusCode, RestError> {
    let mut world = twilio.inner.world();
    let found = world.media.get(bare(&sid)).filter(|file| file.message == message);
    let sid = found.map(|file| file.sid.clone()).ok_or_else(|| RestError::missing(uri.path()))?;
    world.commit(vec![Record::MediaGone { sid }])?;
    Ok(StatusCode::NO_CONTENT)
}

/// The bytes. As with the store behind Twilio's redirect, credentials that come along are a mistake.
async fn file(State(twilio): State<Twilio>, Path((_, sid)): Two, headers: HeaderMap) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        let text = "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>";
        return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/xml")], text).into_response();
    }
    match twilio.inner.world().file(&sid) {
        Some((mime, bytes)) => ([(header::CONTENT_TYPE, mime)], bytes).into_response(),
        None => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response(),
    }
}

// ---- numbers

async fn list_numbers(State(twilio): State<Twilio>, uri: Uri) -> Answer {
    let asked = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let world = twilio.inner.world();
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let fits = |number: &&Number| asked.get("PhoneNumber").is_none_or(|part| number.number.contains(&digits(part)));
    let found = world.numbers.values().filter(fits).map(|number| (number.sid.as_str(), number));
    let names = ("IncomingPhoneNumbers", "incoming_phone_numbers");
    Ok(Json(page(&twilio.inner, &asked, names, found, |number| twilio.inner.number(number))))
}

impl Inner {
    fn number_by(&self, sid: &str, uri: &Uri) -> Result<Number, RestError> {
        let found = self.world().numbers.values().find(|number| number.sid == bare(sid)).cloned();
        found.ok_or_else(|| RestError::missing(uri.path()))
    }
}

async fn number(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Answer {
    Ok(Json(twilio.inner.number(&twilio.inner.number_by(&sid, &uri)?)))
}

async fn change_number(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri, body: Bytes) -> Answer {
    let form = Form::parse(&body);
    let mut number = twilio.inner.number_by(&sid, &uri)?;
    let places = [
        ("SmsUrl", &mut number.sms_url),
        ("VoiceUrl", &mut number.voice_url),
        ("StatusCallback", &mut number.status_callback),
        ("FriendlyName", &mut number.friendly_name),
    ];
    for (name, place) in places {
        if let Some(given) = form.0.iter().find(|(key, _)| key == name).map(|(_, value)| value) {
            if name != "FriendlyName" && !given.is_empty() && !is_web_address(given) {
                return Err(RestError::saying(21502, format!("{name} is not a valid URL")));
            }
            place.clone_from(given);
        }
    }
    number.updated = (twilio.inner.now)();
    let answer = twilio.inner.number(&number);
    twilio.inner.world().commit(vec![Record::Number(number)])?;
    Ok(Json(answer))
}

// ---- calls and recordings

async fn call_out(State(twilio): State<Twilio>, body: Bytes) -> Result<(StatusCode, Json<Value>), RestError> {
    let form = Form::parse(&body);
    let to = form.get("To").and_then(phones::number).ok_or_else(|| RestError::new(21211))?;
    let from = form.get("From").and_then(phones::number).ok_or_else(|| RestError::new(21212))?;
    if !twilio.inner.world().numbers.contains_key(&from) {
        return Err(RestError::saying(21210, "The source phone number provided is not yet verified for your account"));
    }
    voice::instructions(&form).map_err(RestError::new)?;
    Ok((StatusCode::CREATED, Json(twilio.inner.dial_out(from, to, &form)?)))
}

async fn list_calls(State(twilio): State<Twilio>, uri: Uri) -> Answer {
    let asked = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let world = twilio.inner.world();
    let same = |name: &str, value: &str| asked.get(name).is_none_or(|wanted| wanted.trim() == value);
    let calls = world.calls.iter().rev();
    let fitting = calls.filter(|call| {
        same("To", &call.to)
            && same("From", &call.from)
            && same("Status", &call.status)
            && asked.get("ParentCallSid").is_none_or(|parent| call.parent.as_deref() == Some(parent))
    });
    let found = fitting.map(|call| (call.sid.as_str(), call));
    Ok(Json(page(&twilio.inner, &asked, ("Calls", "calls"), found, |call| twilio.inner.call(call))))
}

async fn call(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Answer {
    let world = twilio.inner.world();
    let found = world.calls.get(bare(&sid)).ok_or_else(|| RestError::missing(uri.path()))?;
    Ok(Json(twilio.inner.call(found)))
}

/// Calls here last a moment, so that whoever wants to end one comes too late.
async fn change_call(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Answer {
    let world = twilio.inner.world();
    let found = world.calls.get(bare(&sid)).ok_or_else(|| RestError::missing(uri.path()))?;
    if found.ended.is_some() { Err(RestError::new(21220)) } else { Ok(Json(twilio.inner.call(found))) }
}

async fn delete_call(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Result<StatusCode, RestError> {
    let mut world = twilio.inner.world();
    let sid = world.calls.get(bare(&sid)).map(|call| call.sid.clone()).ok_or_else(|| RestError::missing(uri.path()))?;
    world.commit(vec![Record::CallGone { sid }])?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_recordings(State(twilio): State<Twilio>, uri: Uri) -> Answer {
    let asked = Form::parse(uri.query().unwrap_or_default().as_bytes());
    Ok(Json(recordings(&twilio.inner, &asked, "Recordings", asked.get("CallSid"))))
}

async fn recordings_of_call(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Answer {
    let asked = Form::parse(uri.query().unwrap_or_default().as_bytes());
    Ok(Json(recordings(&twilio.inner, &asked, &format!("Calls/{sid}/Recordings"), Some(&sid))))
}

fn recordings(inner: &Inner, asked: &Form, path: &str, call: Option<&str>) -> Value {
    let world = inner.world();
    let found = world.recordings.iter().rev().filter(|recording| call.is_none_or(|call| recording.call == call));
    let found = found.map(|recording| (recording.sid.as_str(), recording));
    page(inner, asked, (path, "recordings"), found, |recording| inner.recording(recording))
}

/// ".json" is what is known of it, ".mp3" and ".wav" the sound; a bare SID is a WAV.
async fn recording(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Response {
    let (bare, kind) = sid.rsplit_once('.').unwrap_or((&sid, "wav"));
    let world = twilio.inner.world();
    let Some(found) = world.recordings.get(bare) else { return RestError::missing(uri.path()).into_response() };
    match kind {
        "json" => Json(twilio.inner.recording(found)).into_response(),
        "wav" => ([(header::CONTENT_TYPE, "audio/x-wav")], audio::wav(found.seconds)).into_response(),
        "mp3" => ([(header::CONTENT_TYPE, "audio/mpeg")], audio::mp3(found.seconds)).into_response(),
        _ => RestError::missing(uri.path()).into_response(),
    }
}

async fn delete_recording(State(twilio): State<Twilio>, Path((_, sid)): Two, uri: Uri) -> Result<StatusCode, RestError> {
    let mut world = twilio.inner.world();
    let found = world.recordings.get(bare(&sid)).map(|recording| recording.sid.clone());
    let sid = found.ok_or_else(|| RestError::missing(uri.path()))?;
    world.commit(vec![Record::RecordingGone { sid }])?;
    Ok(StatusCode::NO_CONTENT)
}
