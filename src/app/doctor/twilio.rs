//! `liaison doctor` on SMS: the account, the key, each number, and whether its webhooks lead to us.
use super::Report;
use super::start;
use crate::adapters::clock::SystemClock;
use crate::adapters::twilio::list::{NoAnswer, Number};
use crate::adapters::twilio::{Settings, Twilio};
use crate::config::{Config, SmsLine};
use crate::ports::Clock;
use std::sync::Arc;

const ACCOUNT: &str = "Twilio account";
const KEY: &str = "Twilio API key";

pub(super) async fn sms(report: &mut Report<'_>, config: &Config) {
    if !config.sms.enabled {
        return report.good("SMS", "It is not enabled.");
    }
    let settings = match start::twilio_settings(config) {
        Ok(settings) => settings,
        Err(error) => return report.bad("SMS", error, "Put [sms] and [server] right."),
    };
    let with_token = Settings { user: config.sms.account_sid.clone(), password: token(config), ..settings };
    if !account(report, with_token).await {
        return;
    }
    let client = match start::twilio(config, &clock(), &Arc::default()) {
        Ok(Some(client)) => client,
        Ok(None) => return,
        Err(error) => return report.bad("SMS", error, "Put [sms] and [server] right."),
    };
    let mut with_key = !config.sms.api_key.is_empty();
    for line in &config.sms.lines {
        match client.number(line.number.e164()).await {
            // Once is enough: with a key that is refused every number says the same.
            Err(error @ NoAnswer::Refused { .. }) if with_key => {
                return report.bad(KEY, format!("{error}."), "Make a new API key, and write its SID and its own secret.");
            }
            found => {
                if std::mem::take(&mut with_key) {
                    report.good(KEY, "It opens the account.");
                }
                number(report, config, line, found);
            }
        }
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn token(config: &Config) -> String {
    config.sms.auth_token.first().map(|token| token.expose().to_owned()).unwrap_or_default()
}

/// With the token, which a key cannot stand in for: it signs the webhooks.
async fn account(report: &mut Report<'_>, settings: Settings) -> bool {
    let client = match Twilio::new(settings, clock(), Arc::default()) {
        Ok(client) => client,
        Err(error) => {
            report.bad(ACCOUNT, error.what, &error.remedy);
            return false;
        }
    };
    match client.account().await {
        Ok(account) => match account.status.as_deref() {
            None | Some("active") => {
                let name = account.friendly_name.unwrap_or_default();
                report.good(ACCOUNT, format!("The token opens the account “{name}”, which is active."));
                true
            }
            Some(status) => {
                report.bad(ACCOUNT, format!("Its status is {status}."), "Have Twilio open the account again.");
                false
            }
        },
        Err(error) => {
            report.bad(ACCOUNT, format!("{error}."), remedy_of(&error));
            false
        }
    }
}

fn remedy_of(error: &NoAnswer) -> &'static str {
    match error {
        NoAnswer::Refused { code: 20003, .. } => "Write account_sid and auth_token of [sms] as Twilio's console shows them.",
        NoAnswer::Refused { code: 20404, .. } => "See that sms.account_sid is the account's, and that sms.api_url is right.",
        NoAnswer::Refused { .. } => "Look the code up at twilio.com/docs/api/errors.",
        NoAnswer::NotReached(_) => "See that sms.api_url can be reached from here, by the proxy if there is one.",
        NoAnswer::NotUnderstood(_) => "See that sms.api_url is right.",
    }
}

fn number(report: &mut Report<'_>, config: &Config, line: &SmsLine, found: Result<Option<Number>, NoAnswer>) {
    let check = format!("line {}", line.number.e164());
    let public = config.server.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
    match found {
        Err(error) => report.bad(&check, format!("{error}."), remedy_of(&error)),
        Ok(None) => {
            let remedy = "Write a number of this account, or buy this one in Twilio's console.";
            report.bad(&check, "The account has no such number.", remedy);
        }
        Ok(Some(number)) => match webhooks_fit(&number, &public.unwrap_or_default()) {
            Ok(()) => report.good(&check, "It is the account's, and its messages and calls come to us."),
            Err((what, remedy)) => report.bad(&check, what, &remedy),
        },
    }
}

/// Whether what comes to the number is told to us, and by POST, which is what we answer.
fn webhooks_fit(number: &Number, public: &str) -> Result<(), (String, String)> {
    let told = [
        ("A MESSAGE COMES IN", "messages", &number.sms_url, &number.sms_method, "sms"),
        ("A CALL COMES IN", "calls", &number.voice_url, &number.voice_method, "voice"),
    ];
    for (field, what, url, method, path) in told {
        let ours = format!("{public}/webhooks/twilio/{path}");
        let url = url.as_deref().unwrap_or_default();
        // What stands behind "#" is for Twilio itself: how often and for how long it tries.
        let called = url.split('#').next().unwrap_or_default();
        let posted = method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case("POST"));
        if called != ours || !posted {
            let now = if url.is_empty() {
                "nowhere".to_owned()
            } else {
                format!("by {} to {url}", method.as_deref().unwrap_or("POST"))
            };
            let remedy = format!("In Twilio's console, at this number, set “{field}” to {ours} by HTTP POST.");
            return Err((format!("Its {what} go {now}."), remedy));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_must_lead_to_us_by_post() {
        let number = |sms: &str, voice: &str, method: &str| Number {
            sms_url: Some(sms.to_owned()).filter(|url| !url.is_empty()),
            voice_url: Some(voice.to_owned()),
            sms_method: Some(method.to_owned()),
            ..Number::default()
        };
        let (sms, voice) = ("https://bot.example.com/webhooks/twilio/sms", "https://bot.example.com/webhooks/twilio/voice");
        let fit = |number: Number| webhooks_fit(&number, "https://bot.example.com");
        assert_eq!(fit(number(sms, voice, "POST")), Ok(()));
        assert_eq!(fit(number(&format!("{sms}#rc=2"), voice, "POST")), Ok(()));
        assert!(fit(number(sms, voice, "GET")).unwrap_err().0.contains("by GET"));
        assert!(fit(number("", voice, "POST")).unwrap_err().0.contains("messages go nowhere"));
        let (what, remedy) = fit(number(sms, "https://demo.example.com/", "POST")).unwrap_err();
        assert!(what.contains("calls go by POST to https://demo.example.com/") && remedy.contains(voice), "{what} {remedy}");
    }
}
