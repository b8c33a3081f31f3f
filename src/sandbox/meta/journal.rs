//! The append log beneath the emulator: one JSON line per changed thing, written before the answer is given, compacted at start.
use super::world::Record;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "meta.jsonl";
const COMPACTED: &str = "meta.jsonl.new";
const MEDIA: &str = "media";

/// Without a folder nothing is kept beyond the process.
pub(super) struct Journal {
    folder: Option<PathBuf>,
    file: Option<File>,
}

impl Journal {
    /// Opens the log of that folder and returns what it holds, oldest first.
    pub fn open(folder: Option<PathBuf>) -> io::Result<(Journal, Vec<Record>)> {
        let Some(path) = folder else { return Ok((Journal { folder: None, file: None }, Vec::new())) };
        fs::create_dir_all(path.join(MEDIA))?;
        let records = read(&path.join(FILE))?;
        Ok((Journal { folder: Some(path), file: None }, records))
    }

    /// Replaces the log by these records and opens it for appending; the old one stays whole until the new one is complete.
    pub fn compact(&mut self, records: &[Record]) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        fs::write(folder.join(COMPACTED), lines(records)?)?;
        fs::rename(folder.join(COMPACTED), folder.join(FILE))?;
        self.file = Some(OpenOptions::new().append(true).open(folder.join(FILE))?);
        Ok(())
    }

    /// Appends in one write. There is no fsync: a killed process loses nothing, and a power cut does not matter in a sandbox.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(&lines(records)?),
            None => Ok(()),
        }
    }

    /// Where the bytes of a media file lie, if there is a folder.
    pub fn media_path(&self, id: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(MEDIA).join(id))
    }
}

fn lines(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// A last line without its newline was being written when the process died, so it was never acknowledged and is cut.
fn read(path: &Path) -> io::Result<Vec<Record>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let filled = bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    filled.map(|(number, line)| parse(path, number + 1, line)).collect()
}

fn parse(path: &Path, number: usize, line: &[u8]) -> io::Result<Record> {
    serde_json::from_slice(line).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} line {number} cannot be read: {error}", path.display()))
    })
}
