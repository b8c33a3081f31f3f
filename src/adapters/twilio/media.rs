//! A client's files: asked for with our credentials at the API's own host only, and wherever that leads without them.
use super::client::{NO_CONNECTION, TOO_MANY, Twilio, failed, told};
use super::webhook::RECORDING;
use super::wire::is_sid;
use crate::adapters::vault::{NotKept, Vault};
use crate::domain::effect::{Attempt, Outcome, Upload};
use crate::domain::media::{FILE_MAX, Media};
use crate::domain::time::Span;
use reqwest::header::LOCATION;
use reqwest::{Response, StatusCode, Url};
use std::time::Duration;

/// 100 MB over a line of 3 Mbit/s.
const FILE_WITHIN: Duration = Duration::from_secs(300);
/// A webhook may be faster than the file that it tells of: it is asked for again after these.
const NOT_THERE_YET: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// From the API to the files' host, and once more within it.
const REDIRECTS: usize = 3;
/// What the disk or a broken connection hinders is tried again after this.
const AGAIN: Span = Span::seconds(2);
/// A recording is made ready within minutes.
const RECORDING_AGAIN: Span = Span::seconds(20);

impl Twilio {
    /// Takes a client's file in. Doing it twice is as good as once.
    pub async fn fetch(&self, id: &str, media: &Media, vault: &Vault) -> Attempt {
        let Some(path) = path_of(id) else { return failed("no-such-file", "its id is none") };
        match self.open(&path, id).await {
            Ok(response) => self.take_in(response, media, vault).await,
            Err(attempt) => attempt,
        }
    }

    async fn open(&self, path: &str, id: &str) -> Result<Response, Attempt> {
        for pause in NOT_THERE_YET.into_iter().map(Some).chain([None]) {
            let response = self.asked(path).await?;
            match (response.status(), pause) {
                (StatusCode::OK, _) => return Ok(response),
                (StatusCode::NOT_FOUND, Some(pause)) => tokio::time::sleep(pause).await,
                (StatusCode::NOT_FOUND, None) if id.starts_with(RECORDING) => {
                    return Err(self.not_yet("the recording is not ready".to_owned(), RECORDING_AGAIN));
                }
                (status, _) => return Err(self.refused(status)),
            }
        }
        Err(failed("no-such-file", "Twilio has no such file"))
    }

    /// The credentials go with the first request and with no other.
    async fn asked(&self, path: &str) -> Result<Response, Attempt> {
        let not_reached = |error: reqwest::Error| self.not_yet(told(&error), NO_CONNECTION);
        let first = self.files.get(self.address(path)).timeout(FILE_WITHIN);
        let mut response = self.authorized(first).send().await.map_err(not_reached)?;
        for _ in 0..REDIRECTS {
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let Some(next) = self.next_address(&response) else {
                return Err(failed("wrong-host", "its address leads to where no file of Twilio's is"));
            };
            response = self.files.get(next).timeout(FILE_WITHIN).send().await.map_err(not_reached)?;
        }
        Err(failed("wrong-host", "its address leads on and on"))
    }

    /// A host of the world by its name and over TLS, or the API's own; names that lead to machines of ours open nothing.
    fn next_address(&self, response: &Response) -> Option<Url> {
        let location = response.headers().get(LOCATION)?.to_str().ok()?;
        let next = response.url().join(location).ok()?;
        let is_named = next.domain().is_some() && next.scheme() == "https";
        let is_configured = next.host() == self.api.host() && next.scheme() == self.api.scheme();
        (is_named || is_configured).then_some(next)
    }

    fn refused(&self, status: StatusCode) -> Attempt {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                self.not_yet(format!("status {} for the file", status.as_u16()), TOO_MANY)
            }
            status if status.is_server_error() => self.not_yet(format!("status {} for the file", status.as_u16()), TOO_MANY),
            status => failed("no-such-file", &format!("Twilio answers {} for it", status.as_u16())),
        }
    }

    async fn take_in(&self, mut response: Response, media: &Media, vault: &Vault) -> Attempt {
        if response.content_length().is_some_and(|length| length > FILE_MAX) {
            return not_kept(&NotKept::TooLarge(FILE_MAX));
        }
        let mut taking = vault.take(media, FILE_MAX);
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => {
                    if !taking.push(bytes).await {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => return self.not_yet(told(&error), AGAIN),
            }
        }
        match taking.finish().await {
            Ok(found) => Attempt::Ended(Outcome::Done { external_id: serde_json::to_string(&found).ok() }),
            Err(why) if why.may_pass() => self.not_yet(why.to_string(), AGAIN),
            Err(why) => not_kept(&why),
        }
    }

    /// Twilio fetches a file from us when the message that bears it is sent; until then it only has to be here and whole.
    pub async fn upload(&self, upload: &Upload, vault: &Vault) -> Attempt {
        match vault.read(&upload.media).await {
            Ok(_) => Attempt::Ended(Outcome::Done { external_id: Some(upload.media.id.to_string()) }),
            Err(why) => failed("attachment", &why.to_string()),
        }
    }
}

/// `<MessageSid>/<MediaSid>`, or `recording/<RecordingSid>`: whatever else it is must not become another path.
fn path_of(id: &str) -> Option<String> {
    let (owner, sid) = id.split_once('/')?;
    if !is_sid(sid) || !is_sid(owner) {
        return None;
    }
    match id.strip_prefix(RECORDING) {
        Some(recording) => Some(format!("Recordings/{recording}.mp3")),
        None => Some(format!("Messages/{owner}/Media/{sid}")),
    }
}

fn not_kept(why: &NotKept) -> Attempt {
    failed(why.code(), &why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_two_sids_and_leads_nowhere_else() {
        assert_eq!(path_of("MM1/ME2").as_deref(), Some("Messages/MM1/Media/ME2"));
        assert_eq!(path_of("recording/RE3").as_deref(), Some("Recordings/RE3.mp3"));
        for id in ["", "MM1", "MM1/", "/ME1", "MM1/../ME2", "MM1/ME2/x", "MM1/ME2?a", "MM 1/ME2", "recording/../x", "%2e%2e/x"] {
            assert_eq!(path_of(id), None, "{id}");
        }
    }
}
