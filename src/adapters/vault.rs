//! Where files are kept: `data_dir/media`, each under our own id, sealed for its contact, never whole in memory.
//!
//! A kept file is a row of pieces, `length u32 | sealed piece`; the last piece says that it is the last, so that a file
//! that was cut off does not read as a shorter one. Erasing a contact's key makes his files unreadable with the rest.
mod magic;
mod pixels;
mod sweep;

use crate::adapters::store::KeyRing;
use crate::domain::ids::{ContactId, MediaId};
use crate::domain::media::{Found, Media};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use self::sweep::Swept;

const FOLDER: &str = "media";
/// What has not come to its end; swept away at the next start.
const PART: &str = "part";
/// Bytes of a piece before it is sealed.
const PIECE: usize = 64 * 1024;
/// What sealing adds at most to a piece.
const SEAL_MOST: usize = 256;
/// Bytes by which a type is known.
const HEAD: usize = 1_024;
/// Pieces on their way between the network and the disk.
const ON_THE_WAY: usize = 8;

/// Why a file was not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    #[error("it is empty")]
    Empty,
    #[error("its bytes are not those of the hash that was told")]
    WrongHash,
    #[error("its bytes are not of the type {0}")]
    WrongType(String),
    #[error("it broke off")]
    BrokeOff,
    #[error("it could not be written: {0}")]
    Disk(String),
}

impl NotKept {
    pub fn code(&self) -> &'static str {
        match self {
            NotKept::TooLarge(_) => "too-large",
            NotKept::Empty => "empty",
            NotKept::WrongHash => "wrong-hash",
            NotKept::WrongType(_) => "wrong-type",
            NotKept::BrokeOff => "broke-off",
            NotKept::Disk(_) => "disk",
        }
    }
    /// Whether another try may end otherwise.
    pub fn may_pass(&self) -> bool {
        matches!(self, NotKept::BrokeOff | NotKept::Disk(_))
    }
}

impl From<io::Error> for NotKept {
    fn from(error: io::Error) -> NotKept {
        NotKept::Disk(error.to_string())
    }
}

/// Why a kept file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("the file {0} is not in the media folder: {1}")]
    Missing(MediaId, String),
    #[error("the file {0} was changed or cut off")]
    Damaged(MediaId),
    #[error("the key of the file {0} was erased")]
    Erased(MediaId),
}

pub struct Vault {
    folder: PathBuf,
    keys: Arc<KeyRing>,
}

impl Vault {
    /// Makes the folder, for us alone, and sweeps away what an earlier run left unfinished.
    pub fn open(data_dir: &Path, keys: Arc<KeyRing>) -> io::Result<Vault> {
        let folder = data_dir.join(FOLDER);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == PART) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(Vault { folder, keys })
    }

    /// Begins to take a file in. It is kept only once `finish` says so; dropping it before leaves nothing behind.
    pub fn take(&self, media: &Media, most: u64) -> Taking {
        let (to, from) = mpsc::channel(ON_THE_WAY);
        let (path, keys, media) = (self.path(&media.id), Arc::clone(&self.keys), media.clone());
        let done = tokio::task::spawn_blocking(move || write(path, keys, &media, most, from));
        Taking { to, done }
    }

    /// The whole file is proved before its first byte is given out: what has begun to leave must not break off.
    pub async fn read(&self, media: &Media) -> Result<Kept, Unreadable> {
        let kept = Kept {
            path: self.path(&media.id),
            keys: Arc::clone(&self.keys),
            id: media.id.clone(),
            name: media.name.clone(),
            mime: media.mime.clone(),
            size: 0,
        };
        let proved = tokio::task::spawn_blocking(move || {
            let mut size = 0;
            kept.each(|piece| {
                size += piece.len() as u64;
                true
            })?;
            Ok(Kept { size, ..kept })
        });
        let kept = proved.await.unwrap_or_else(|_| Err(Unreadable::Damaged(media.id.clone())))?;
        if media.size.is_some_and(|size| size != kept.size) { Err(Unreadable::Damaged(media.id.clone())) } else { Ok(kept) }
    }

    fn path(&self, id: &MediaId) -> PathBuf {
        // Our own ids are letters and digits; anything else must not lead out of the folder.
        let safe: String = id.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.folder.join(safe)
    }
}

