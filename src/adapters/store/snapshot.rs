//! A snapshot as a file: the view's pairs as they were while some commits were applied, and how such a file proves itself.
//!
//! `Liaison snapshot 1\n | {"view":…,"from":…}\n | pairs | FF FF FF FF | last commit u64 | pairs u64 | SHA-256 of all before 32`;
//! a pair is `name length u32 | name | value length u32 | value`, numbers big-endian. Content is sealed in it as in the view.
use super::journal::Checkpoint;
use super::view::{self, Pair};
use super::{disk_failed, sync_folder, trouble};
use crate::ports::StoreError;
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"Liaison snapshot 1\n";
/// Stands where the length of the next name would, which is never so long.
const END: u32 = u32::MAX;
/// Far above any record (`MAX_VALUE_BYTES`) and any list of seen keys: a length beyond it is damage, and is not allocated.
const MAX_PART_BYTES: usize = 16 << 20;
const MAX_HEADER_BYTES: u64 = 4 << 10;
const BUFFER_BYTES: usize = 1 << 20;
/// What is written is brought to the disk bit by bit: all at once would make the journal's `fdatasync` wait for it.
const SYNC_EVERY_BYTES: u64 = 8 << 20;
/// The newest may turn out to be damaged; then the one before it saves most of a rebuild.
const KEPT: usize = 2;
const WHOLE: &str = "snap";
const DRAFT: &str = "new";
const REMOVE: &str = "Look at the disk, remove the folder `snapshots` and start again: the view is rebuilt from the journal.";

#[derive(Serialize, Deserialize)]
struct Header {
    /// Format of the view's pairs: another version of Liaison may keep other pairs.
    view: String,
    from: Checkpoint,
}

/// A whole snapshot: everything up to the tip of `from` is in it, something up to `reaches` may be.
pub struct Snapshot {
    pub path: PathBuf,
    pub from: Checkpoint,
    pub reaches: u64,
}

impl Snapshot {
    /// Proves the file from its first byte to its last.
    pub fn prove(path: &Path) -> Result<Snapshot, StoreError> {
        read_through(path, &mut |_| Ok(()))
    }

    /// Hands over every pair, in the order in which they were written. The file is proved anew meanwhile.
    pub fn each_pair(&self, take: &mut Take<'_>) -> Result<(), StoreError> {
        read_through(&self.path, take).map(drop)
    }
}

pub type Take<'t> = dyn FnMut(Pair) -> Result<(), StoreError> + 't;

fn read_through(path: &Path, take: &mut Take<'_>) -> Result<Snapshot, StoreError> {
    let opened = File::open(path).map_err(|error| disk_failed("cannot open", path, error))?;
    let mut reader = Reader { path, file: BufReader::with_capacity(BUFFER_BYTES, opened), digest: Context::new(&SHA256) };
    let header = reader.header()?;
    let mut pairs = 0;
    while let Some(pair) = reader.pair()? {
        pairs += 1;
        take(pair)?;
    }
    let (reaches, counted) = (reader.number()?, reader.number()?);
    reader.end()?;
    match counted == pairs && reaches >= header.from.tip.sequence {
        true => Ok(Snapshot { path: path.to_owned(), from: header.from, reaches }),
        false => Err(reader.damaged("its numbers do not agree")),
    }
}

/// Where a snapshot begins, as its unproved header says, and how many bytes it has.
pub fn glance(path: &Path) -> Option<(Checkpoint, u64)> {
    let file = File::open(path).ok()?;
    let bytes = file.metadata().ok()?.len();
    let mut reader = Reader { path, file: BufReader::new(file), digest: Context::new(&SHA256) };
    Some((reader.header().ok()?.from, bytes))
}

struct Reader<'p> {
    path: &'p Path,
    file: BufReader<File>,
    digest: Context,
}

