//! The control calls about WhatsApp groups: a phone asks to join by a link, sees, writes and leaves.
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::control::{Answer, Complaint, Control, Said, phone_by, some_text};
use super::files::GivenFile;
use super::world::World;
use crate::sandbox::group_views::GroupView;
use crate::sandbox::views::PhoneMessageView;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    link: String,
}

pub(super) async fn all(State(control): State<Control>, Path(number): Path<String>) -> Answer<Vec<GroupView>> {
    let number = phone_by(&*control.world, &number)?;
    Ok(Json(control.world.phone_groups(&number)))
}

pub(super) async fn join(
    State(control): State<Control>,
    Path(number): Path<String>,
    Said(asked): Said<Link>,
) -> Answer<GroupView> {
    let number = phone_by(&*control.world, &number)?;
    let joined = control.world.phone_joins(&number, &asked.link);
    joined.map(Json).map_err(|no| Complaint::bad(no.why, "link", no.mend))
}

pub(super) async fn leave(State(control): State<Control>, Path((number, group)): Path<(String, String)>) -> Answer<GroupView> {
    let number = phone_by(&*control.world, &number)?;
    let left = control.world.phone_leaves(&number, &group);
    left.map(Json).map_err(|why| Complaint::bad(why, "group", "Look at GET /api/phones/{number}/groups."))
}

/// A text, or a file with what is written under it.
pub(super) fn write(
    world: &dyn World,
    number: &str,
    group: &str,
    text: &str,
    file: Option<(&'static str, GivenFile)>,
) -> Answer<PhoneMessageView> {
    let written = match file {
        None => world.phone_writes_in_group(number, group, some_text(text)?),
        Some((kind, file)) => {
            let caption = file.caption.clone();
            world.phone_sends_in_group(number, group, kind, file.given()?, caption.as_deref())
        }
    };
    let mend = "Look at GET /api/phones/{number}/groups.";
    written.map(|message| Json(message.into())).map_err(|why| Complaint::bad(why, "group, text", mend))
}
