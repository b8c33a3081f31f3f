//! Files in control calls: given in Base64, shown as they are.
use super::control::{Complaint, Control};
use crate::sandbox::views::Given;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;

/// What a browser shows in place; anything else is offered for saving, since it may hold anything.
const SHOWN: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];

/// A file in the body of a call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenFile {
    base64: String,
    #[serde(default, alias = "name")]
    filename: String,
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    pub caption: Option<String>,
}

impl GivenFile {
    pub fn given(self) -> Result<Given, Complaint> {
        let bytes = STANDARD.decode(self.base64.trim());
        let bytes = bytes.map_err(|_| Complaint::bad("That is no Base64.", "base64", "Encode the file's bytes in Base64."))?;
        let mime = if self.mime_type.is_empty() { "application/octet-stream".to_owned() } else { self.mime_type };
        Ok(Given { name: self.filename, mime, bytes: Bytes::from(bytes) })
    }
}

pub(super) fn all(files: Vec<GivenFile>) -> Result<Vec<Given>, Complaint> {
    files.into_iter().map(GivenFile::given).collect()
}

pub(super) async fn on_phone(State(control): State<Control>, Path(file): Path<String>) -> Result<Response, Complaint> {
    let found = control.world.phone_file(&file);
    shown(found.ok_or_else(|| Complaint::missing("file", &file, "Take its id from GET /api/phones/{number}/messages."))?)
}

pub(super) async fn in_chat(
    State(control): State<Control>,
    Path((message, file)): Path<(String, String)>,
) -> Result<Response, Complaint> {
    let found = control.world.chat_file(&message, &file);
    shown(found.ok_or_else(|| Complaint::missing("file", &file, "Take its id from GET /api/rooms/{id}/messages."))?)
}

fn shown((mime, bytes): (String, Bytes)) -> Result<Response, Complaint> {
    let bare = mime.split(';').next().unwrap_or_default().trim().to_owned();
    if SHOWN.contains(&bare.as_str()) {
        return Ok(([(CONTENT_TYPE, bare)], bytes).into_response());
    }
    let headers = [(CONTENT_TYPE, "application/octet-stream"), (CONTENT_DISPOSITION, "attachment")];
    Ok((headers, bytes).into_response())
}
