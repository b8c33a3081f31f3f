//! SMS and calls from outside: the phones' control calls, the Twilio API beside them, and a second receiver of webhooks.
use super::outside::*;
use axum::Router;
use axum::extract::State;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const LINE: &str = "+12025550143";
const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";
/// Mia, who has no WhatsApp.
const MIA: &str = "+19175550148";

type Heard = Arc<Mutex<Vec<HashMap<String, String>>>>;

/// A receiver for `--twilio-callback`.
async fn receiver() -> (String, Heard) {
    let heard = Heard::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/twilio", listener.local_addr().unwrap());
    let app = Router::new().fallback(hear).with_state(heard.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, heard)
}

async fn hear(State(heard): State<Heard>, body: String) {
    heard.lock().unwrap().push(url::form_urlencoded::parse(body.as_bytes()).into_owned().collect());
}

impl Outside {
    async fn twilio(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", self.address("twilio"));
        let answer = self.http.post(url).basic_auth(ACCOUNT_SID, Some("sandbox-token")).form(form).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn shows(&self, number: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.until(what, async || self.phone(number).await.into_iter().find(&fits)).await
    }
}

#[tokio::test]
async fn a_phone_writes_by_sms_and_both_receivers_are_told() {
    let (url, heard) = receiver().await;
    let world = own_with(&["--twilio-callback", &url]);
    let sms = json!({ "channel": "sms", "text": "Hello by SMS" });
    let sent = world.post(&format!("/api/phones/{MIA}/messages"), sms).await;
    assert_eq!((&sent["channel"], &sent["direction"], &sent["line"]), (&json!("sms"), &json!("out"), &json!(LINE)));
    let told = world.until("the second receiver", async || heard.lock().unwrap().first().cloned()).await;
    assert_eq!((told["Body"].as_str(), told["From"].as_str(), told["To"].as_str()), ("Hello by SMS", MIA, LINE));
    assert_eq!(told["MessageSid"], sent["id"].as_str().unwrap());
    let picture =
        json!({ "channel": "sms", "text": "look", "image": { "base64": "cG5n", "mime_type": "image/png", "filename": "a.png" } });
    let sent = world.post(&format!("/api/phones/{MIA}/messages"), picture).await;
    assert_eq!((&sent["file"]["mime"], &sent["text"]), (&json!("image/png"), &json!("look")));
    let shown = world.http.get(format!("{}/api/phones/files/{}", world.address("page"), sent["file"]["id"].as_str().unwrap()));
    assert_eq!(shown.send().await.unwrap().bytes().await.unwrap(), "png");
}

#[tokio::test]
async fn a_call_goes_by_telephone_where_that_is_meant_and_shows_how_it_went() {
    let (url, heard) = receiver().await;
    let world = own_with(&["--twilio-callback", &url]);
    let call = async |number: &str, body: Value| world.post(&format!("/api/phones/{number}/calls"), body).await;
    let ann = "+4915112345678";
    assert_eq!(call(ann, json!({})).await["channel"], "whatsapp");
    assert_eq!(call(ann, json!({ "channel": "sms" })).await["channel"], "sms");
    assert_eq!(call(ann, json!({ "withheld": true })).await["channel"], "sms");
    let made = call(MIA, json!({})).await;
    assert_eq!(made["channel"], "sms", "she has no WhatsApp");
    let over = |shown: &Value| shown["id"] == made["id"] && shown["status"] == "sent";
    let shown = world.shows(MIA, "the end of the call", over).await;
    assert_eq!((&shown["channel"], &shown["call"]["answered"]), (&json!("sms"), &json!(false)));
    let ended = |told: &&HashMap<String, String>| told.get("CallDuration").is_some() && told["CallSid"] == made["id"];
    world.until("the last word of the call", async || heard.lock().unwrap().iter().find(ended).cloned()).await;
    let withheld = heard.lock().unwrap().iter().any(|told| told.get("From").is_some_and(|from| from == "anonymous"));
    assert!(withheld, "{:?}", heard.lock().unwrap());
}

#[tokio::test]
async fn whoever_is_texted_gets_a_phone_and_twilio_can_be_made_to_fail() {
    let world = own();
    let stranger = "+12025550177";
    world.trouble("twilio", "21610", 1).await;
    let form = [("To", stranger), ("From", LINE), ("Body", "Hello stranger")];
    let (status, refused) = world.twilio(&form).await;
    assert_eq!((status, &refused["code"]), (400, &json!(21610)));
    assert_eq!(world.twilio(&form).await.0, 201);
    let shown = world.until("the text", async || world.received_if_any(stranger).await).await;
    assert_eq!(shown, ["Hello stranger"]);
    let wrong = json!({ "provider": "twilio", "code": "rain", "times": 1 });
    let answer = world.http.post(format!("{}/api/trouble", world.address("page"))).json(&wrong).send().await.unwrap();
    assert_eq!(answer.status(), 400);
}

impl Outside {
    /// What came to a number that may not be a phone yet.
    async fn received_if_any(&self, number: &str) -> Option<Vec<String>> {
        let answer = self.http.get(format!("{}/api/phones/{number}/messages", self.address("page"))).send().await.unwrap();
        let messages: Vec<Value> = if answer.status().is_success() { answer.json().await.unwrap() } else { return None };
        let texts: Vec<String> = messages.iter().map(|one| one["text"].as_str().unwrap().to_owned()).collect();
        (!texts.is_empty()).then_some(texts)
    }
}
