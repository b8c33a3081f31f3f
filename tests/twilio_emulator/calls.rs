//! Calls: the TwiML that the firm answers is followed, and every stage is told.
use super::*;
use liaison::sandbox::twilio::CallPlan;
use liaison::sandbox::views::CallView;
use serde_json::json;

const VOICE: &str = "/webhooks/twilio/voice";
const STATUS: &str = "/webhooks/twilio/status";
const ACTION: &str = "/webhooks/twilio/action";
const FORWARDED: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response><Say>One moment, please.</Say>
    <Dial timeout="20" answerOnBridge="true" action="action"><Number>+12025550187</Number></Dial></Response>"#;
const VOICEMAIL: &str = r#"<Response><Say>Please leave a message &amp; your name.</Say>
    <Record maxLength="120" action="recorded" recordingStatusCallback="recording"/></Response>"#;

impl World {
    /// A call, and what the phone shows of it once it is over and told.
    async fn called(&self, plan: CallPlan) -> CallView {
        let before = self.firm.heard(STATUS).len();
        let call = self.twilio.call(MIA, plan).unwrap();
        self.firm.hears(STATUS, before + 1).await;
        let shown = self.twilio.messages(MIA).into_iter().find(|message| message.id == call.id).unwrap();
        assert_eq!((shown.direction.as_str(), shown.channel.as_str(), shown.status.as_str()), ("out", "sms", "sent"));
        shown.call.unwrap()
    }
}

#[tokio::test]
async fn nobody_answers_and_the_client_leaves_a_message() {
    let world = World::open().await;
    world.firm.answers(VOICE, 200, FORWARDED);
    world.firm.answers(ACTION, 200, VOICEMAIL);
    let words = "This is Mia, please call me back.";
    let call = world.called(CallPlan { voicemail: Some(words.into()), seconds: Some(23), ..CallPlan::default() }).await;
    assert_eq!(call.spoken, ["One moment, please.", "Please leave a message & your name."]);
    assert_eq!((call.answered, call.outcome.as_str(), call.voicemail.as_deref()), (false, "voicemail, 23 s", Some(words)));
    let ringing = &world.firm.heard(VOICE)[0];
    assert!(ringing.signed);
    for (name, value) in
        [("CallStatus", "ringing"), ("Direction", "inbound"), ("From", MIA), ("Caller", MIA), ("To", LINE), ("Called", LINE)]
    {
        assert_eq!(ringing.get(name), value, "{name}");
    }
    assert_eq!((ringing.get("FromCountry"), ringing.get("CallerZip")), ("US", ""));
    let dialled = &world.firm.heard(ACTION)[0];
    assert_eq!((dialled.get("DialCallStatus"), dialled.get("CallSid")), ("no-answer", ringing.get("CallSid")));
    assert!(!dialled.fields.contains_key("DialCallDuration"));
    let recorded = &world.firm.heard("/webhooks/twilio/recorded")[0];
    assert_eq!((recorded.get("RecordingDuration"), recorded.get("Digits")), ("23", "hangup"));
    let over = &world.firm.heard(STATUS)[0];
    assert!(over.signed);
    for (name, value) in [("CallStatus", "completed"), ("SequenceNumber", "0"), ("CallbackSource", "call-progress-events")] {
        assert_eq!(over.get(name), value, "{name}");
    }
    assert_eq!((over.get("CallDuration"), over.get("Duration")), ("29", "1"));
    assert_eq!(over.get("Timestamp"), "Fri, 20 Nov 2026 14:00:00 +0000");
    let ready = world.firm.hears("/webhooks/twilio/recording", 1).await.remove(0);
    assert_eq!((ready.get("RecordingStatus"), ready.get("RecordingSource")), ("completed", "RecordVerb"));
    assert!(ready.at >= over.at && ready.signed);
    assert_eq!(ready.get("RecordingSid"), recorded.get("RecordingSid"));
}

