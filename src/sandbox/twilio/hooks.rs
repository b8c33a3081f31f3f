//! Signed webhooks as Twilio makes them: one attempt, a second one only where no connection came about, 15 s for an answer.
use super::Inner;
use super::trouble::Twist;
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::sync::Arc;
use std::time::Duration;

/// Twilio's limits for a webhook: the connection and the whole answer (webhooks-connection-overrides).
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Before the one repetition after a failed connection.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Twilio reads no more of a TwiML document.
const MAX_TWIML_BYTES: usize = 64 * 1024;

/// A form in the order in which it is sent.
pub(super) type Params = Vec<(&'static str, String)>;

/// One webhook for one receiver, ready to go.
#[derive(Clone)]
struct Hook {
    url: String,
    signature: String,
    body: String,
    /// The same on a repetition, so that a receiver can tell.
    idempotency: String,
}

impl Hook {
    fn new(url: &str, params: &Params, key: &str) -> Hook {
        let on_the_wire = url::Url::parse(url).map_or_else(
            |_| url.to_owned(),
            |mut url| {
                url.set_fragment(None);
                url.to_string()
            },
        );
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(params.iter().map(|(name, value)| (name, value)));
        let idempotency = super::shapes::sid("").to_string();
        Hook { signature: signature(key, &on_the_wire, params), url: on_the_wire, body: body.finish(), idempotency }
    }
}

/// The value of `X-Twilio-Signature`: names by byte order, their values sorted and each once, everything decoded.
pub(super) fn signature<N: AsRef<str>, V: AsRef<str>>(auth_token: &str, url: &str, params: &[(N, V)]) -> String {
    let mut sorted: Vec<(&str, &str)> = params.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut signed = url.to_owned();
    for (name, value) in sorted {
        signed.push_str(name);
        signed.push_str(value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth_token.as_bytes());
    STANDARD.encode(hmac::sign(&key, signed.as_bytes()))
}

impl Inner {
    /// Sends a webhook to its receiver and to everybody who listens besides; the TwiML that came back, `None` where the receiver
    /// did not take it. Nobody is told without a receiver.
    pub(super) async fn tell(self: &Arc<Self>, url: &str, params: Params, twist: Twist) -> Option<String> {
        tokio::time::sleep(twist.late).await;
        if !twist.delivered {
            return None;
        }
        let key = if twist.forged { "not-the-token" } else { self.settings.auth_token.as_str() };
        for listener in self.listeners() {
            self.send_copies(Hook::new(&listener, &params, key), twist.copies);
        }
        if url.is_empty() {
            return Some(String::new());
        }
        let hook = Hook::new(url, &params, key);
        let taken = self.post(&hook).await;
        self.send_copies(hook, twist.copies.saturating_sub(1));
        taken
    }

    /// Copies whose answers nobody waits for.
    fn send_copies(self: &Arc<Self>, hook: Hook, copies: u32) {
        for _ in 0..copies {
            let (inner, hook) = (self.clone(), hook.clone());
            self.spawn(async move { drop(inner.post(&hook).await) });
        }
    }

    async fn post(&self, hook: &Hook) -> Option<String> {
        let mut answer = self.post_once(hook).await;
        if answer.as_ref().is_err_and(reqwest::Error::is_connect) {
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
            answer = self.post_once(hook).await;
        }
        match answer {
            Ok(answer) if answer.status().is_success() => text_of(answer).await,
            Ok(answer) => {
                tracing::info!(code = 11200, status = %answer.status(), "the webhook was not taken");
                None
            }
            Err(error) => {
                tracing::info!(code = 11200, %error, "the webhook did not arrive");
                None
            }
        }
    }

    async fn post_once(&self, hook: &Hook) -> reqwest::Result<reqwest::Response> {
        let request = self.client.post(&hook.url).timeout(ANSWER_WITHIN).header("user-agent", "TwilioProxy/1.1");
        let form = request.header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
        let signed = form.header("x-twilio-signature", &hook.signature).header("accept", "*/*");
        signed.header("i-twilio-idempotency-token", &hook.idempotency).body(hook.body.clone()).send().await
    }
}

async fn text_of(mut answer: reqwest::Response) -> Option<String> {
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        text.extend_from_slice(&chunk);
        if text.len() > MAX_TWIML_BYTES {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first vector of Twilio's own SDKs, `mycompany.com`.
    #[test]
    fn a_form_is_signed_as_twilios_own_libraries_do() {
        let params = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ];
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(signature("12345", url, &params), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }

    /// Vectors computed with Twilio's own libraries; those about ports that come and go concern receivers only.
    #[test]
    fn every_vector_of_a_signed_form_is_met() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts/twilio/signature-vectors.json");
        let vectors = std::fs::read(path).expect("the contract lies in ../shared");
        let vectors: serde_json::Value = serde_json::from_slice(&vectors).unwrap();
        let of_a_form = |vector: &&serde_json::Value| {
            let id = vector["id"].as_str().unwrap();
            vector["valid"] == true
                && vector["algorithm"].is_null()
                && vector["content_type"] == "application/x-www-form-urlencoded"
                && !["port", "-80", "-443"].iter().any(|port| id.contains(port))
        };
        let checked = vectors["vectors"].as_array().unwrap().iter().filter(of_a_form).inspect(|vector| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let pairs = vector["params"].as_array().unwrap().iter();
            let params: Vec<(String, String)> = pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
            let made = signature(&text(&vector["auth_token"]), &text(&vector["url"]), &params);
            assert_eq!(made, text(&vector["signature"]), "{}", vector["id"]);
        });
        assert!(checked.count() >= 10);
    }

    #[test]
    fn a_value_that_comes_twice_is_signed_once_and_order_does_not_matter() {
        let one = [("b", "2"), ("a", "1"), ("b", "1"), ("b", "2")];
        let other = [("a", "1"), ("b", "1"), ("b", "2")];
        assert_eq!(signature("t", "http://x/", &one), signature("t", "http://x/", &other));
    }
}
