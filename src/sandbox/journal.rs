//! The append log beneath an emulator: one JSON line per changed thing, written before the answer is given, compacted at start.
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MEDIA: &str = "media";

/// Without a folder nothing is kept beyond the process.
pub(super) struct Journal {
    folder: Option<PathBuf>,
    /// The name of the emulator, which is that of its log.
    name: &'static str,
    file: Option<File>,
}

impl Journal {
    /// Opens the log of that folder and returns what it holds, oldest first.
    pub fn open<R: DeserializeOwned>(folder: Option<PathBuf>, name: &'static str) -> io::Result<(Journal, Vec<R>)> {
        let Some(path) = folder else { return Ok((Journal { folder: None, name, file: None }, Vec::new())) };
        fs::create_dir_all(path.join(MEDIA))?;
        let records = read(&path.join(format!("{name}.jsonl")))?;
        Ok((Journal { folder: Some(path), name, file: None }, records))
    }

    /// Replaces the log by these records and opens it for appending; the old one stays whole until the new one is complete.
    pub fn compact<R: Serialize>(&mut self, records: &[R]) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let (log, compacted) = (folder.join(format!("{}.jsonl", self.name)), folder.join(format!("{}.jsonl.new", self.name)));
        fs::write(&compacted, lines(records)?)?;
        fs::rename(compacted, &log)?;
        self.file = Some(OpenOptions::new().append(true).open(log)?);
        Ok(())
    }

    /// Appends in one write. There is no fsync: a killed process loses nothing, and a power cut does not matter in a sandbox.
    pub fn append<R: Serialize>(&mut self, records: &[R]) -> io::Result<()> {
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

fn lines<R: Serialize>(records: &[R]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// A last line without its newline was being written when the process died, so it was never acknowledged and is cut.
fn read<R: DeserializeOwned>(path: &Path) -> io::Result<Vec<R>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let filled = bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    filled.map(|(number, line)| parse(path, number + 1, line)).collect()
}

fn parse<R: DeserializeOwned>(path: &Path, number: usize, line: &[u8]) -> io::Result<R> {
    serde_json::from_slice(line).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} line {number} cannot be read: {error}", path.display()))
    })
}
