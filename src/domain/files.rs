//! Files on their way: taken in before what needs them, handed to the provider before the message that bears them.
//!
//! A file stands in the same lane of the outbox as what needs it, in front of it. So the order of a conversation holds
//! without a message that waits for a file being a state of its own (docs/decisions/0008).
use super::commit::Entry;
use super::effect::*;
use super::event::{Attached, ClientFile, ClientMessage, RoomMessage};
use super::ids::*;
use super::lane::Due;
use super::media::{self, CHAT_FILES_MAX, Found, Media, MediaState, Sendable, Source, Uploaded, sendable, shown_size};
use super::message::{Message, MessageState};
use super::native::picture;
use super::outbox;
use super::refusal::Refusal;
use super::scene::{PROGRAM, Scene};
use super::sending::contact_name;
use super::time::{Span, Timestamp};
use serde_json::json;

/// A file that cannot be had for this long holds up no conversation any more: the line says so instead.
const FETCH_TRIES_LAST: Span = Span::minutes(5);
/// And no less often than this: the program may have been down for most of that time.
const FETCH_TRIES: u32 = 5;
/// The code of a message whose file could not be taken in.
const NO_FILE: &str = "attachment";

// ---- a client's

/// The file is fetched before the line that `place` will read; it is known from then on under our own id.
pub fn from_client(scene: &mut Scene, contact: &ContactId, said: &ClientMessage, sent: &ClientFile, place: Place) -> Media {
    let id = scene.new_media_id();
    let mime = media::bare_mime(sent.mime.as_deref().unwrap_or_default());
    let media = Media {
        name: media::safe_name(sent.name.as_deref(), &id, &mime),
        id,
        contact: contact.clone(),
        kind: sent.kind,
        mime,
        size: None,
        sha256: sent.sha256.clone(),
        source: Source::Client { line: said.line.clone(), id: sent.id.clone() },
        state: MediaState::Wanted,
        uploaded: None,
    };
    scene.put(&media);
    scene.effect(Effect::Fetch(Fetch { media: Box::new(media.clone()), before: Before::Line(place) }));
    media
}

/// The line as its files are now: those that we hold go with it, of the others it says why they do not.
pub fn as_they_are(scene: &Scene, reply: &Reply) -> Reply {
    let mut reply = reply.clone();
    for file in std::mem::take(&mut reply.files) {
        let now = scene.media(&file.id).unwrap_or(file);
        match why_not_shown(&now) {
            None => reply.files.push(now),
            Some((code, why)) => reply = told_without(reply, &now, code, why),
        }
    }
    reply
}

fn why_not_shown(file: &Media) -> Option<(&str, &str)> {
    match &file.state {
        MediaState::Kept if file.size.is_some_and(|size| size > CHAT_FILES_MAX) => Some(("too-large", "")),
        MediaState::Kept => None,
        MediaState::Wanted => Some(("missing", "it was not fetched")),
        MediaState::Lost { code, why } => Some((code, why)),
    }
}

fn told_without(reply: Reply, file: &Media, code: &str, why: &str) -> Reply {
    let theirs = match &file.source {
        Source::Client { id, .. } => Some(id.clone()),
        Source::Chat { .. } => None,
    };
    let size = file.size.map(shown_size);
    let lost = json!({ "id": file.id, "name": file.name, "theirs": theirs, "code": code, "why": why, "size": size });
    reply.with("lost", lost).with("most", shown_size(CHAT_FILES_MAX))
}

/// The same line without its files, where the chat would not take them.
pub fn without_files(reply: &Reply, why: &str) -> Reply {
    let mut plain = reply.clone();
    for file in std::mem::take(&mut plain.files) {
        plain = told_without(plain, &file, "refused-by-chat", why);
    }
    plain
}

// ---- an advisor's

/// Whether the channel takes these files, as far as names and sizes tell; the bytes are looked at when they are here.
pub fn check(channel: Channel, files: &[Attached]) -> Result<(), Refusal> {
    let refusal = |why: &str| {
        let refusal = Refusal::new("attachment").with("why", why).with("count", files.len());
        refusal.with("channel", channel.name())
    };
    if files.len() > media::FILES_AT_ONCE {
        return Err(refusal("too-many").with("limit", media::FILES_AT_ONCE));
    }
    for file in files {
        let Some(known) = sendable(channel, &file.name) else { return Err(refusal("type").with("file", file.name.clone())) };
        let size = file.size.unwrap_or_default();
        let shown = |refusal: Refusal| refusal.with("file", file.name.clone()).with("size", shown_size(size));
        if size > known.most {
            return Err(shown(refusal("size")).with("limit", shown_size(known.most)).with("kind", known.kind.name()));
        }
        if file.size == Some(0) {
            return Err(shown(refusal("empty")));
        }
    }
    Ok(())
}