/// Where a piece belongs: moved elsewhere it does not open.
fn place_of(id: &MediaId, piece: u32, last: bool) -> String {
    format!("media/{id}/{piece}/{}", if last { "last" } else { "more" })
}

// ---- in

/// A file on its way in.
pub struct Taking {
    to: mpsc::Sender<Option<Bytes>>,
    done: JoinHandle<Result<Found, NotKept>>,
}

impl Taking {
    /// False: nothing more is wanted, and `finish` tells why.
    pub async fn push(&mut self, bytes: Bytes) -> bool {
        self.to.send(Some(bytes)).await.is_ok()
    }

    /// All bytes are there: checks them, makes them durable and gives the file its name.
    pub async fn finish(self) -> Result<Found, NotKept> {
        // Where nobody listens any more the other side has ended with an error, which comes next.
        let _told = self.to.send(None).await;
        self.done.await.unwrap_or(Err(NotKept::BrokeOff))
    }
}

fn write(
    path: PathBuf,
    keys: Arc<KeyRing>,
    media: &Media,
    most: u64,
    mut from: mpsc::Receiver<Option<Bytes>>,
) -> Result<Found, NotKept> {
    let part = Part::create(&path)?;
    let mut writing = Writing::new(&part.path, keys, media, most)?;
    loop {
        match from.blocking_recv() {
            Some(Some(bytes)) => writing.push(&bytes)?,
            Some(None) => break,
            None => return Err(NotKept::BrokeOff),
        }
    }
    let found = writing.finish(media)?;
    std::fs::rename(&part.path, &path)?;
    File::open(path.parent().expect("the file lies in the media folder"))?.sync_all()?;
    Ok(found)
}

/// Taken away again unless it was renamed.
struct Part {
    path: PathBuf,
}

impl Part {
    fn create(path: &Path) -> io::Result<Part> {
        let part = Part { path: path.with_extension(PART) };
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part.path)?;
        Ok(part)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After the renaming there is none.
        let _gone = std::fs::remove_file(&self.path);
    }
}

struct Writing {
    file: BufWriter<File>,
    keys: Arc<KeyRing>,
    id: MediaId,
    contact: ContactId,
    most: u64,
    piece: Vec<u8>,
    pieces: u32,
    size: u64,
    sha256: Context,
    head: Vec<u8>,
}

