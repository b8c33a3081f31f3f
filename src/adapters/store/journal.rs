//! The journal: append-only segment files of chained frames, and the walk that proves and reads them.
use super::frame::{self, Frame, Hash};
use super::{disk_failed, sync_folder, trouble};
use crate::ports::StoreError;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Small enough to copy and archive one by one, large enough that changing files costs nothing.
const SEGMENT_BYTES: u64 = 64 << 20;
const READ_AHEAD_BYTES: usize = 1 << 20;

pub const DAMAGED: &str = "Restore the journal folder as a whole from a backup or a second disk; nothing was changed.";
pub const GONE: &str = "Something that was acknowledged is gone, perhaps an opt-out. Restore the whole data folder from a backup; \
                        nothing was changed.";

/// Where a frame begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub segment: u64,
    pub offset: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {:012}.seg, offset {}", self.segment, self.offset)
    }
}

/// The end of a chain of frames: where the next one goes and what it must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    pub place: Place,
    pub sequence: u64,
    pub hash: Hash,
}

impl Tip {
    /// Before the first frame.
    pub const START: Tip = Tip { place: Place { segment: 1, offset: 0 }, sequence: 0, hash: [0; 32] };
}

/// The one writer.
pub struct Journal {
    folder: PathBuf,
    file: File,
    tip: Tip,
}

impl Journal {
    /// Writes on after `tip`; anything behind it (a torn frame) is cut off first.
    pub fn open(folder: &Path, tip: Tip) -> Result<Journal, StoreError> {
        let path = segment_path(folder, tip.place.segment);
        let failed = |error| disk_failed("cannot open", &path, error);
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > tip.place.offset {
            file.set_len(tip.place.offset).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        sync_folder(folder)?;
        file.seek(SeekFrom::Start(tip.place.offset)).map_err(failed)?;
        Ok(Journal { folder: folder.to_owned(), file, tip })
    }

    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// Writes one frame and returns when it would survive a power cut. After an error nothing more may be written: what
    /// the disk holds is known only after opening anew.
    pub fn append(&mut self, commits: u32, payload: &[u8]) -> Result<Tip, StoreError> {
        let frame = frame::encode(self.tip.sequence + 1, commits, &self.tip.hash, payload);
        if self.tip.place.offset > 0 && self.tip.place.offset + frame.len() as u64 > SEGMENT_BYTES {
            self.begin_segment(self.tip.place.segment + 1)?;
        }
        let written = self.file.write_all(&frame).and_then(|()| self.file.sync_data());
        written.map_err(|error| disk_failed("cannot write", &segment_path(&self.folder, self.tip.place.segment), error))?;
        self.tip.place.offset += frame.len() as u64;
        self.tip.sequence += u64::from(commits);
        self.tip.hash = frame::hash_of(&frame);
        Ok(self.tip)
    }

    fn begin_segment(&mut self, number: u64) -> Result<(), StoreError> {
        let path = segment_path(&self.folder, number);
        let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
        self.file = made.map_err(|error| disk_failed("cannot create", &path, error))?;
        sync_folder(&self.folder)?;
        self.tip.place = Place { segment: number, offset: 0 };
        Ok(())
    }
}

/// A frame on a walk, and the chain's end behind it.
pub struct Step<'a> {
    pub frame: &'a Frame<'a>,
    pub begins: Place,
    pub after: Tip,
}

/// What a walk found.
#[derive(Debug)]
pub struct Walked {
    pub tip: Tip,
    pub frames: u64,
    /// Bytes of an unfinished frame behind the tip.
    pub torn_bytes: u64,
}

pub type Visit<'v> = dyn FnMut(Step<'_>) -> Result<(), StoreError> + 'v;

/// Visits every frame behind `from`, oldest first, and proves checksum, chain and sequence of each. An unfinished last frame
/// ends the walk; anything else that is not a frame is an error that says where.
pub fn walk(folder: &Path, from: Tip, visit: &mut Visit<'_>) -> Result<Walked, StoreError> {
    let numbers = segments_from(folder, from.place)?;
    let mut walked = Walked { tip: from, frames: 0, torn_bytes: 0 };
    for (index, number) in numbers.iter().enumerate() {
        if *number != walked.tip.place.segment {
            walked.tip.place = Place { segment: *number, offset: 0 };
        }
        let is_last = index + 1 == numbers.len();
        walk_segment(&segment_path(folder, *number), is_last, &mut walked, visit)?;
    }
    Ok(walked)
}