impl Reader<'_> {
    fn header(&mut self) -> Result<Header, StoreError> {
        let mut magic = [0; MAGIC.len()];
        self.fill(&mut magic)?;
        if magic != MAGIC {
            return Err(self.damaged("it does not begin like one"));
        }
        let mut line = Vec::new();
        let read = self.file.by_ref().take(MAX_HEADER_BYTES).read_until(b'\n', &mut line);
        read.map_err(|error| self.unread(error))?;
        self.digest.update(&line);
        let header: Header = serde_json::from_slice(&line).map_err(|_| self.damaged("its header cannot be read"))?;
        match header.view.as_bytes() == view::CURRENT_FORMAT {
            true => Ok(header),
            false => Err(self.damaged("its pairs are of another version")),
        }
    }

    /// `None` at the end.
    fn pair(&mut self) -> Result<Option<Pair>, StoreError> {
        let length = self.length()?;
        if length == END {
            return Ok(None);
        }
        let name = self.part(length)?;
        let length = self.length()?;
        Ok(Some((name, self.part(length)?)))
    }

    fn part(&mut self, length: u32) -> Result<Vec<u8>, StoreError> {
        if length as usize > MAX_PART_BYTES {
            return Err(self.damaged("a length in it is impossible"));
        }
        let mut part = vec![0; length as usize];
        self.fill(&mut part)?;
        Ok(part)
    }

    fn length(&mut self) -> Result<u32, StoreError> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn end(&mut self) -> Result<(), StoreError> {
        let proved = self.digest.clone().finish();
        let mut noted = [0; 32];
        self.fill(&mut noted)?;
        if proved.as_ref() != noted {
            return Err(self.damaged("its checksum is wrong"));
        }
        match self.file.fill_buf().map(<[u8]>::is_empty) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.damaged("something stands behind its end")),
            Err(error) => Err(self.unread(error)),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.file.read_exact(bytes).map_err(|error| self.unread(error))?;
        self.digest.update(bytes);
        Ok(())
    }

    fn unread(&self, error: std::io::Error) -> StoreError {
        match error.kind() {
            ErrorKind::UnexpectedEof => self.damaged("it ends too early"),
            _ => disk_failed("cannot read", self.path, error),
        }
    }

    fn damaged(&self, why: &str) -> StoreError {
        trouble(format!("The snapshot {} cannot be used: {why}.", self.path.display()), REMOVE)
    }
}

/// A snapshot in the making; dropped before its end, it leaves nothing behind.
pub struct Draft {
    folder: PathBuf,
    path: PathBuf,
    whole: PathBuf,
    out: BufWriter<File>,
    digest: Context,
    pairs: u64,
    bytes: u64,
    synced: u64,
}

