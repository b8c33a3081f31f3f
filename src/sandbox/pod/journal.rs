//! The pod's own journal: one JSON line for each change, replayed at start and then written anew.
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::feed::Feed;
use super::state::{Connection, Counters, Message, State, Stream, User};

const FILE: &str = "pod.jsonl";

/// Whole values (the last one wins) and, for feeds, their steps: a queue is too long to be written at each event.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    User(User),
    Stream(Stream),
    Message(Message),
    Connection(Connection),
    Counters(Counters),
    Feed(Feed),
    FeedGone { feed: String },
    Queued { feed: String, event: Value },
    Given { feed: String, ack: String, count: usize },
    Again { feed: String, was: String, ack: String },
    Acked { feed: String, ack: String },
}

impl Line {
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("every line is plain JSON") + "\n"
    }
}

/// Reads what was there, drops a torn last line, writes it compactly and keeps the file open for more.
pub fn open(state: &mut State, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(FILE);
    let old = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(fault) => return Err(fault),
    };
    let whole = old.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    for line in old[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line = serde_json::from_slice(line).map_err(io::Error::other)?;
        state.replay(line);
    }
    compact(state, &path)?;
    state.journal = Some(OpenOptions::new().append(true).open(&path)?);
    Ok(())
}

fn compact(state: &State, path: &Path) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = io::BufWriter::new(File::create(&fresh)?);
    file.write_all(Line::Counters(state.counters).text().as_bytes())?;
    let users = state.users.values().cloned().map(Line::User);
    let streams = state.streams.values().cloned().map(Line::Stream);
    let messages = state.messages.values().cloned().map(Line::Message);
    let connections = state.connections.values().cloned().map(Line::Connection);
    let feeds = state.feeds.values().cloned().map(Line::Feed);
    for line in users.chain(streams).chain(messages).chain(connections).chain(feeds) {
        file.write_all(line.text().as_bytes())?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(fresh, path)
}

impl State {
    /// Puts what this act noted into the file, so that a kill afterwards loses nothing.
    pub fn write_out(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.unwritten);
        match &mut self.journal {
            Some(file) if !text.is_empty() => file.write_all(text.as_bytes()),
            Some(_) | None => Ok(()),
        }
    }

    fn replay(&mut self, line: Line) {
        match line {
            Line::User(user) => self.put_user(user),
            Line::Stream(stream) => self.put_stream(stream),
            Line::Message(message) => self.put_message(message),
            Line::Connection(connection) => self.put_connection(connection),
            Line::Counters(counters) => self.counters = counters,
            Line::Feed(feed) => drop(self.feeds.insert(feed.id.clone(), feed)),
            Line::FeedGone { feed } => drop(self.feeds.remove(&feed)),
            Line::Queued { feed, event } => self.of_feed(&feed, |feed| feed.queue.push_back(event)),
            Line::Given { feed, ack, count } => self.of_feed(&feed, |feed| feed.give(ack, count)),
            Line::Again { feed, was, ack } => self.of_feed(&feed, |feed| feed.give_again(&was, ack)),
            Line::Acked { feed, ack } => self.of_feed(&feed, |feed| feed.forget(&ack)),
        }
    }

    fn of_feed(&mut self, id: &str, step: impl FnOnce(&mut Feed)) {
        if let Some(feed) = self.feeds.get_mut(id) {
            step(feed);
        }
    }
}
