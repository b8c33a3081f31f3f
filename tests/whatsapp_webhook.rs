//! A webhook taken apart: ids, order, age, and what happens to elements of an unexpected shape.
use liaison::adapters::whatsapp::{Element, errors, parse};
use liaison::domain::event::{CallStage, ClientMessage, Content, Delivery, DeliveryReported, Fact};
use liaison::domain::ids::{MessageId, Phone};
use liaison::domain::time::{Span, Timestamp};
use serde_json::{Value, json};
use std::path::PathBuf;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn body(values: &[Value]) -> Vec<u8> {
    let changes: Vec<Value> = values.iter().map(|value| json!({ "field": "messages", "value": value })).collect();
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": changes }] }).to_string().into_bytes()
}

fn value(messages: Value, statuses: Value) -> Value {
    json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550783881", "phone_number_id": "777" },
        "contacts": [{ "profile": { "name": "Ann" }, "wa_id": "4915112345678", "user_id": "DE.1" }],
        "messages": messages,
        "statuses": statuses,
    })
}

fn text(id: &str, text: &str) -> Value {
    json!({ "from": "4915112345678", "id": id, "timestamp": "1800000000", "type": "text", "text": { "body": text } })
}

fn status(id: &str, status: &str) -> Value {
    json!({ "id": id, "status": status, "timestamp": "1800000000", "recipient_id": "4915112345678" })
}

fn ids(elements: &[Element]) -> Vec<&str> {
    elements.iter().map(|element| element.event.id.as_str()).collect()
}

fn message(element: &Element) -> &ClientMessage {
    let Fact::ClientMessage(message) = &element.event.fact else { panic!("{element:?}") };
    message
}

fn report(element: &Element) -> &DeliveryReported {
    let Fact::DeliveryReported(report) = &element.event.fact else { panic!("{element:?}") };
    report
}

fn why(element: &Element) -> &str {
    let Fact::Unreadable { why, .. } = &element.event.fact else { panic!("{element:?}") };
    why
}

#[test]
fn messages_come_before_statuses_and_bear_their_ids() {
    let changes =
        [value(json!([]), json!([status("w1", "sent"), status("w1", "read")])), value(json!([text("w2", "hi")]), json!([]))];
    let elements = parse(&body(&changes), NOW).unwrap();
    assert_eq!(ids(&elements), ["wa:777:w2", "wa:st:w1:sent:", "wa:st:w1:read:"]);
    assert!(elements.iter().all(|element| element.sender == "4915112345678" && element.event.at == NOW));
}

/// As Meta sends it since calls exist: under a field of its own, with the offer of the caller's phone.
fn calls(calls: Value) -> Vec<u8> {
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550783881", "phone_number_id": "777" },
        "contacts": [{ "profile": { "name": "Ann" }, "wa_id": "4915112345678", "user_id": "DE.1" }],
        "calls": calls,
    });
    let changes = json!([{ "field": "calls", "value": value }]);
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": changes }] }).to_string().into_bytes()
}

fn call(event: &str, more: &Value) -> Value {
    let mut call = json!({
        "id": "wacid.HBgNNDkxNTExMjM0NTY3OBUCABIYFDNB", "from": "4915112345678", "to": "15550783881", "event": event,
        "timestamp": "1800000000", "direction": "USER_INITIATED",
    });
    for (name, field) in more.as_object().into_iter().flatten() {
        call[name] = field.clone();
    }
    call
}

#[test]
fn s2_18_a_call_rings_and_ends_as_two_events_of_one_call() {
    let offer = json!({ "session": { "sdp_type": "offer", "sdp": "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n" } });
    let missed = json!({ "status": "FAILED" });
    let elements = parse(&calls(json!([call("connect", &offer), call("terminate", &missed)])), NOW).unwrap();
    let id = "wacid.HBgNNDkxNTExMjM0NTY3OBUCABIYFDNB";
    assert_eq!(ids(&elements), [format!("wa:call:777:{id}:connect"), format!("wa:call:777:{id}:terminate")]);
    let stages = [CallStage::Ringing { may_be_answered: false }, CallStage::Over { answered: false, seconds: None }];
    for (element, stage) in elements.iter().zip(stages) {
        let Fact::ClientCalled(called) = &element.event.fact else { panic!("{element:?}") };
        assert_eq!((called.line.as_str(), called.id.as_str(), called.stage), ("777", id, stage));
        assert_eq!(
            (called.from.phone.clone(), called.from.user_id.as_deref()),
            (Phone::from_e164("+4915112345678"), Some("DE.1"))
        );
        assert_eq!((element.sender.as_str(), element.event.at), ("4915112345678", NOW));
    }
    let answered = json!({ "status": "COMPLETED", "start_time": "1800000000", "end_time": "1800000075", "duration": 75 });
    let elements = parse(&calls(json!([call("terminate", &answered)])), NOW).unwrap();
    assert!(
        matches!(&elements[0].event.fact, Fact::ClientCalled(called) if called.stage == (CallStage::Over { answered: true, seconds: Some(75) }))
    );
}