/// The advisor's files for one contact, each to be fetched before the messages that bear them.
pub fn from_advisor(scene: &mut Scene, contact: &ContactId, channel: Channel, said: &RoomMessage) -> Vec<Media> {
    let files = said.attachments.iter().filter_map(|file| Some((file, sendable(channel, &file.name)?)));
    let mut taken = Vec::new();
    for (file, known) in files {
        let media = of_chat(scene, contact, (said, file, known));
        let before = Before::Message { channel, chat: said.message.clone() };
        scene.effect(Effect::Fetch(Fetch { media: Box::new(media.clone()), before }));
        taken.push(media);
    }
    taken
}

/// The picture of this room's native group, to be fetched before the call that hands it over; sealed for this contact.
pub fn for_group(scene: &mut Scene, room: &RoomKey, contact: &ContactId, sent: (&RoomMessage, &Attached, Sendable)) -> Media {
    let media = of_chat(scene, contact, sent);
    let before = Before::Group(room.clone());
    scene.effect(Effect::Fetch(Fetch { media: Box::new(media.clone()), before }));
    media
}

/// A file in the chat is known from then on under our own id.
fn of_chat(scene: &mut Scene, contact: &ContactId, (said, file, known): (&RoomMessage, &Attached, Sendable)) -> Media {
    let id = scene.new_media_id();
    let media = Media {
        name: media::safe_name(Some(&file.name), &id, known.mime),
        id,
        contact: contact.clone(),
        kind: known.kind,
        mime: known.mime.to_owned(),
        size: file.size,
        sha256: None,
        source: Source::Chat { stream: said.stream.clone(), message: said.message.clone(), file: file.id.clone() },
        state: MediaState::Wanted,
        uploaded: None,
    };
    scene.put(&media);
    media
}

/// Before a message with a file becomes due: the provider needs a copy of it, and what is passed on may be on its way to us.
pub fn upload_first(scene: &mut Scene, message: &Message) {
    let Body::Media { file, .. } = &message.body else { return };
    let media = scene.media(&file.id).unwrap_or_else(|| (**file).clone());
    if message.passed_on_from().is_some() && media.state == MediaState::Wanted {
        let before = Before::PassedOn(message.id.clone());
        scene.effect(Effect::Fetch(Fetch { media: Box::new(media.clone()), before }));
    }
    if media.uploaded_for(&message.line, scene.now).is_none() {
        let (channel, line) = (message.channel, message.line.clone());
        let upload = Upload { message: message.id.clone(), media: Box::new(media), channel, line };
        scene.effect(Effect::Upload(upload));
    }
}

// ---- still wanted?

/// Nobody needs the file of a message that will not go: the effect falls.
pub fn fetch_may_go(scene: &mut Scene, due: &Due, fetch: &Fetch) -> bool {
    let needed = match &fetch.before {
        Before::Line(_) => true,
        Before::Message { chat, .. } => !waiting(scene, chat, &fetch.media.contact).is_empty(),
        // The line in the room wants the same file: whoever is first takes it in for both.
        Before::PassedOn(message) => {
            let wanted = scene.media(&fetch.media.id).is_some_and(|media| media.state == MediaState::Wanted);
            wanted && scene.message(message).is_some_and(|message| message.state == MessageState::Ready)
        }
        Before::Group(room) => picture::is_wanted(scene, room, &fetch.media.id),
    };
    if !needed {
        scene.settle(due);
    }
    needed
}

/// The upload as its file is now, if the message still goes and the file is here.
pub fn upload_may_go(scene: &mut Scene, due: &Due, upload: &Upload) -> Option<Upload> {
    let ready = scene.message(&upload.message).is_some_and(|message| message.state == MessageState::Ready);
    let media = scene.media(&upload.media.id).filter(|media| ready && media.is_kept());
    let media = media.filter(|media| media.uploaded_for(&upload.line, scene.now).is_none());
    if media.is_none() {
        scene.settle(due);
    }
    media.map(|media| Upload { media: Box::new(media), ..upload.clone() })
}

/// The body as its file is now; `Err` where the message cannot go with it.
pub fn as_it_is(scene: &Scene, line: &LineId, body: &Body) -> Result<Body, &'static str> {
    let Body::Media { file, caption } = body else { return Ok(body.clone()) };
    let Some(media) = scene.media(&file.id).filter(|media| media.is_kept()) else { return Err("its file is not here") };
    match media.uploaded_for(line, scene.now) {
        Some(_) => Ok(Body::Media { file: Box::new(media), caption: caption.clone() }),
        None => Err("the provider does not have its file"),
    }
}

