//! The WhatsApp account: each line, the token, who gets its webhooks, and every template.
use super::super::start;
use super::super::templates::compared;
use super::Report;
use crate::adapters::clock::SystemClock;
use crate::adapters::whatsapp::templates::{App, LineStatus, NoAnswer};
use crate::adapters::whatsapp::{Pace, WhatsApp};
use crate::adapters::wording::Wording;
use crate::config::{Config, WhatsAppLine};
use crate::ports::Clock;
use std::sync::{Arc, Mutex};

pub(super) async fn whatsapp(report: &mut Report<'_>, config: &Config, wording: &Wording) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let client = match start::whatsapp(config, &clock, &Arc::new(Mutex::new(Pace::new()))) {
        Ok(Some(client)) => client,
        Ok(None) => return report.good("WhatsApp", "It is not enabled."),
        Err(error) => return report.bad("WhatsApp", error, "Put [whatsapp] and [server] right."),
    };
    for line in &config.whatsapp.lines {
        line_of(report, line, &client).await;
    }
    match client.message_templates().await {
        Err(error) => report.bad("WhatsApp token", format!("{error}."), remedy_of(&error)),
        Ok(account) => {
            report.good("WhatsApp token", format!("It opens the account; {} templates stand there.", account.len()));
            subscription(report, client.subscribed_apps().await);
            for template in wording.templates() {
                let check = format!("template {} ({})", template.name, template.meta_language);
                match compared(&template.as_submitted(), &account) {
                    Ok(()) => report.good(&check, "Approved, and as in its file."),
                    Err((what, remedy)) => report.bad(&check, what, &remedy),
                }
            }
        }
    }
}

/// Without it messages still leave, and nothing comes in of what clients say or of what became of a message.
fn subscription(report: &mut Report<'_>, apps: Result<Vec<App>, NoAnswer>) {
    const CHECK: &str = "webhook subscription";
    const REMEDY: &str = "Subscribe the app to the account: POST {business_account_id}/subscribed_apps with this token; \
                          its webhook must be {public_url}/webhooks/whatsapp.";
    match apps {
        Err(error) => report.bad(CHECK, format!("{error}."), remedy_of(&error)),
        Ok(apps) if apps.is_empty() => report.bad(CHECK, "No app gets the account's webhooks: nothing comes in.", REMEDY),
        Ok(apps) => {
            let apps: Vec<String> = apps.iter().map(App::to_string).collect();
            report.good(CHECK, format!("The account's webhooks go to {}; yours must be among them.", apps.join(", ")));
        }
    }
}

async fn line_of(report: &mut Report<'_>, line: &WhatsAppLine, client: &WhatsApp) {
    let check = format!("line {}", line.number.e164());
    match client.line_status(line.phone_number_id.as_str()).await {
        Err(error) => report.bad(&check, format!("{error}."), remedy_of(&error)),
        Ok(status) => match line_fits(line.number.digits(), &status) {
            Ok(what) => report.good(&check, what),
            Err((what, remedy)) => report.bad(&check, what, remedy),
        },
    }
}

fn line_fits(digits: &str, told: &LineStatus) -> Result<String, (String, &'static str)> {
    let shown = told.display_phone_number.as_deref().unwrap_or_default();
    let theirs: String = shown.chars().filter(char::is_ascii_digit).collect();
    if !theirs.is_empty() && theirs != digits {
        let remedy = "Put number and phone_number_id of this line together as WhatsApp Manager shows them.";
        return Err((format!("Its phone_number_id belongs to {shown}."), remedy));
    }
    match told.status.as_deref() {
        None | Some("CONNECTED") => {
            let quality = told.quality_rating.as_deref().unwrap_or("unknown").to_lowercase();
            let low = if quality == "red" { ": too many people block or report it, and WhatsApp may restrict it" } else { "" };
            Ok(format!("Connected as “{}”, quality {quality}{low}.", told.verified_name.as_deref().unwrap_or_default()))
        }
        Some(status) => Err((format!("Its status is {status}."), "Register and verify the number in WhatsApp Manager.")),
    }
}

fn remedy_of(error: &NoAnswer) -> &'static str {
    match error {
        NoAnswer::Refused { code: 0 | 190, .. } => "Make a new token for the system user and put it into whatsapp.access_token.",
        NoAnswer::Refused { code: 3 | 10 | 200..=299 | 131005, .. } => {
            "Give the token's system user whatsapp_business_messaging and whatsapp_business_management for this account."
        }
        NoAnswer::Refused { code: 33 | 100, .. } => "See that phone_number_id and business_account_id are those of this account.",
        NoAnswer::Refused { .. } => "Look the code up in WhatsApp Manager.",
        NoAnswer::NotReached(_) => "See that whatsapp.graph_url can be reached from here, by the proxy if there is one.",
        NoAnswer::NotUnderstood(_) => "See that whatsapp.graph_url and api_version are right.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_must_be_connected_under_its_own_number() {
        let status = |number: &str, status: &str| LineStatus {
            display_phone_number: Some(number.into()),
            verified_name: Some("Acme".into()),
            status: Some(status.into()),
            quality_rating: None,
        };
        assert!(line_fits("15550783881", &status("+1 555-078-3881", "CONNECTED")).is_ok());
        assert!(line_fits("15550783881", &status("+1 555-078-3882", "CONNECTED")).unwrap_err().0.contains("belongs to"));
        assert!(line_fits("15550783881", &status("+1 555-078-3881", "BANNED")).unwrap_err().0.contains("BANNED"));
        let poor = LineStatus { quality_rating: Some("RED".into()), ..status("+1 555-078-3881", "CONNECTED") };
        assert!(line_fits("15550783881", &poor).unwrap().contains("quality red: too many people"));
    }

    #[test]
    fn an_account_that_can_be_read_but_not_its_subscriptions_says_which_right_is_missing() {
        let mut findings = Vec::new();
        let mut tell = |finding: &super::super::Finding| findings.push(finding.clone());
        let refused = NoAnswer::Refused { code: 200, detail: "Permissions error".into() };
        subscription(&mut Report { tell: &mut tell, all_well: true }, Err(refused));
        assert!(!findings[0].ok && findings[0].remedy.contains("whatsapp_business_management"), "{findings:?}");
    }
}