#[test]
fn what_else_is_told_of_calls_does_no_harm() {
    let own = call("terminate", &json!({ "direction": "BUSINESS_INITIATED" }));
    let elements = parse(&calls(json!([own, call("mute", &json!({})), { "id": "x" }, 7])), NOW).unwrap();
    assert!(matches!(&elements[0].event.fact, Fact::NotUsed { .. }) && matches!(&elements[1].event.fact, Fact::NotUsed { .. }));
    assert_eq!(why(&elements[2]), "a call without an id or an event");
    assert!(why(&elements[3]).starts_with("a call of unexpected shape"));
    let late = parse(&calls(json!([call("connect", &json!({}))])), NOW + Span::days(15)).unwrap();
    assert_eq!(why(&late[0]), "older than 14 days");
}

#[test]
fn the_sender_has_all_the_keys_that_the_body_tells() {
    let elements = parse(&body(&[value(json!([text("w", "hi")]), json!([]))]), NOW).unwrap();
    let from = &message(&elements[0]).from;
    assert_eq!(from.phone, Phone::from_e164("+4915112345678"));
    assert_eq!(from.wa_id.as_deref(), Some("4915112345678"));
    assert_eq!(from.user_id.as_deref(), Some("DE.1"));
    assert_eq!(from.profile_name.as_deref(), Some("Ann"));
}

#[test]
fn a_client_without_a_visible_number_is_known_by_his_user_id() {
    let said =
        json!([{ "from_user_id": "DE.9", "id": "w", "timestamp": "1800000000", "type": "text", "text": { "body": "hi" } }]);
    let elements = parse(&body(&[value(said, json!([]))]), NOW).unwrap();
    let from = &message(&elements[0]).from;
    assert_eq!((from.phone.as_ref(), from.user_id.as_deref(), from.profile_name.as_deref()), (None, Some("DE.9"), None));
    assert_eq!(elements[0].sender, "DE.9");
}

#[test]
fn a_new_number_is_told_in_full() {
    let said = json!([{ "from": "4915112345678", "id": "w", "timestamp": "1800000000", "type": "system",
        "system": { "body": "Ann changed", "type": "user_changed_number", "wa_id": "4915100000001" } }]);
    let elements = parse(&body(&[value(said, json!([]))]), NOW).unwrap();
    let sign = Content::Sign { kind: "user_changed_number".to_owned(), detail: "+4915100000001".to_owned() };
    assert_eq!(message(&elements[0]).content, sign);
}

#[test]
fn only_our_own_message_ids_come_back() {
    for (data, ours) in [("m-1A2B3C4D", true), ("m-", false), ("some data", false), ("m-1A2B/../x", false)] {
        let mut sent = status("w", "sent");
        sent["biz_opaque_callback_data"] = data.into();
        let elements = parse(&body(&[value(json!([]), json!([sent]))]), NOW).unwrap();
        assert_eq!(report(&elements[0]).ours, ours.then(|| MessageId::new(data)), "{data}");
    }
}

#[test]
fn an_element_of_unexpected_shape_spoils_no_other() {
    let messages = json!([text("w1", "a"), "nonsense", { "id": 5 }, { "type": "text" }, text("w2", "b")]);
    let elements =
        parse(&body(&[value(messages, json!([{ "id": "w" }, status("w", "warning"), status("w", "sent")]))]), NOW).unwrap();
    assert_eq!(ids(&elements)[..3], ["wa:777:w1", "wa:777:w2", "wa:st:w:sent:"]);
    let unreadable = elements.iter().filter(|element| matches!(element.event.fact, Fact::Unreadable { .. })).count();
    assert_eq!((elements.len(), unreadable), (8, 4));
    assert_eq!(elements[3].event.raw.as_deref(), Some(&b"\"nonsense\""[..]), "the bytes are kept");
}

#[test]
fn a_level_of_unexpected_shape_spoils_no_other() {
    let good = json!({ "changes": [{ "field": "messages", "value": value(json!([text("w", "a")]), json!([])) }] });
    let entries = json!([5, { "changes": 7 }, { "changes": ["x", { "field": 1 }, { "field": "messages", "value": [] }] },
        { "changes": [{ "field": "messages", "value": { "messages": [] } }] }, good]);
    let body = json!({ "object": "whatsapp_business_account", "entry": entries }).to_string();
    let elements = parse(body.as_bytes(), NOW).unwrap();
    assert_eq!(ids(&elements)[0], "wa:777:w");
    assert_eq!(elements[1..].iter().map(why).count(), 6);
}

