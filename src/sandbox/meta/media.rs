//! Media files: uploaded by the firm or by a client's phone, read through an address that lives five minutes.
use super::Inner;
use super::errors::GraphError;
use super::world::{Record, World};
use crate::sandbox::views::FileView;
use aws_lc_rs::digest;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Meta's largest document.
pub(super) const MAX_MEDIA_BYTES: usize = 100 * 1024 * 1024;
/// An address of a media file is good for five minutes (Meta, media page).
const ADDRESS_LIFE_MS: i64 = 5 * 60 * 1000;
/// The types Meta takes.
const TYPES: [&str; 21] = [
    "audio/aac",
    "audio/amr",
    "audio/mpeg",
    "audio/mp4",
    "audio/ogg",
    "audio/opus",
    "application/vnd.ms-powerpoint",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/pdf",
    "text/plain",
    "text/csv",
    "application/vnd.ms-excel",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/mp4",
    "video/3gpp",
    "application/octet-stream",
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Media {
    pub id: String,
    pub mime: String,
    pub bytes: usize,
    /// SHA-256 in hex, as `GET /{media-id}` gives it; webhooks carry it in base64.
    pub sha256: String,
    pub filename: Option<String>,
}

impl Media {
    pub fn view(&self) -> FileView {
        let name = self.filename.clone().unwrap_or_default();
        FileView { id: self.id.clone(), name, mime: self.mime.clone(), bytes: self.bytes }
    }

    /// The hash as webhooks carry it.
    pub fn sha256_base64(&self) -> String {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(hex::decode(&self.sha256).unwrap_or_default())
    }
}

impl Inner {
    /// Keeps a file and returns its id.
    pub(super) fn keep_media(&self, mime: &str, filename: Option<String>, bytes: Bytes) -> Result<Media, GraphError> {
        let kind = mime.split(';').next().unwrap_or_default().trim();
        if !TYPES.contains(&kind) {
            let text = format!(
                "Param file must be a file with one of the following types: {}. Received file of type '{mime}'.",
                TYPES.join(", ")
            );
            return Err(GraphError::new(100, text));
        }
        if bytes.is_empty() || bytes.len() > MAX_MEDIA_BYTES {
            return Err(GraphError::new(131053, "The media file is empty or too large."));
        }
        let sha256 = hex::encode(digest::digest(&digest::SHA256, &bytes));
        let media = Media { id: super::shapes::object_id(), mime: mime.to_string(), bytes: bytes.len(), sha256, filename };
        let mut world = self.world();
        store(&mut world, &media.id, bytes)?;
        self.commit(&mut world, vec![Record::Media(media.clone())], Vec::new())?;
        Ok(media)
    }

    /// The answer to `GET /{media-id}`; `host` is where the asking client reached us.
    pub(super) fn media_address(&self, id: &str, host: &str) -> Option<Value> {
        let world = self.world();
        let media = world.media.get(id)?;
        let expires = ((self.now)() + ADDRESS_LIFE_MS) / 1000;
        let hash = self.address_hash(id, expires);
        let url = format!("http://{host}/whatsapp_business/attachments/?mid={id}&ext={expires}&hash={hash}");
        Some(json!({"messaging_product": "whatsapp", "url": url, "mime_type": media.mime, "sha256": media.sha256,
            "file_size": media.bytes, "id": id}))
    }

    /// The type and the bytes behind an address, unless it has expired or was made up.
    pub(super) fn media_behind(&self, id: &str, expires: i64, hash: &str) -> Option<(String, Bytes)> {
        if expires * 1000 < (self.now)() || hash != self.address_hash(id, expires) {
            return None;
        }
        bytes_of(&self.world(), id)
    }

    /// How the phone's screen shows a file that is kept here.
    pub(super) fn shown_file(&self, id: &str) -> Option<FileView> {
        self.world().media.get(id).map(Media::view)
    }

    /// The type and the bytes of a file, for the phone that shows it.
    pub(super) fn file(&self, id: &str) -> Option<(String, Bytes)> {
        let world = self.world();
        bytes_of(&world, id)
    }

    /// Forgets a file; false if there was none.
    pub(super) fn forget_media(&self, id: &str) -> Result<bool, GraphError> {
        let mut world = self.world();
        if !world.media.contains_key(id) {
            return Ok(false);
        }
        self.commit(&mut world, vec![Record::MediaGone { id: id.to_string() }], Vec::new())?;
        let _ = world.media_path(id).map(std::fs::remove_file);
        Ok(true)
    }

    fn address_hash(&self, id: &str, expires: i64) -> String {
        super::hooks::signature(&self.settings.app_secret, format!("{id}:{expires}").as_bytes())[7..39].to_string()
    }
}

fn bytes_of(world: &World, id: &str) -> Option<(String, Bytes)> {
    let media = world.media.get(id)?;
    let bytes = match world.media_path(id) {
        Some(path) => Bytes::from(std::fs::read(path).ok()?),
        None => world.loose_media.get(id)?.clone(),
    };
    Some((media.mime.clone(), bytes))
}

fn store(world: &mut World, id: &str, bytes: Bytes) -> std::io::Result<()> {
    match world.media_path(id) {
        Some(path) => std::fs::write(path, bytes),
        None => {
            world.loose_media.insert(id.to_string(), bytes);
            Ok(())
        }
    }
}
