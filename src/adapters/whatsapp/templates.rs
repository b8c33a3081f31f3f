//! What the account holds on Meta's side: its templates, the state of its lines, and who gets its webhooks.
use super::send::{Answer, Exchange, WhatsApp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const PAGE: &str = "200";
/// An account may have 6,000 templates, each in several languages; this only ends a list that turns in a circle.
const MAX_PAGES: usize = 200;

/// A message template as the account holds it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Listed {
    pub name: String,
    pub language: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub category: String,
    #[serde(default)]
    pub parameter_format: Option<String>,
    /// As in Meta's JSON.
    #[serde(default)]
    pub components: Value,
    /// Why it was not approved; `NONE` where there is nothing to say.
    #[serde(default)]
    pub rejected_reason: Option<String>,
    /// An object with a `score`, in some versions the score itself.
    #[serde(default)]
    pub quality_score: Value,
}

impl Listed {
    pub fn quality(&self) -> Option<&str> {
        let score = self.quality_score["score"].as_str().or(self.quality_score.as_str());
        score.filter(|score| !score.is_empty() && *score != "UNKNOWN")
    }
    pub fn reason(&self) -> Option<&str> {
        self.rejected_reason.as_deref().filter(|reason| !reason.is_empty() && *reason != "NONE")
    }
}

/// What the account says of a template that was just submitted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Submitted {
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub category: String,
}

/// One of the firm's numbers as Meta sees it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LineStatus {
    #[serde(default)]
    pub display_phone_number: Option<String>,
    #[serde(default)]
    pub verified_name: Option<String>,
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub quality_rating: Option<String>,
}

/// A program to which the account's webhooks go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct App {
    pub id: String,
    pub name: String,
}

impl std::fmt::Display for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.id)
    }
}

/// Why a question to the Graph has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("WhatsApp refused with {code}: {detail}")]
    Refused { code: i64, detail: String },
    #[error("WhatsApp was not reached: {0}")]
    NotReached(String),
    #[error("WhatsApp gave an answer that cannot be read: {0}")]
    NotUnderstood(String),
}

#[derive(Deserialize)]
struct Subscriptions {
    data: Vec<Subscription>,
}

#[derive(Deserialize)]
struct Subscription {
    #[serde(default)]
    whatsapp_business_api_data: App,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Listed>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Option<Cursors>,
    /// There only while another page follows.
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Cursors {
    #[serde(default)]
    after: Option<String>,
}

impl WhatsApp {
    /// Every template of the account, in every language and state.
    pub async fn message_templates(&self) -> Result<Vec<Listed>, NoAnswer> {
        let mut templates = Vec::new();
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let mut page = self.page_of_templates(after.as_deref()).await?;
            templates.append(&mut page.data);
            after = page.paging.and_then(following);
            if after.is_none() {
                return Ok(templates);
            }
        }
        Err(NoAnswer::NotUnderstood("a list of templates without end".to_owned()))
    }

    async fn page_of_templates(&self, after: Option<&str>) -> Result<Page, NoAnswer> {
        const FIELDS: &str = "name,language,status,category,parameter_format,components,rejected_reason,quality_score";
        let mut query = vec![("fields", FIELDS), ("limit", PAGE)];
        query.extend(after.map(|after| ("after", after)));
        self.ask(&format!("{}/message_templates", self.business_account_id), &query).await
    }

    /// Submits a new template for approval; one that is there already is refused, never changed.
    pub async fn submit_template(&self, template: &Value) -> Result<Submitted, NoAnswer> {
        let path = format!("{}/message_templates", self.business_account_id);
        match self.exchange(self.post(&path).json(template)).await {
            Exchange::NotSent(why) | Exchange::Lost(why) => Err(NoAnswer::NotReached(why)),
            Exchange::Answered(answer) => read(&answer),
        }
    }

    /// What Meta says of one of the firm's numbers; shows that the token may use it.
    pub async fn line_status(&self, line: &str) -> Result<LineStatus, NoAnswer> {
        self.ask(line, &[("fields", "display_phone_number,verified_name,status,quality_rating")]).await
    }

    /// Everybody who gets the account's webhooks.
    pub async fn subscribed_apps(&self) -> Result<Vec<App>, NoAnswer> {
        let listed: Subscriptions = self.ask(&format!("{}/subscribed_apps", self.business_account_id), &[]).await?;
        Ok(listed.data.into_iter().map(|one| one.whatsapp_business_api_data).collect())
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, NoAnswer> {
        match self.exchange(self.get(path).query(query)).await {
            Exchange::NotSent(why) | Exchange::Lost(why) => Err(NoAnswer::NotReached(why)),
            Exchange::Answered(answer) => read(&answer),
        }
    }
}

fn following(paging: Paging) -> Option<String> {
    paging.next?;
    paging.cursors?.after
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, NoAnswer> {
    if let Some(complaint) = answer.complaint() {
        return Err(NoAnswer::Refused { code: complaint.code.unwrap_or_default(), detail: complaint.detail() });
    }
    if !answer.status.is_success() {
        return Err(NoAnswer::NotUnderstood(format!("HTTP {}", answer.status.as_u16())));
    }
    serde_json::from_slice(&answer.bytes).map_err(|error| NoAnswer::NotUnderstood(error.to_string()))
}