fn walk_segment(path: &Path, is_last: bool, walked: &mut Walked, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    let failed = |error| disk_failed("cannot read", path, error);
    let file = File::open(path).map_err(failed)?;
    let end = file.metadata().map_err(failed)?.len();
    if end < walked.tip.place.offset {
        return Err(trouble(format!("The journal ends at {end} bytes, before {}.", walked.tip.place), GONE));
    }
    let mut bytes = Window { file: &file, start: walked.tip.place.offset, bytes: Vec::new(), end };
    while walked.tip.place.offset < end {
        let begins = walked.tip.place;
        let Some(frame) = bytes.frame_at(begins.offset).map_err(failed)? else {
            // The next frame is written only after the last is durable, so an unfinished one has nothing whole behind it.
            let rest = read_rest(&file, begins.offset + 1, end).map_err(failed)?;
            let is_torn = is_last && !frame::is_anywhere_in(&rest);
            walked.torn_bytes = end - begins.offset;
            return if is_torn { Ok(()) } else { Err(damaged_at(begins)) };
        };
        check_chain(&frame, begins, &walked.tip)?;
        walked.tip.place.offset += (frame::HEADER_BYTES + frame.payload.len() + frame::CHECKSUM_BYTES) as u64;
        walked.tip.sequence += u64::from(frame.count);
        walked.tip.hash = frame.hash;
        walked.frames += 1;
        visit(Step { frame: &frame, begins, after: walked.tip })?;
    }
    Ok(())
}

fn read_rest(file: &File, from: u64, end: u64) -> std::io::Result<Vec<u8>> {
    let mut rest = vec![0; (end - from) as usize];
    file.read_exact_at(&mut rest, from)?;
    Ok(rest)
}

/// The beginning of the segment in which this commit stands or would stand, as the segment's first frame says. Whoever walks
/// on from there proves that frame with all behind it.
pub fn begin_of_segment_with(folder: &Path, sequence: u64) -> Result<Tip, StoreError> {
    let mut numbers = segments(folder)?;
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        let path = segment_path(folder, number);
        let mut header = Vec::with_capacity(frame::HEADER_BYTES);
        let read = File::open(&path).and_then(|file| file.take(frame::HEADER_BYTES as u64).read_to_end(&mut header));
        read.map_err(|error| disk_failed("cannot read", &path, error))?;
        match frame::claimed_place(&header) {
            Some((first, hash)) if (1..=sequence).contains(&first) => {
                return Ok(Tip { place: Place { segment: number, offset: 0 }, sequence: first - 1, hash });
            }
            Some(_) | None => {}
        }
    }
    Ok(Tip::START)
}

/// How many bytes of the journal lie between two places.
pub fn bytes_between(folder: &Path, from: Place, to: Place) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for number in from.segment..=to.segment {
        let path = segment_path(folder, number);
        let end = match number == to.segment {
            true => to.offset,
            false => std::fs::metadata(&path).map_err(|error| disk_failed("cannot look at", &path, error))?.len(),
        };
        bytes += end.saturating_sub(if number == from.segment { from.offset } else { 0 });
    }
    Ok(bytes)
}

fn damaged_at(at: Place) -> StoreError {
    trouble(format!("The journal is damaged in its middle: {at} is no whole frame."), DAMAGED)
}

fn check_chain(frame: &Frame<'_>, at: Place, tip: &Tip) -> Result<(), StoreError> {
    if frame.previous != tip.hash {
        return Err(trouble(format!("The frame at {at} does not follow the frame before it: the chain is broken."), DAMAGED));
    }
    if frame.first != tip.sequence + 1 || frame.count == 0 {
        let what = format!("The frame at {at} begins with commit {} where {} is due.", frame.first, tip.sequence + 1);
        return Err(trouble(what, DAMAGED));
    }
    Ok(())
}

/// A stretch of a segment in memory, moved on as frames are read.
struct Window<'f> {
    file: &'f File,
    start: u64,
    bytes: Vec<u8>,
    end: u64,
}

impl Window<'_> {
    fn frame_at(&mut self, offset: u64) -> std::io::Result<Option<Frame<'_>>> {
        self.hold(offset, frame::HEADER_BYTES)?;
        let Some(length) = frame::whole_length(self.from(offset)) else { return Ok(None) };
        self.hold(offset, length)?;
        Ok(frame::decode(self.from(offset)))
    }

    fn from(&self, offset: u64) -> &[u8] {
        &self.bytes[(offset - self.start) as usize..]
    }

    /// Holds at least `length` bytes from `offset` on, or all up to the end.
    fn hold(&mut self, offset: u64, length: usize) -> std::io::Result<()> {
        if self.from(offset).len() >= length || self.start + self.bytes.len() as u64 == self.end {
            return Ok(());
        }
        let wanted = length.max(READ_AHEAD_BYTES).min((self.end - offset) as usize);
        self.bytes.resize(wanted, 0);
        self.start = offset;
        self.file.read_exact_at(&mut self.bytes, offset)
    }
}

