//! `/room photo`: another picture for the WhatsApp group behind this room; WhatsApp has the last word on it.
use super::room_owners::{OWNERS, owned_room};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::effect::Reply;
use crate::domain::event::{Attached, Fact, RoomMessage};
use crate::domain::ids::GroupId;
use crate::domain::native::picture::{self, Wanted};
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;

pub const PHOTO: Command = Command {
    path: "room photo",
    usage: "/room photo (with one JPEG attached: square, at least 192 × 192 pixels, at most 5 MB)",
    example: "/room photo",
    about: "give the WhatsApp group of this room another picture",
    needs: OWNERS,
    run: photo,
    ..PLAIN
};

const LIKE_THIS: &str = "/room photo, with family.jpg attached to the same message";

/// What became of it is told to the room when WhatsApp says so.
fn photo(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let room = owned_room(scene, given)?;
    let group = group_of(&room)?;
    let (said, file) = attached(scene)?;
    let known = picture::fits(file).map_err(wrong)?;
    picture::ask_for(scene, &room.key, &Wanted { group: &group, by: given.caller.id, said, file, known });
    Ok(Answer::Say(Reply::answer("group-picture-asked").with("file", file.name.clone())))
}

/// The group, if it is one of WhatsApp's own and no other picture is on its way to it.
fn group_of(room: &Room) -> Result<GroupId, Refusal> {
    let Some(native) = &room.native else {
        let why = "has no WhatsApp group behind it: WhatsApp shows a picture only for its own groups";
        return Err(Refusal::bad_argument("room", why, super::group_create::CREATE.example));
    };
    if native.picture.as_ref().is_some_and(picture::Picture::is_on_its_way) {
        return Err(Refusal::new("busy").with("why", "A picture is on its way to WhatsApp already."));
    }
    native.group.clone().ok_or_else(|| Refusal::new("busy").with("why", "WhatsApp is making the group."))
}

/// The one file of the message that the command stands in; a button or a form bears none.
fn attached<'s>(scene: &Scene<'s>) -> Result<(&'s RoomMessage, &'s Attached), Refusal> {
    let Fact::RoomMessage(said) = &scene.event.fact else { return Err(wrong("is missing")) };
    match said.attachments.as_slice() {
        [file] => Ok((said, file)),
        [] => Err(wrong("is missing")),
        [_, _, ..] => Err(wrong(format!("must be one, and {} files are attached", said.attachments.len()))),
    }
}

fn wrong(why: impl Into<String>) -> Refusal {
    Refusal::bad_argument("picture", why, LIKE_THIS)
}