impl Writing {
    fn new(part: &Path, keys: Arc<KeyRing>, media: &Media, most: u64) -> io::Result<Writing> {
        Ok(Writing {
            file: BufWriter::new(OpenOptions::new().write(true).open(part)?),
            keys,
            id: media.id.clone(),
            contact: media.contact.clone(),
            most,
            piece: Vec::with_capacity(PIECE),
            pieces: 0,
            size: 0,
            sha256: Context::new(&SHA256),
            head: Vec::new(),
        })
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<(), NotKept> {
        self.size += bytes.len() as u64;
        if self.size > self.most {
            return Err(NotKept::TooLarge(self.most));
        }
        self.sha256.update(bytes);
        let missing = (HEAD - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..missing]);
        while !bytes.is_empty() {
            // A full piece waits until more comes: only then it is certainly not the last.
            if self.piece.len() == PIECE {
                self.seal(false)?;
            }
            let (now, later) = bytes.split_at((PIECE - self.piece.len()).min(bytes.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn seal(&mut self, last: bool) -> Result<(), NotKept> {
        let place = place_of(&self.id, self.pieces, last);
        let sealed = self.keys.seal(Some(&self.contact), &place, &self.piece);
        let sealed = sealed.map_err(|error| NotKept::Disk(error.to_string()))?;
        self.file.write_all(&(sealed.len() as u32).to_be_bytes())?;
        self.file.write_all(&sealed)?;
        self.piece.clear();
        self.pieces += 1;
        Ok(())
    }

    fn finish(mut self, media: &Media) -> Result<Found, NotKept> {
        if self.size == 0 {
            return Err(NotKept::Empty);
        }
        self.seal(true)?;
        let found = Found { size: self.size, sha256: hex::encode(self.sha256.finish()) };
        if media.sha256.as_ref().is_some_and(|told| *told != found.sha256) {
            return Err(NotKept::WrongHash);
        }
        if !magic::fits(&media.mime, &self.head) {
            return Err(NotKept::WrongType(media.mime.clone()));
        }
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(found)
    }
}

// ---- out

/// A file of ours that was proved whole.
pub struct Kept {
    path: PathBuf,
    keys: Arc<KeyRing>,
    id: MediaId,
    pub name: String,
    pub mime: String,
    /// Bytes.
    pub size: u64,
}

impl Kept {
    /// As a part of a form, read piece by piece while it leaves.
    pub fn part(&self) -> reqwest::multipart::Part {
        let body = reqwest::Body::wrap_stream(self.pieces());
        let part = reqwest::multipart::Part::stream_with_length(body, self.size);
        let typed = part.file_name(self.name.clone()).mime_str(&self.mime);
        typed.unwrap_or_else(|_| self.part_without_type())
    }

    /// Its bytes, read piece by piece while they leave.
    pub fn pieces(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let (to, from) = mpsc::channel::<io::Result<Bytes>>(ON_THE_WAY);
        let kept = Kept {
            path: self.path.clone(),
            keys: Arc::clone(&self.keys),
            id: self.id.clone(),
            name: String::new(),
            mime: String::new(),
            size: self.size,
        };
        tokio::task::spawn_blocking(move || {
            let read = kept.each(|piece| to.blocking_send(Ok(Bytes::from(piece))).is_ok());
            if let Err(error) = read {
                // Whoever does not listen any more needs no error.
                let _told = to.blocking_send(Err(io::Error::other(error)));
            }
        });
        futures_util::stream::unfold(from, async |mut from| Some((from.recv().await?, from)))
    }

    /// Width and height of a JPEG; `None` where its bytes do not tell.
    pub async fn pixels(&self) -> Option<(u32, u32)> {
        let (mut pieces, mut seeker) = (std::pin::pin!(self.pieces()), pixels::Seeker::default());
        while let Some(Ok(piece)) = pieces.next().await {
            if !seeker.push(&piece) {
                break;
            }
        }
        seeker.found()
    }

    /// A stranger's type may be no type at all.
    fn part_without_type(&self) -> reqwest::multipart::Part {
        let plain = Kept {
            path: self.path.clone(),
            keys: Arc::clone(&self.keys),
            id: self.id.clone(),
            name: self.name.clone(),
            mime: "application/octet-stream".to_owned(),
            size: self.size,
        };
        plain.part()
    }

    /// Opens piece after piece until the last, or until nobody wants more.
    fn each(&self, mut wanted: impl FnMut(Vec<u8>) -> bool) -> Result<(), Unreadable> {
        let missing = |error: io::Error| Unreadable::Missing(self.id.clone(), error.to_string());
        let mut file = BufReader::new(File::open(&self.path).map_err(missing)?);
        let mut number = 0;
        loop {
            let sealed = self.next(&mut file)?;
            // What was sealed as the last piece must end the file, and nothing else may.
            let last = self.is_at_end(&mut file)?;
            let plain = self.keys.open_sealed(&place_of(&self.id, number, last), &sealed);
            let plain = plain.map_err(|_| Unreadable::Damaged(self.id.clone()))?;
            let Some(plain) = plain else { return Err(Unreadable::Erased(self.id.clone())) };
            if !wanted(plain) || last {
                return Ok(());
            }
            number += 1;
        }
    }

    fn next(&self, file: &mut BufReader<File>) -> Result<Vec<u8>, Unreadable> {
        let damaged = |_| Unreadable::Damaged(self.id.clone());
        let mut length = [0; 4];
        file.read_exact(&mut length).map_err(damaged)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > PIECE + SEAL_MOST {
            return Err(Unreadable::Damaged(self.id.clone()));
        }
        let mut sealed = vec![0; length];
        file.read_exact(&mut sealed).map_err(damaged)?;
        Ok(sealed)
    }

    fn is_at_end(&self, file: &mut BufReader<File>) -> Result<bool, Unreadable> {
        use std::io::BufRead;
        let rest = file.fill_buf().map_err(|_| Unreadable::Damaged(self.id.clone()))?;
        Ok(rest.is_empty())
    }
}