#[test]
fn what_is_older_than_14_days_is_set_aside() {
    let body = body(&[value(json!([text("w", "late")]), json!([status("w0", "read")]))]);
    let on_time = parse(&body, NOW + Span::days(14)).unwrap();
    assert!(matches!(on_time[0].event.fact, Fact::ClientMessage(_)));
    let late = parse(&body, NOW + Span::days(14) + Span(1)).unwrap();
    assert_eq!((why(&late[0]), why(&late[1])), ("older than 14 days", "older than 14 days"));
    assert_eq!(ids(&late), ids(&on_time));
}

#[test]
fn other_fields_are_named() {
    let body = json!({ "object": "whatsapp_business_account",
        "entry": [{ "changes": [{ "field": "account_alerts", "value": { "x": 1 } }] }] });
    let elements = parse(body.to_string().as_bytes(), NOW).unwrap();
    assert_eq!(elements[0].event.fact, Fact::NotUsed { source: "whatsapp".to_owned(), what: "account_alerts".to_owned() });
}

#[test]
fn what_is_no_webhook_is_refused_and_an_empty_one_is_not() {
    for bad in
        ["", "hello", "[]", "{}", r#"{"object":"page","entry":[]}"#, "{\"object\":\"whatsapp_business_account\",\"entry\":[}"]
    {
        assert!(parse(bad.as_bytes(), NOW).is_err(), "{bad}");
    }
    for empty in ["[]", "null"] {
        let body = format!(r#"{{"object":"whatsapp_business_account","entry":{empty},"new":1}}"#);
        assert_eq!(parse(body.as_bytes(), NOW).unwrap(), []);
    }
}

#[test]
fn every_code_of_the_contract_has_a_class_and_an_advice() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let contract =
        std::fs::read(root.join("../shared/contracts/whatsapp/error-codes.json")).expect("the contract lies in ../shared");
    let contract: Value = serde_json::from_slice(&contract).unwrap();
    let advice = errors::advice(&root.join("templates")).unwrap();
    for entry in contract["codes"].as_array().unwrap() {
        let code = entry["code"].as_i64().unwrap();
        let class = errors::class(code).unwrap_or_else(|| panic!("{code} has no class"));
        assert_eq!(class_of_action(entry["action"].as_str().unwrap()), family(class), "{code}");
        let advice = advice.get(&code.to_string()).unwrap_or_else(|| panic!("{code} has no advice"));
        assert!(advice.ends_with('.') && !advice.contains("  "), "{code}: {advice}");
    }
    assert_eq!(errors::advice_for(&advice, "299"), advice.get("200").map(String::as_str));
    assert_eq!(errors::advice_for(&advice, "999999"), advice.get("other").map(String::as_str));
}

fn class_of_action(action: &str) -> &'static str {
    match action {
        "retry" => "later",
        "pair_wait" => "pair",
        "fix" => "account",
        "recipient" => "recipient",
        "window" => "window",
        "drop" => "message",
        other => panic!("the contract has a new action: {other}"),
    }
}

fn family(class: errors::Class) -> &'static str {
    use errors::Class::*;
    match class {
        Throttled { .. } | Trouble { .. } | Restricted { .. } => "later",
        PairThrottled => "pair",
        Line | Account => "account",
        Recipient => "recipient",
        Window => "window",
        Message => "message",
    }
}

#[test]
fn a_status_tells_whether_the_whole_line_is_refused() {
    let table = [(131048, true), (368, true), (190, true), (131042, true), (131026, false), (131047, false), (131000, false)];
    for (code, expected) in table {
        let mut failed = status("w", "failed");
        failed["errors"] = json!([{ "code": code, "title": "No" }]);
        let elements = parse(&body(&[value(json!([]), json!([failed]))]), NOW).unwrap();
        let Delivery::Failed { of_line, code: told, .. } = &report(&elements[0]).status else { panic!("{elements:?}") };
        assert_eq!((*of_line, told.as_str()), (expected, code.to_string().as_str()));
    }
}

#[test]
fn a_status_tells_to_whom_it_came_as_recorded() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts/whatsapp/webhooks");
    let table = [
        ("metadocs.status_delivered_username_no_phone", None, Some("US.13491208655302741918")),
        ("metadocs.status_delivered_username_phone_known", Some("+16505551234"), Some("US.13491208655302741918")),
        ("capture.status_contacts_without_profile", Some("+16505551234"), Some("IL.831795919964525")),
        ("capture.status_failed_contacts_wa_id_only", Some("+16505551234"), None),
    ];
    for (name, phone, user_id) in table {
        let text = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
        let elements = parse(&text, Timestamp(1_750_030_073_000)).unwrap();
        let recipient = &report(&elements[0]).recipient;
        assert_eq!(recipient.phone.as_ref().map(|phone| phone.e164()), phone, "{name}");
        assert_eq!(recipient.user_id.as_deref(), user_id, "{name}");
    }
}
