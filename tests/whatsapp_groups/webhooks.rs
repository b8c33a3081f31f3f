//! What webhooks about groups become, beyond the recorded ones.
use liaison::adapters::whatsapp::{Element, parse};
use liaison::domain::event::{Delivery, Fact, GroupNews};
use liaison::domain::time::Timestamp;
use serde_json::{Value, json};

const AT: i64 = 1_750_269_342;

fn body(field: &str, value: Value) -> Vec<u8> {
    let mut whole = json!({"messaging_product": "whatsapp", "metadata": {"display_phone_number": "1", "phone_number_id": "7"}});
    whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": field, "value": whole}]}]})
        .to_string()
        .into_bytes()
}

fn elements(field: &str, value: Value) -> Vec<Element> {
    parse(&body(field, value), Timestamp(AT * 1_000)).unwrap()
}

fn people(groups: Value) -> Vec<Element> {
    elements("group_participants_update", json!({ "groups": groups }))
}

fn news(element: &Element) -> &GroupNews {
    let Fact::GroupTold(told) = &element.event.fact else { panic!("{element:?}") };
    &told.news
}

fn change(kind: &str, more: Value) -> Value {
    let mut change = json!({"timestamp": AT.to_string(), "group_id": "G", "type": kind});
    change.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    change
}

#[test]
fn each_person_is_an_event_with_an_id_of_its_own() {
    let added = json!({"reason": "invite_link", "added_participants": [{"wa_id": "4915112345678"}, {"user_id": "DE.77"}]});
    let found = people(json!([change("group_participants_add", added)]));
    let ids: Vec<&str> = found.iter().map(|element| element.event.id.as_str()).collect();
    assert_eq!(ids, ["wa:group:7:G:joined:4915112345678:1750269342", "wa:group:7:G:joined:DE.77:1750269342"]);
    assert!(found.iter().all(|element| element.sender == "group G"), "news of one group stay in order");
    let GroupNews::Joined { who } = news(&found[1]) else { panic!("{found:?}") };
    assert_eq!((who.phone.as_ref(), who.user_id.as_deref()), (None, Some("DE.77")));
}

#[test]
fn one_person_in_one_second_may_ask_take_it_back_and_ask_again_later() {
    let ask = |kind: &str, at: i64| change(kind, json!({"timestamp": at, "join_request_id": "R", "wa_id": "4915112345678"}));
    let found = people(json!([
        ask("group_join_request_created", AT),
        ask("group_join_request_revoked", AT),
        ask("group_join_request_created", AT + 9)
    ]));
    let mut ids: Vec<&str> = found.iter().map(|element| element.event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "the same request id is another request at another time");
}

#[test]
fn s4_31_who_left_and_who_was_taken_out_is_told_apart_in_both_places() {
    let gone = json!({"removed_participants": [{"wa_id": "4915112345678"}]});
    let inside = |by: &str| {
        let mut gone = gone.clone();
        gone["initiated_by"] = json!(by);
        people(json!([change("group_participants_remove", gone)]))
    };
    let beside = |by: &str| {
        let groups = json!([change("group_participants_remove", gone.clone())]);
        elements("group_participants_update", json!({"groups": groups, "initiated_by": by}))
    };
    for found in [inside("participant"), beside("participant")] {
        assert!(matches!(news(&found[0]), GroupNews::Left { .. }), "{found:?}");
    }
    for found in [inside("business"), beside("business")] {
        assert!(matches!(news(&found[0]), GroupNews::Removed { .. }), "{found:?}");
    }
}

#[test]
fn whoever_is_named_as_the_firm_named_him_is_known_by_that() {
    let named = |input: &str| {
        change("group_participants_remove", json!({"initiated_by": "business", "removed_participants": [{ "input": input }]}))
    };
    let found = people(json!([named("+4915112345678"), named("DE.13491208655302741918")]));
    let GroupNews::Removed { who } = news(&found[0]) else { panic!("{found:?}") };
    assert_eq!(
        (who.phone.as_ref().map(|phone| phone.e164()), who.wa_id.as_deref()),
        (Some("+4915112345678"), Some("4915112345678"))
    );
    let GroupNews::Removed { who } = news(&found[1]) else { panic!("{found:?}") };
    assert_eq!(who.user_id.as_deref(), Some("DE.13491208655302741918"));
}

#[test]
fn a_change_that_was_not_taken_over_is_told_with_its_reason() {
    let failed = json!({"request_id": "R", "group_subject": {"text": "A", "update_successful": true},
        "group_description": {"text": "B", "update_successful": false, "errors": [{"code": 131000, "error_data": {"details": "Why."}}]}});
    let found = elements("group_settings_update", json!({"groups": [change("group_settings_update", failed)]}));
    assert_eq!(news(&found[0]), &GroupNews::NotChanged { code: "131000".to_owned(), detail: "Why.".to_owned() });
}