#[tokio::test]
async fn a_recording_is_a_sound_behind_credentials() {
    let world = World::open().await;
    world.firm.answers(VOICE, 200, VOICEMAIL);
    world.called(CallPlan { voicemail: Some("one two three four".into()), ..CallPlan::default() }).await;
    let ready = world.firm.hears("/webhooks/twilio/recording", 1).await.remove(0);
    let url = ready.get("RecordingUrl");
    assert_eq!(world.http.get(url).send().await.unwrap().status(), 401);
    let get = async |ending: &str| {
        let answer = world.http.get(format!("{url}{ending}")).basic_auth(ACCOUNT, Some("sandbox-token")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{ending}");
        (answer.headers()["content-type"].to_str().unwrap().to_owned(), answer.bytes().await.unwrap())
    };
    let (kind, wav) = get(".wav").await;
    assert_eq!((kind.as_str(), &wav[..4], wav.len()), ("audio/x-wav", b"RIFF".as_slice(), 44 + 2 * 16_000));
    assert_eq!(get("").await.1, wav);
    assert_eq!(get(".mp3").await.1[..2], [0xff, 0xfb]);
    let about: Value = serde_json::from_slice(&get(".json").await.1).unwrap();
    assert_eq!((&about["duration"], &about["call_sid"]), (&json!("2"), &json!(ready.get("CallSid"))));
    let listed = world.get(&format!("/Calls/{}/Recordings.json", ready.get("CallSid"))).await;
    assert_eq!(listed["recordings"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_advisor_answers() {
    let world = World::open().await;
    world.firm.answers(VOICE, 200, FORWARDED);
    world.firm.answers(ACTION, 200, "<Response/>");
    let call = world.called(CallPlan { answered: true, seconds: Some(120), ..CallPlan::default() }).await;
    assert_eq!((call.answered, call.status.as_str(), call.outcome.as_str()), (true, "completed", "answered, 2 min 3 s"));
    let dialled = &world.firm.heard(ACTION)[0];
    assert_eq!((dialled.get("DialCallStatus"), dialled.get("DialCallDuration")), ("completed", "120"));
    assert_eq!(world.firm.heard(STATUS)[0].get("CallDuration"), "123");
    let legs = world.get(&format!("/Calls.json?ParentCallSid={}", dialled.get("CallSid"))).await;
    assert_eq!((&legs["calls"][0]["to"], &legs["calls"][0]["status"]), (&json!("+12025550187"), &json!("completed")));
    assert_eq!(world.twilio.clients(), [MIA], "the advisor's own phone is no client's");
}

#[tokio::test]
async fn a_call_that_only_rings_is_not_answered() {
    let world = World::open().await;
    world.firm.answers(VOICE, 200, r#"<Response><Dial answerOnBridge="true">+12025550187</Dial></Response>"#);
    let call = world.called(CallPlan::default()).await;
    assert_eq!((call.status.as_str(), call.outcome.as_str(), call.seconds), ("no-answer", "not answered", 0));
    let over = &world.firm.heard(STATUS)[0];
    assert_eq!((over.get("CallStatus"), over.get("CallDuration")), ("no-answer", "0"));
    world.firm.answers(VOICE, 200, r#"<Response><Reject reason="busy"/></Response>"#);
    assert_eq!(world.called(CallPlan::default()).await.status, "busy");
    world.firm.answers(VOICE, 200, "<Response><Say>We are closed.</Say><Hangup/><Say>never</Say></Response>");
    let call = world.called(CallPlan::default()).await;
    assert_eq!((call.status.as_str(), call.spoken), ("completed", vec!["We are closed.".to_owned()]));
}

#[tokio::test]
async fn the_other_half_of_a_call_is_told_where_its_number_asks() {
    let world = World::open().await;
    let twiml = r#"<Response><Dial><Number statusCallback="leg" statusCallbackEvent="initiated ringing answered completed">
        +12025550187</Number></Dial></Response>"#;
    world.firm.answers(VOICE, 200, twiml);
    world.called(CallPlan { answered: true, ..CallPlan::default() }).await;
    let heard = world.firm.heard("/webhooks/twilio/leg");
    let stages: Vec<(&str, &str)> = heard.iter().map(|one| (one.get("CallStatus"), one.get("SequenceNumber"))).collect();
    assert_eq!(stages, [("initiated", "0"), ("ringing", "1"), ("in-progress", "2"), ("completed", "3")]);
    assert_eq!(heard[0].get("ParentCallSid"), world.firm.heard(VOICE)[0].get("CallSid"));
}

#[tokio::test]
async fn a_withheld_number_stays_withheld() {
    let world = World::open().await;
    let call = world.called(CallPlan { withheld: true, ..CallPlan::default() }).await;
    assert!(call.withheld);
    for heard in [&world.firm.heard(VOICE)[0], &world.firm.heard(STATUS)[0]] {
        assert_eq!((heard.get("From"), heard.get("Caller"), heard.get("FromCountry")), ("anonymous", "anonymous", ""));
        assert!(!heard.fields.values().any(|value| value.contains(MIA)), "{heard:?}");
    }
}

#[tokio::test]
async fn without_twiml_the_caller_hears_an_error() {
    let world = World::open().await;
    for (status, twiml) in [(500, "<Response/>"), (200, "{}"), (200, "<Response><Say>")] {
        world.firm.answers(VOICE, status, twiml);
        let call = world.called(CallPlan::default()).await;
        assert!(call.spoken[0].contains("application error"), "{status} {twiml}: {call:?}");
    }
    world.firm.answers(VOICE, 200, r#"<Response><Redirect>voice</Redirect></Response>"#);
    world.called(CallPlan::default()).await;
    assert_eq!(world.firm.heard(VOICE).len(), 3 + 30, "a flow that goes round in circles ends");
}

#[tokio::test]
async fn the_firm_calls_a_client() {
    let world = World::open().await;
    world.firm.answers("/twiml", 200, "<Response><Say>Hello Mia.</Say></Response>");
    let (url, report) = (format!("{}/twiml", world.firm.base), format!("{}{STATUS}", world.firm.base));
    let form = [
        ("To", MIA),
        ("From", LINE),
        ("Url", url.as_str()),
        ("StatusCallback", report.as_str()),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
    ];
    let (status, call) = world.ask(Method::POST, &world.path("/Calls.json"), &form).await;
    assert_eq!((status.as_u16(), &call["status"], &call["direction"]), (201, &json!("queued"), &json!("outbound-api")));
    let heard = world.firm.hears(STATUS, 2).await;
    let stages: Vec<(&str, &str)> = heard.iter().map(|one| (one.get("CallStatus"), one.get("SequenceNumber"))).collect();
    assert_eq!(stages, [("in-progress", "0"), ("completed", "1")]);
    let shown = world.twilio.messages(MIA).remove(0);
    assert_eq!((shown.direction.as_str(), shown.call.unwrap().spoken), ("in", vec!["Hello Mia.".to_owned()]));
    let refused = world.ask(Method::POST, &world.path("/Calls.json"), &form[..2]).await;
    assert_eq!((refused.0.as_u16(), &refused.1["code"]), (400, &json!(21205)));
}
