//! The picture of a native group: fetched from the chat, handed to WhatsApp, and changed only when WhatsApp says so.
//!
//! ```text
//! Asked --taken--> Taken --nothing told--> Silent;  any but Shown --told so--> Shown
//! Asked | Taken | Silent --refused--> Refused
//! ```
use super::news::tell;
use super::*;
use crate::domain::event::{Attached, RoomMessage};
use crate::domain::files;
use crate::domain::lane::Due;
use crate::domain::media::{Media, Sendable, sendable, shown_size};
use crate::domain::members::name_of;

/// The one type that WhatsApp takes for a group, of this size at most, in bytes (Meta, groups reference).
const TYPE: &str = "image/jpeg";
const MOST: u64 = 5 << 20;
/// Webhooks come within seconds; who waits longer is told that nobody has said how it ended.
pub const SILENCE: Span = Span::minutes(10);

/// The picture that was asked for last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    pub file: MediaId,
    pub by: UserId,
    /// What the answer to the call named; the webhook about it bears the same.
    pub request: Option<String>,
    pub state: PictureState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PictureState {
    /// On its way to WhatsApp.
    Asked,
    /// WhatsApp has it and has not said whether it shows it.
    Taken {
        at: Timestamp,
    },
    /// Nor did it for so long that the room was told.
    Silent,
    Shown,
    /// Not had, not taken or not shown; the room knows why.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Taken { at: Timestamp },
    Waited,
    Show,
    Refuse,
}

impl PictureState {
    /// The state after the step; `None` where it changes nothing. A call that had to be repeated is told of twice: the better
    /// end stands.
    fn after(self, step: Step) -> Option<PictureState> {
        use PictureState::*;
        match (self, step) {
            (Asked, Step::Taken { at }) => Some(Taken { at }),
            (Taken { .. }, Step::Waited) => Some(Silent),
            (Asked | Taken { .. } | Silent | Refused, Step::Show) => Some(Shown),
            (Asked | Taken { .. } | Silent, Step::Refuse) => Some(Refused),
            (Taken { .. } | Silent | Shown | Refused, Step::Taken { .. }) => None,
            (Asked | Silent | Shown | Refused, Step::Waited) => None,
            (Shown, Step::Show | Step::Refuse) | (Refused, Step::Refuse) => None,
        }
    }
}

impl Picture {
    /// Another one has to wait for its end.
    pub fn is_on_its_way(&self) -> bool {
        matches!(self.state, PictureState::Asked | PictureState::Taken { .. })
    }
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        match self.state {
            PictureState::Taken { at } => Some(at + SILENCE),
            PictureState::Asked | PictureState::Silent | PictureState::Shown | PictureState::Refused => None,
        }
    }
    fn is_named_by(&self, request: &str) -> bool {
        request.is_empty() || self.request.as_deref().is_none_or(|known| known == request)
    }
}

/// How the file may become a group's picture, or the rest of a sentence that says why it may not: as far as its name and its
/// size tell.
pub fn fits(file: &Attached) -> Result<Sendable, String> {
    let known = sendable(Channel::WhatsApp, &file.name).filter(|known| known.mime == TYPE);
    let Some(known) = known else {
        return Err(format!("must be a JPEG, the only type that WhatsApp takes for a group, and {} is none", file.name));
    };
    match file.size {
        Some(0) => Err(format!("has no bytes: {} is empty", file.name)),
        Some(size) if size > MOST => {
            Err(format!("may have {} at most: {} has {}", shown_size(MOST), file.name, shown_size(size)))
        }
        Some(_) | None => Ok(known),
    }
}

// ---- asked for (by an owner, S1-25)

pub struct Wanted<'w> {
    pub group: &'w GroupId,
    pub by: UserId,
    pub said: &'w RoomMessage,
    pub file: &'w Attached,
    pub known: Sendable,
}

/// The file is fetched in front of the call that hands it over; its bytes stay as evidence, whatever comes of it.
pub fn ask_for(scene: &mut Scene, key: &RoomKey, wanted: &Wanted) {
    let Some(mut room) = scene.room(key) else { return };
    let contact = ContactId::of_group(key);
    let (said, file) = (wanted.said, wanted.file);
    let media = files::for_group(scene, key, &contact, (said, file, wanted.known));
    let picture = Picture { file: media.id.clone(), by: wanted.by, request: None, state: PictureState::Asked };
    let Some(native) = &mut room.native else { return };
    native.picture = Some(picture);
    scene.put(&room);
    let detail = json!({ "file": media.id, "name": media.name, "size": media.size, "chat_message": said.message });
    let entry = Entry::new("group.picture_asked", scene.actor(wanted.by)).about(&contact).room(key);
    scene.note(entry.detail(detail));
    let call = GroupCall::Picture { group: wanted.group.clone(), file: Box::new(media) };
    scene.effect(Effect::Group(GroupAct { room: room.key, line: room.line, contact: Some(contact), call }));
}

/// Nobody needs the file of a room that is over.
pub fn is_wanted(scene: &Scene, key: &RoomKey, file: &MediaId) -> bool {
    let picture = scene.room(key).filter(Room::is_live).and_then(|room| room.native).and_then(|native| native.picture);
    picture.is_some_and(|picture| picture.file == *file && picture.state == PictureState::Asked)
}

/// Any other call as it is; this one with its file as that is now, if it is here and still wanted.
pub fn call_may_go(scene: &mut Scene, due: &Due, act: &GroupAct) -> Option<GroupAct> {
    let GroupCall::Picture { group, file } = &act.call else { return Some(act.clone()) };
    let file = scene.media(&file.id).filter(|media| media.is_kept() && is_wanted(scene, &act.room, &media.id));
    if file.is_none() {
        scene.settle(due);
    }
    file.map(|file| GroupAct { call: GroupCall::Picture { group: group.clone(), file: Box::new(file) }, ..act.clone() })
}

