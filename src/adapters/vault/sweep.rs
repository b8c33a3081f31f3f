//! Takes away files that no record names: what an interrupted fetch, or a lost record, has left behind.
use super::{PART, Vault};
use crate::domain::ids::MediaId;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A file may stand for a moment before its record says that it is kept. A day is far more than any fetch lasts, and leaves
/// time to look at what a mistake has left.
const LEFT_FOR: Duration = Duration::from_hours(24);
/// Our own ids begin so; anything else in the folder is not ours to take away.
const OURS: &str = "f-";

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub kept: usize,
    pub gone: usize,
}

impl Vault {
    /// Goes through the whole folder, so it is nothing for the running path. What `is_named` cannot tell ends it: a store that
    /// cannot be read names nothing, and that must not cost a file.
    ///
    /// # Errors
    /// The folder cannot be read, a file cannot be taken away, or `is_named` does not know.
    pub fn sweep(&self, now: SystemTime, is_named: impl Fn(&MediaId) -> io::Result<bool>) -> io::Result<Swept> {
        let mut swept = Swept::default();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Some(id) = id_of(&path) else { continue };
            if is_left(&path, now)? && !is_named(&id)? {
                std::fs::remove_file(&path)?;
                swept.gone += 1;
            } else {
                swept.kept += 1;
            }
        }
        Ok(swept)
    }
}

fn id_of(path: &Path) -> Option<MediaId> {
    let name = path.file_name()?.to_str()?;
    let unfinished = path.extension().is_some_and(|ending| ending == PART);
    (name.starts_with(OURS) && !unfinished).then(|| MediaId::new(name))
}

fn is_left(path: &Path, now: SystemTime) -> io::Result<bool> {
    let written = std::fs::metadata(path)?.modified()?;
    // A time to come says that the clock was set back; such a file is not old.
    Ok(now.duration_since(written).is_ok_and(|age| age >= LEFT_FOR))
}