#[test]
fn of_a_picture_and_of_words_is_told_apart() {
    let told = |mut more: Value| -> Vec<GroupNews> {
        more["request_id"] = json!("R");
        let found = elements("group_settings_update", json!({"groups": [change("group_settings_update", more)]}));
        found
            .iter()
            .filter(|element| matches!(element.event.fact, Fact::GroupTold(_)))
            .map(|element| news(element).clone())
            .collect()
    };
    let changed = || GroupNews::PictureChanged { request: "R".to_owned() };
    let refused =
        |code: &str| GroupNews::PictureNotChanged { request: "R".to_owned(), code: code.to_owned(), detail: "Why.".to_owned() };
    let words = |code: &str| GroupNews::NotChanged { code: code.to_owned(), detail: "Why.".to_owned() };
    let why = |code: i64| json!([{"code": code, "error_data": {"details": "Why."}}]);
    let (well, badly) = (json!({"update_successful": true}), json!({"update_successful": false}));
    let table = [
        (json!({"profile_picture": {"mime_type": "image/jpeg"}}), vec![changed()]),
        (json!({"profile_picture": {"mime_type": "image/jpeg"}, "errors": why(131209)}), vec![refused("131209")]),
        (json!({"profile_picture": badly, "errors": why(131210)}), vec![refused("131210")]),
        (json!({"profile_picture": {"update_successful": false, "errors": why(131210)}}), vec![refused("131210")]),
        (json!({"profile_picture": well, "group_subject": well}), vec![changed()]),
        (json!({"profile_picture": well, "group_subject": badly, "errors": why(131000)}), vec![changed(), words("131000")]),
        (json!({"group_subject": badly, "errors": why(131000)}), vec![words("131000")]),
        (json!({"group_subject": well}), vec![]),
    ];
    for (said, expected) in table {
        assert_eq!(told(said.clone()), expected, "{said}");
    }
    let nothing_said = told(json!({ "profile_picture": badly }));
    assert!(matches!(&nothing_said[..], [GroupNews::PictureNotChanged { code, .. }] if code == "unknown"), "{nothing_said:?}");
}

#[test]
fn what_is_new_or_broken_spoils_nothing_beside_it() {
    let groups = json!([
        change("group_moon_phase", json!({"phase": 3})),
        change("group_join_request_created", json!({"join_request_id": "R"})),
        change("group_participants_add", json!({"added_participants": "everybody"})),
        {"type": "group_suspend", "timestamp": AT},
        7,
        change("group_suspend", json!({"unheard_of": {"of": []}})),
    ]);
    let found = elements("group_status_update", json!({ "groups": groups }));
    let kinds: Vec<&str> = found
        .iter()
        .map(|element| match &element.event.fact {
            Fact::NotUsed { .. } => "not used",
            Fact::Unreadable { .. } => "aside",
            Fact::GroupTold(_) => "told",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["not used", "aside", "aside", "aside", "aside", "told"]);
    assert_eq!(found[5].event.at, Timestamp(AT * 1_000));
}

#[test]
fn statuses_of_a_group_are_told_per_member_whichever_way_they_are_put_together() {
    let status = |wamid: &str, member: Value| {
        let mut status =
            json!({"id": wamid, "status": "read", "timestamp": AT.to_string(), "recipient_id": "G", "recipient_type": "group"});
        status.as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
        status
    };
    let statuses = json!([
        status("wamid.1", json!({"recipient_participant_id": "4915112345678"})),
        status("wamid.1", json!({"participant_recipient_id": "12025550177"})),
        status("wamid.2", json!({"recipient_participant_user_id": "DE.77"})),
        status("wamid.2", json!({"recipient_participant_id": "4915112345678", "participant_recipient_id": "4915112345678"})),
        status("wamid.2", json!({})),
    ]);
    let found = elements("messages", json!({ "statuses": statuses }));
    let told: Vec<(&str, Option<&str>)> = found
        .iter()
        .map(|element| {
            let Fact::DeliveryReported(report) = &element.event.fact else { panic!("{element:?}") };
            assert_eq!(report.status, Delivery::Read);
            (element.event.id.as_str(), report.participant.as_deref())
        })
        .collect();
    let expected = [
        ("wa:st:wamid.1:read:4915112345678", Some("4915112345678")),
        ("wa:st:wamid.1:read:12025550177", Some("12025550177")),
        ("wa:st:wamid.2:read:DE.77", Some("DE.77")),
        ("wa:st:wamid.2:read:4915112345678", Some("4915112345678")),
        ("wa:st:wamid.2:read:", None),
    ];
    assert_eq!(told, expected);
}