/// The bytes are here: only they tell the true size.
pub fn fetched(scene: &mut Scene, key: &RoomKey, media: &Media) {
    if let Some(size) = media.size.filter(|size| *size > MOST) {
        refused(scene, key, Some(&media.id), "too-large", &shown_size(size));
    }
}

// ---- how it ended

/// WhatsApp has it; whether it shows it, the webhook tells.
pub(super) fn taken(scene: &mut Scene, key: &RoomKey, file: &MediaId, request: &str) {
    let Some(mut room) = scene.room(key) else { return };
    let now = scene.now;
    let picture = room.native.as_mut().and_then(|native| native.picture.as_mut());
    let Some(picture) = picture.filter(|picture| picture.file == *file) else { return };
    picture.request = Some(request.to_owned()).filter(|request| !request.is_empty());
    picture.state = picture.state.after(Step::Taken { at: now }).unwrap_or(picture.state);
    scene.put(&room);
}

/// What the webhook says; that of another request than ours is of an earlier picture, which nobody waits for.
pub(super) fn told(scene: &mut Scene, room: &Room, request: &str, trouble: Option<(&str, &str)>) {
    let picture = room.native.as_ref().and_then(|native| native.picture.as_ref());
    if !picture.is_some_and(|picture| picture.is_named_by(request)) {
        return;
    }
    match trouble {
        None => shown(scene, &room.key),
        Some((code, detail)) => refused(scene, &room.key, None, code, detail),
    }
}

fn shown(scene: &mut Scene, key: &RoomKey) {
    let Some((room, picture)) = step(scene, key, None, Step::Show) else { return };
    let name = name_of(scene, &room, picture.by);
    let entry = Entry::new("group.picture_changed", scene.actor(picture.by)).about(&ContactId::of_group(key));
    scene.note(entry.room(key).told_at(scene.event.at).detail(json!({ "file": picture.file, "request": picture.request })));
    tell(scene, &room, Reply::new(Code::Notice, "group-picture-changed").with("name", name));
}

/// `file` where only that one is meant. A room that is over is told nothing.
pub fn refused(scene: &mut Scene, key: &RoomKey, file: Option<&MediaId>, code: &str, detail: &str) {
    let Some((room, picture)) = step(scene, key, file, Step::Refuse) else { return };
    let entry = Entry::new("group.picture_refused", PROGRAM).about(&ContactId::of_group(key));
    scene.note(entry.room(key).detail(json!({ "file": picture.file, "code": code, "detail": detail })));
    if room.is_live() {
        let name = scene.media(&picture.file).map(|media| media.name);
        let reply = Reply::new(Code::Notice, "group-picture-not-changed").because(code).with("why", code);
        tell(scene, &room, reply.with("detail", detail).with("file", name));
    }
}

/// The webhook is late, or lost.
pub(super) fn woke(scene: &mut Scene, key: &RoomKey) {
    let now = scene.now;
    let picture = scene.room(key).and_then(|room| room.native).and_then(|native| native.picture);
    if picture.and_then(|picture| picture.wakes_at()).is_none_or(|at| at > now) {
        return;
    }
    if let Some((room, _)) = step(scene, key, None, Step::Waited).filter(|(room, _)| room.is_live()) {
        tell(scene, &room, Reply::new(Code::Notice, "group-picture-silent"));
    }
}

/// The room and its picture after the step; `None` where it changes nothing.
fn step(scene: &mut Scene, key: &RoomKey, file: Option<&MediaId>, step: Step) -> Option<(Room, Picture)> {
    let mut room = scene.room(key)?;
    let picture = room.native.as_mut()?.picture.as_mut()?;
    if file.is_some_and(|file| *file != picture.file) {
        return None;
    }
    picture.state = picture.state.after(step)?;
    let picture = picture.clone();
    scene.put(&room);
    Some((room, picture))
}

#[cfg(test)]
mod tests {
    use super::PictureState::*;
    use super::*;

    #[test]
    fn every_step_from_every_state() {
        let at = Timestamp(7);
        let (taken, shown, refused) = (Some(Taken { at }), Some(Shown), Some(Refused));
        let rows = [
            (Asked, [taken, None, shown, refused]),
            (Taken { at: Timestamp(1) }, [None, Some(Silent), shown, refused]),
            (Silent, [None, None, shown, refused]),
            (Shown, [None, None, None, None]),
            (Refused, [None, None, shown, None]),
        ];
        for (from, ends) in rows {
            for (step, end) in [Step::Taken { at }, Step::Waited, Step::Show, Step::Refuse].into_iter().zip(ends) {
                assert_eq!(from.after(step), end, "{from:?} {step:?}");
            }
        }
    }

    #[test]
    fn name_and_size_tell_what_whatsapp_takes_for_a_group() {
        let file = |name: &str, size| Attached { id: "1".to_owned(), name: name.to_owned(), size };
        for (name, size) in [("us.jpg", Some(MOST)), ("Us.JPEG", Some(1)), ("us.jpg", None)] {
            assert!(fits(&file(name, size)).is_ok(), "{name} {size:?}");
        }
        let table = [("us.png", Some(9), "must be a JPEG"), ("us", None, "JPEG"), ("us.jpg", Some(0), "empty")];
        for (name, size, why) in table {
            assert!(fits(&file(name, size)).unwrap_err().contains(why), "{name} {size:?}");
        }
        let why = fits(&file("us.jpg", Some(MOST + 1))).unwrap_err();
        assert_eq!(why, "may have 5 MB at most: us.jpg has 5.1 MB");
    }
}
