//! The picture of a native group on its way to WhatsApp: one call with the bytes in it.
use super::groups::path;
use super::media::FILE_WITHIN;
use super::send::WhatsApp;
use crate::adapters::vault::Vault;
use crate::domain::effect::{Attempt, Outcome};
use crate::domain::ids::{GroupId, LineId};
use crate::domain::media::Media;
use reqwest::multipart::Form;
use serde::Deserialize;

/// Pixels of each side (Meta, groups reference; codes 131209 and 131210 refuse others).
const SIDE_AT_LEAST: u32 = 192;

impl WhatsApp {
    /// Hands the picture over; `Done` carries Meta's id of the request where it names one. Doing it twice is as good as once.
    pub async fn picture(&self, line: &LineId, group: &GroupId, picture: &Media, vault: &Vault) -> Attempt {
        let Some(path) = path(group) else { return failed("no-such-group", "its id is none") };
        let file = match vault.read(picture).await {
            Ok(file) => file,
            Err(why) => return failed("attachment", &why.to_string()),
        };
        // Meta would say the same; where the bytes do not tell, it has the word.
        if let Some(attempt) = file.pixels().await.and_then(not_taken) {
            return attempt;
        }
        let form = Form::new().text("messaging_product", "whatsapp").part("file", file.part());
        let answer = match self.answered(line, self.post(&path).multipart(form).timeout(FILE_WITHIN)).await {
            Ok(answer) => answer,
            Err(attempt) => return attempt,
        };
        #[derive(Deserialize, Default)]
        struct Taken {
            request_id: Option<String>,
        }
        // Meta's document leaves the answer open.
        let taken: Taken = serde_json::from_slice(&answer.bytes).unwrap_or_default();
        Attempt::Ended(Outcome::Done { external_id: taken.request_id })
    }
}

fn not_taken((width, height): (u32, u32)) -> Option<Attempt> {
    let detail = format!("{width} × {height} pixels");
    match (width == height, width.min(height) >= SIDE_AT_LEAST) {
        (true, true) => None,
        (false, _) => Some(failed("not-square", &detail)),
        (true, false) => Some(failed("too-small", &detail)),
    }
}

fn failed(code: &str, detail: &str) -> Attempt {
    Attempt::Ended(Outcome::Failed { code: code.to_owned(), detail: detail.to_owned() })
}