impl Draft {
    pub fn begin(folder: &Path, from: Checkpoint) -> Result<Draft, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| disk_failed("cannot create", folder, error))?;
        let whole = folder.join(format!("{:016}.{WHOLE}", from.tip.sequence));
        let path = whole.with_extension(DRAFT);
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path);
        let out = file.map_err(|error| disk_failed("cannot create", &path, error))?;
        let (folder, out) = (folder.to_owned(), BufWriter::with_capacity(BUFFER_BYTES, out));
        let mut draft = Draft { folder, path, whole, out, digest: Context::new(&SHA256), pairs: 0, bytes: 0, synced: 0 };
        let view = String::from_utf8_lossy(view::CURRENT_FORMAT).into_owned();
        let header = serde_json::to_vec(&Header { view, from }).expect("numbers and texts are always JSON");
        draft.write(&[MAGIC, &header, b"\n"].concat())?;
        Ok(draft)
    }

    pub fn add(&mut self, (name, value): &Pair) -> Result<(), StoreError> {
        for part in [name, value] {
            let length = u32::try_from(part.len()).ok().filter(|length| *length as usize <= MAX_PART_BYTES);
            let Some(length) = length else {
                return Err(trouble(format!("A record of {} bytes has no place in a snapshot.", part.len()), REMOVE));
            };
            self.write(&length.to_be_bytes())?;
            self.write(part)?;
        }
        self.pairs += 1;
        if self.bytes - self.synced >= SYNC_EVERY_BYTES { self.sync() } else { Ok(()) }
    }

    /// Whole or not at all, also in a power cut. Returns how many bytes it has.
    pub fn finish(mut self, reaches: u64) -> Result<u64, StoreError> {
        let pairs = self.pairs;
        self.write(&END.to_be_bytes())?;
        self.write(&reaches.to_be_bytes())?;
        self.write(&pairs.to_be_bytes())?;
        let proof = self.digest.clone().finish();
        self.write(proof.as_ref())?;
        self.sync()?;
        std::fs::rename(&self.path, &self.whole).map_err(|error| disk_failed("cannot write", &self.whole, error))?;
        sync_folder(&self.folder)?;
        Ok(self.bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|error| disk_failed("cannot write", &self.path, error))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.synced = self.bytes;
        let synced = self.out.flush().and_then(|()| self.out.get_ref().sync_data());
        synced.map_err(|error| disk_failed("cannot write", &self.path, error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After the renaming there is nothing of this name; otherwise the next tidying tries again.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The whole snapshots of a folder, newest first.
pub fn newest_first(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut whole = files(folder)?;
    whole.retain(|path| sequence_of(path).is_some());
    whole.sort_unstable_by(|one, other| other.cmp(one));
    Ok(whole)
}

/// Removes what a crash left half written.
pub fn remove_drafts(folder: &Path) -> Result<(), StoreError> {
    files(folder)?.iter().filter(|path| path.extension().is_some_and(|kind| kind == DRAFT)).try_for_each(|path| remove(path))
}

/// Removes all but the newest. What claims to be newer than `written`, which was just written, is not of this journal.
pub fn tidy(folder: &Path, written: u64) -> Result<(), StoreError> {
    let (ours, strange): (Vec<_>, Vec<_>) =
        newest_first(folder)?.into_iter().partition(|path| sequence_of(path).is_some_and(|sequence| sequence <= written));
    strange.iter().chain(ours.iter().skip(KEPT)).try_for_each(|path| remove(path))
}

fn sequence_of(path: &Path) -> Option<u64> {
    let number = path.file_name()?.to_str()?.strip_suffix(WHOLE)?.strip_suffix('.')?;
    if number.len() == 16 { number.parse().ok() } else { None }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error| disk_failed("cannot list", folder, error);
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.map_err(failed)?.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect(),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    std::fs::remove_file(path).map_err(|error| disk_failed("cannot remove", path, error))
}

#[cfg(test)]
mod tests {
    use super::super::journal::Tip;
    use super::*;

    fn checkpoint(sequence: u64) -> Checkpoint {
        Checkpoint { tip: Tip { sequence, ..Tip::START }, at: crate::domain::time::Timestamp(7) }
    }

    fn pairs() -> Vec<Pair> {
        vec![(b"a".into(), b"1".to_vec()), (b"b".into(), Vec::new()), (b"c".into(), vec![0xFF; 9])]
    }

    fn written(folder: &Path, sequence: u64) -> PathBuf {
        let mut draft = Draft::begin(folder, checkpoint(sequence)).unwrap();
        pairs().iter().for_each(|pair| draft.add(pair).unwrap());
        draft.finish(sequence + 2).unwrap();
        folder.join(format!("{sequence:016}.snap"))
    }

    #[test]
    fn a_snapshot_comes_back_as_it_was_written() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = written(folder.path(), 5);
        let snapshot = Snapshot::prove(&path).unwrap();
        assert_eq!((snapshot.from, snapshot.reaches), (checkpoint(5), 7));
        let mut read = Vec::new();
        let mut keep = |pair| {
            read.push(pair);
            Ok(())
        };
        snapshot.each_pair(&mut keep).unwrap();
        assert_eq!(read, pairs());
        assert_eq!(glance(&path), Some((checkpoint(5), std::fs::metadata(&path).unwrap().len())));
    }

    #[test]
    fn every_prefix_every_flipped_bit_and_a_byte_too_many_are_noticed() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = written(folder.path(), 5);
        let bytes = std::fs::read(&path).unwrap();
        let is_refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Snapshot::prove(&path).is_err()
        };
        assert!((0..bytes.len()).all(|length| is_refused(&bytes[..length])));
        assert!(is_refused(&[&bytes[..], b"x"].concat()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(is_refused(&flipped), "bit {bit}");
        }
        assert!(!is_refused(&bytes));
    }

    #[test]
    fn a_view_of_another_version_has_other_pairs() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = written(folder.path(), 5);
        let text = [r#"{"view":""#, &String::from_utf8_lossy(view::CURRENT_FORMAT)].concat();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap() + text.len() - 1;
        bytes[at] = b'9';
        std::fs::write(&path, bytes).unwrap();
        let told = Snapshot::prove(&path).err().unwrap().to_string();
        assert!(told.contains("another version"), "{told}");
    }

    #[test]
    fn two_are_kept_and_no_draft() {
        let folder = tempfile::TempDir::new().unwrap();
        for sequence in [1, 2, 3, 9] {
            written(folder.path(), sequence);
        }
        drop(Draft::begin(folder.path(), checkpoint(4)).unwrap());
        std::fs::write(folder.path().join("0000000000000005.new"), "half").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
        remove_drafts(folder.path()).unwrap();
        tidy(folder.path(), 3).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["0000000000000002.snap", "0000000000000003.snap", "notes.txt"]);
    }
}