/// Numbers of the segments from `place` on, without a gap.
fn segments_from(folder: &Path, place: Place) -> Result<Vec<u64>, StoreError> {
    let mut numbers: Vec<u64> = segments(folder)?.into_iter().filter(|number| *number >= place.segment).collect();
    numbers.sort_unstable();
    if numbers.is_empty() && place != Tip::START.place {
        return Err(trouble(format!("The journal has no {place}, which it had before."), GONE));
    }
    for (expected, number) in (place.segment..).zip(&numbers) {
        if expected != *number {
            return Err(trouble(format!("The journal lacks segment {expected:012}.seg."), DAMAGED));
        }
    }
    Ok(numbers)
}

/// Numbers of all segment files, in no order.
pub fn segments(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let failed = |error| disk_failed("cannot list", folder, error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".seg")).filter(|name| name.len() == 12);
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    Ok(numbers)
}

pub fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.seg"))
}

/// How far the view holds the journal for certain: opening proves the frames behind it, `verify` proves all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "CheckpointFile", try_from = "CheckpointFile")]
pub struct Checkpoint {
    pub tip: Tip,
    pub at: crate::domain::time::Timestamp,
}

#[derive(Serialize, Deserialize)]
struct CheckpointFile {
    v: u32,
    #[serde(flatten)]
    place: Place,
    sequence: u64,
    hash: String,
    at: crate::domain::time::Timestamp,
}

impl From<Checkpoint> for CheckpointFile {
    fn from(Checkpoint { tip: Tip { place, sequence, hash }, at }: Checkpoint) -> CheckpointFile {
        CheckpointFile { v: 1, place, sequence, hash: hex::encode(hash), at }
    }
}

impl TryFrom<CheckpointFile> for Checkpoint {
    type Error = &'static str;

    fn try_from(file: CheckpointFile) -> Result<Checkpoint, &'static str> {
        let hash = hex::decode(file.hash).ok().and_then(|hash| hash.try_into().ok()).filter(|_| file.v == 1);
        let hash = hash.ok_or("another format, or no hash")?;
        Ok(Checkpoint { tip: Tip { place: file.place, sequence: file.sequence, hash }, at: file.at })
    }
}

const CHECKPOINT: &str = "checkpoint.json";

impl Checkpoint {
    /// `None` where there is none that can be read: then opening proves the whole journal.
    pub fn read(folder: &Path) -> Option<Checkpoint> {
        let mut text = String::new();
        File::open(folder.join(CHECKPOINT)).ok()?.read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Whole or not at all, also in a power cut.
    pub fn write(&self, folder: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_vec(self).expect("numbers and a hash are always JSON");
        super::write_whole(&folder.join(CHECKPOINT), &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three segments of two frames with two commits each.
    fn three_segments(folder: &Path) -> Vec<Tip> {
        let mut tips = vec![Tip::START];
        for segment in 1..=3 {
            let mut bytes = Vec::new();
            for _ in 0..2 {
                let before = tips[tips.len() - 1];
                let frame = frame::encode(before.sequence + 1, 2, &before.hash, b"{}");
                bytes.extend_from_slice(&frame);
                let place = Place { segment, offset: bytes.len() as u64 };
                tips.push(Tip { place, sequence: before.sequence + 2, hash: frame::hash_of(&frame) });
            }
            std::fs::write(segment_path(folder, segment), bytes).unwrap();
        }
        tips
    }

    #[test]
    fn a_walk_for_a_late_commit_begins_with_its_segment() {
        let folder = tempfile::TempDir::new().unwrap();
        let tips = three_segments(folder.path());
        for (sequence, segment, frames) in [(1, 1, 6), (4, 1, 6), (5, 2, 4), (8, 2, 4), (9, 3, 2), (12, 3, 2), (13, 3, 2)] {
            let begin = begin_of_segment_with(folder.path(), sequence).unwrap();
            assert_eq!((begin.place, begin.sequence), (Place { segment, offset: 0 }, 4 * (segment - 1)), "commit {sequence}");
            let walked = walk(folder.path(), begin, &mut |_| Ok(())).unwrap();
            assert_eq!((walked.frames, walked.tip), (frames, tips[6]), "commit {sequence}");
        }
        // A segment that was only just begun has no frame yet.
        std::fs::write(segment_path(folder.path(), 4), b"").unwrap();
        assert_eq!(begin_of_segment_with(folder.path(), 13).unwrap().place.segment, 3);
        assert_eq!(begin_of_segment_with(&folder.path().join("none"), 13).unwrap(), Tip::START);
    }

    #[test]
    fn bytes_are_counted_across_segments() {
        let folder = tempfile::TempDir::new().unwrap();
        let tips = three_segments(folder.path());
        let frame = tips[1].place.offset;
        for (one, tip) in tips.iter().enumerate() {
            for (other, later) in tips.iter().enumerate().skip(one) {
                let bytes = bytes_between(folder.path(), tip.place, later.place).unwrap();
                assert_eq!(bytes, frame * (other - one) as u64, "{one} to {other}");
            }
        }
        assert_eq!(bytes_between(folder.path(), tips[6].place, tips[1].place).unwrap(), 0);
    }
}
