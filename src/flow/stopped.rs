//! Tells whoever paces the lines what the records say of them: a line can also be stopped by what a status tells.
use crate::domain::commit::{Commit, Committed, Key, Stored};
use crate::domain::event::LineTrouble;
use crate::domain::ids::LineId;
use crate::domain::lines::StoppedLine;
use crate::domain::time::Timestamp;
use crate::ports::{Store, StoreError};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Hears of a line that stopped, or that works again.
pub type Heed = Box<dyn Fn(&LineId, Option<&LineTrouble>) + Send + Sync>;

/// A store that passes on what is written of lines, before anything that was committed with it can leave.
pub struct TellsOfLines {
    inner: Arc<dyn Store>,
    heed: Mutex<Heed>,
}

impl TellsOfLines {
    pub fn new(inner: Arc<dyn Store>, heed: Heed) -> TellsOfLines {
        TellsOfLines { inner, heed: Mutex::new(heed) }
    }

    /// As it stands in the store now: however commits overtake each other, the last look is right.
    fn look_at(&self, line: &LineId) {
        let heed = self.heed.lock().unwrap_or_else(PoisonError::into_inner);
        // Who cannot read it has not read that it works.
        let Ok(stored) = self.inner.get(&StoppedLine::key_of(line)) else { return };
        let stopped = stored.and_then(|stored| serde_json::from_slice::<StoppedLine>(&stored.value).ok());
        heed(line, stopped.as_ref().map(|stopped| &stopped.trouble));
    }
}

impl Store for TellsOfLines {
    fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let of_lines = commit.puts.iter().filter_map(|put| StoppedLine::line_of(&put.key));
        let lines: Vec<LineId> = of_lines.collect();
        let committed = self.inner.commit(commit)?;
        if matches!(committed, Committed::Now(_)) {
            lines.iter().for_each(|line| self.look_at(line));
        }
        Ok(committed)
    }

    fn durable(&self) -> watch::Receiver<u64> {
        self.inner.durable()
    }

    fn last_time(&self) -> Timestamp {
        self.inner.last_time()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::store::MemoryStore;
    use crate::domain::commit::Put;
    use crate::domain::ids::EventId;

    fn commit(key: Key, value: Option<&StoppedLine>) -> Commit {
        let value = value.map(|value| serde_json::to_vec(value).unwrap());
        let put = Put { key, value, sealed_for: None };
        Commit { cause: EventId::new("e"), at: Timestamp(1), read: vec![], puts: vec![put], entries: vec![], raw: None }
    }

    #[test]
    fn a_line_that_the_records_stop_or_let_go_is_told_of() {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = Arc::clone(&heard);
        let heed: Heed = Box::new(move |line, trouble| {
            hears.lock().unwrap().push(format!("{line} {:?}", trouble.map(|trouble| trouble.code.as_str())));
        });
        let store = TellsOfLines::new(Arc::new(MemoryStore::new()), heed);
        let trouble = LineTrouble { code: "368".into(), detail: String::new(), since: Timestamp(1), by_status: true };
        let stopped = StoppedLine { line: LineId::new("777"), trouble };
        let key = StoppedLine::key_of(&stopped.line);
        store.commit(commit(key.clone(), Some(&stopped))).unwrap();
        store.commit(commit(Key::new("message", "m-1"), None)).unwrap();
        store.commit(commit(key, None)).unwrap();
        assert_eq!(*heard.lock().unwrap(), ["777 Some(\"368\")", "777 None"]);
    }
}