/// The messages of one chat message to this contact that have not left.
fn waiting(scene: &Scene, chat: &ChatMessageId, contact: &ContactId) -> Vec<Message> {
    let waits = |message: &Message| matches!(message.state, MessageState::Held { .. } | MessageState::Ready);
    scene
        .messages_of_chat(chat)
        .into_iter()
        .filter(|message| (message.to_group || message.contact == *contact) && waits(message))
        .collect()
}

// ---- how it ended

pub fn fetched(scene: &mut Scene, fetch: &Fetch, found: Option<&str>) {
    let found: Option<Found> = found.and_then(|found| serde_json::from_str(found).ok());
    let Some(found) = found else { return not_fetched(scene, fetch, "missing", "nobody said what was found") };
    let Some(mut media) = scene.media(&fetch.media.id) else { return };
    (media.state, media.size, media.sha256) = (MediaState::Kept, Some(found.size), Some(found.sha256));
    scene.put(&media);
    note(scene, "media.kept", &media);
    match &fetch.before {
        Before::Line(Place::Room(key)) => {
            if let Some(mut room) = scene.room(key) {
                room.files += 1;
                scene.put(&room);
            }
        }
        Before::Group(room) => picture::fetched(scene, room, &media),
        Before::Line(_) | Before::Message { .. } | Before::PassedOn(_) => {}
    }
}

pub fn not_fetched(scene: &mut Scene, fetch: &Fetch, code: &str, why: &str) {
    let Some(mut media) = scene.media(&fetch.media.id) else { return };
    if matches!(fetch.before, Before::PassedOn(_)) && media.state != MediaState::Wanted {
        return;
    }
    media.state = MediaState::Lost { code: code.to_owned(), why: why.to_owned() };
    scene.put(&media);
    note(scene, "media.lost", &media);
    match &fetch.before {
        Before::Message { chat, .. } => refuse(scene, chat, &media, why),
        Before::Group(room) => picture::refused(scene, room, Some(&media.id), code, why),
        Before::Line(_) | Before::PassedOn(_) => {}
    }
}

/// All files of a message go, or none: what bears the others of it, and its text, stays here too.
fn refuse(scene: &mut Scene, chat: &ChatMessageId, media: &Media, why: &str) {
    let messages = waiting(scene, chat, &media.contact);
    let Some(first) = messages.first().cloned() else { return };
    for mut message in messages {
        outbox::take_out(scene, &message);
        message.state = MessageState::Failed { code: NO_FILE.to_owned() };
        scene.put(&message);
        let entry = Entry::new("message.failed", PROGRAM).about(&message.contact).message(&message.id);
        let detail = json!({ "code": NO_FILE, "detail": why, "file": media.id });
        scene.note(Entry { room: message.room.clone(), ..entry.detail(detail) });
    }
    let Some(room) = first.room.clone() else { return };
    let name = contact_name(scene, Some(&room), &first.contact);
    let refusal = Refusal::new("attachment").about(&first.contact).with("why", "unread").with("name", name);
    let refusal = refusal.with("file", media.name.clone()).with("detail", why);
    scene.post(Place::Room(room), refusal.into_reply().of(&first.id));
}

pub fn uploaded(scene: &mut Scene, upload: &Upload, id: Option<&str>) {
    let Some(mut media) = scene.media(&upload.media.id) else { return };
    media.uploaded = id.map(|id| Uploaded { line: upload.line.clone(), id: id.to_owned(), at: scene.now });
    scene.put(&media);
    note(scene, "media.uploaded", &media);
}

/// A fetch that was put off and is still tried in vain; `None` while there is time.
pub fn gives_up(due: &Due, now: Timestamp) -> Option<&Fetch> {
    let Effect::Fetch(fetch) = &due.effect else { return None };
    let since = due.tried_since.unwrap_or(now);
    (now - since > FETCH_TRIES_LAST && due.attempt >= FETCH_TRIES).then_some(fetch)
}

/// The bytes themselves never stand in the journal.
fn note(scene: &mut Scene, kind: &str, media: &Media) {
    let detail = json!({
        "file": media.id, "kind": media.kind, "type": media.mime, "name": media.name, "size": media.size,
        "sha256": media.sha256, "source": media.source, "state": media.state, "uploaded": media.uploaded,
    });
    scene.note(Entry::new(kind, PROGRAM).about(&media.contact).detail(detail));
}
