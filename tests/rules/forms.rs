//! COMMANDS §1, forms: each shape of a value that the platform sends, each form opened, filled in wrongly, mended, submitted.
use crate::common::world::*;
use liaison::domain::commands::{self, args_of_form};
use liaison::domain::commit::Key;
use liaison::domain::effect::Effect;
use liaison::domain::grammar::Who;
use liaison::domain::ids::UserId;
use liaison::domain::time::Span;
use serde_json::{Map, Value, json};

fn fields(values: Value) -> Map<String, Value> {
    values.as_object().cloned().unwrap()
}

fn filled(more: Value) -> Value {
    let mut values =
        json!({ "action": "submit", "first": "Ann", "last": "Lee", "phone": ANN, "email": "ann@lee.de", "channel": "whatsapp" });
    values.as_object_mut().unwrap().extend(fields(more));
    values
}

// ---- shapes

#[test]
fn a_person_selector_in_every_shape_names_the_same_people() {
    let command = commands::find("contact add").unwrap();
    let one = [Who::User(UserId(7))];
    let table: [(Value, &[Who]); 16] = [
        (json!(7), &one),
        (json!("7"), &one),
        (json!(" 7 "), &one),
        (json!([7]), &one),
        (json!(["7"]), &one),
        (json!({ "id": 7 }), &one),
        (json!({ "id": "7" }), &one),
        (json!([{ "id": 7, "displayName": "Jane" }]), &one),
        (json!([{ "userId": "7" }]), &one),
        (json!({ "userIds": ["7"], "streamIds": [] }), &one),
        (json!([7, "8"]), &[Who::User(UserId(7)), Who::User(UserId(8))]),
        (json!("7,8"), &[Who::User(UserId(7)), Who::User(UserId(8))]),
        (json!([]), &[]),
        (json!(""), &[]),
        (json!(null), &[]),
        (json!({}), &[]),
    ];
    for (value, who) in table {
        let args = args_of_form(command, &fields(json!({ "for": value })));
        assert_eq!(args.value("for").map(|given| given.who.as_slice()).unwrap_or_default(), who, "{value}");
        assert_eq!(args.value("for").is_none(), who.is_empty(), "{value}");
    }
    assert!(args_of_form(command, &Map::new()).value("for").is_none(), "absent");
}

#[test]
fn a_checkbox_in_every_shape_is_on_or_off() {
    let command = commands::find("contact add").unwrap();
    let on = [json!("on"), json!("ON"), json!(["on"]), json!(true), json!("true"), json!([true])];
    let off = [json!(""), json!("off"), json!("false"), json!(false), json!([]), json!(null), json!([null]), json!({}), json!(0)];
    for (values, ticked) in [(&on[..], true), (&off[..], false)] {
        for value in values {
            let args = args_of_form(command, &fields(json!({ "room": value })));
            assert_eq!(
                (args.flag("room"), args.text("room")),
                (ticked, if *value == json!(0) { Some("0") } else { None }),
                "{value}"
            );
        }
    }
    assert!(!args_of_form(command, &Map::new()).flag("room"), "absent");
    let named = args_of_form(command, &fields(json!({ "room": "Lee family" })));
    assert_eq!((named.flag("room"), named.text("room")), (false, Some("Lee family")));
}

#[test]
fn texts_selects_and_radios_in_every_shape_are_the_same_text() {
    let command = commands::find("contact add").unwrap();
    for value in [json!("sms"), json!(" sms "), json!(["sms"]), json!(["", "sms"])] {
        let args = args_of_form(command, &fields(json!({ "channel": value, "first": value })));
        assert_eq!((args.text("channel"), args.texts()), (Some("sms"), vec!["sms"]), "{value}");
    }
    for value in [json!(""), json!("  "), json!([]), json!(null), json!({})] {
        assert_eq!(args_of_form(command, &fields(json!({ "company": value }))).text("company"), None, "{value}");
    }
    let number = args_of_form(command, &fields(json!({ "phone": 4915112345678u64 })));
    assert_eq!(number.text("phone"), Some("4915112345678"));
}

#[test]
fn a_number_in_a_text_field_names_nobody() {
    let mut world = World::with(|_| {});
    world.says("jane", ADD_ANN);
    world.says("jane", "/contact add");
    // The e-mail contradicts, and the phone reads like a user's id.
    let form = world.question();
    let told =
        world.submits(&form, "jane", filled(json!({ "phone": "004915112345678", "email": "other@lee.de", "company": "42" })));
    assert_eq!(told, ["form(match-one-only)"]);
    assert!(!world.members.iter().any(|effect| matches!(effect, Effect::FindUser { .. })));
}

#[test]
fn markup_in_a_field_stays_text() {
    let mut world = World::new();
    world.says("jane", "/contact add");
    let form = world.question();
    let company = "<b>Lee</b> & Co <form id=\"x\"/> ${v}\n#{hash}";
    let told = world.submits(&form, "jane", filled(json!({ "company": company, "phone": "12" })));
    assert_eq!(told, ["form(phone-invalid)"]);
    let again = world.question();
    assert_eq!(again.reply.vars["values"]["company"], company);
    assert_eq!(world.submits(&again, "jane", filled(json!({ "company": company }))), ["answer contact-added"]);
    assert_eq!(world.contact(ANN).company, company);
}

#[test]
fn the_form_comes_back_with_each_value_in_one_shape() {
    let mut world = World::new();
    world.says("olga", "/contact add");
    let form = world.question();
    let values = json!({ "for": [{ "id": "1" }], "room": ["on"], "channel": ["whatsapp"], "company": null, "phone": "12" });
    assert_eq!(world.submits(&form, "olga", filled(values)), ["form(phone-invalid)"]);
    let shown = &world.question().reply.vars["values"];
    assert_eq!(
        (&shown["for"], &shown["room"], &shown["channel"], &shown["company"]),
        (&json!([1]), &json!(true), &json!("whatsapp"), &json!(""))
    );
}

// ---- the reason stands beside its field

fn mistake(world: &World) -> (String, String) {
    let told = &world.question().reply.vars["mistake"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&told["code"]), text(&told["vars"]["argument"]))
}

#[test]
fn s0_12_a_colleague_who_may_not_be_the_requestor_is_told_beside_his_field() {
    let mut world = World::new();
    world.says("olga", "/contact add");
    let form = world.question();
    assert_eq!(world.submits(&form, "olga", filled(json!({ "for": [7] }))), ["form(requestor-not-entitled)"]);
    assert_eq!(mistake(&world), ("requestor-not-entitled".into(), "for".into()));
    let again = world.question();
    assert_eq!(world.submits(&again, "olga", filled(json!({ "for": [1, 2] }))), ["form(bad-argument)"]);
    assert_eq!(mistake(&world).1, "for");
    let again = world.question();
    assert_eq!(world.submits(&again, "olga", filled(json!({ "for": "1" }))), ["answer contact-added"]);
    assert!(world.listing("jane", ANN).is_some());
}

#[test]
fn s0_12_a_colleague_whom_nobody_has_met_is_looked_up_and_the_form_goes_on() {
    let unmet = |who: &str| {
        let mut world = World::new();
        let id = person(who).id;
        world.remove(&Key::new("user", id));
        world.remove(&Key::new("useremail", person(who).email.unwrap()));
        world.says("olga", "/contact add");
        world
    };
    let mut world = unmet("bob");
    let form = world.question();
    let told = world.submits(&form, "olga", filled(json!({ "for": [{ "id": 2 }] })));
    assert_eq!(told, ["answer contact-added"]);
    assert!(world.listing("bob", ANN).is_some());
    assert_eq!(world.submits(&form, "olga", filled(json!({ "for": [2] }))), ["answer contact-added"], "once");
    let mut world = unmet("nina");
    let form = world.question();
    assert_eq!(world.submits(&form, "olga", filled(json!({ "for": [7] }))), ["form(requestor-not-entitled)"]);
    assert_eq!(world.submits(&form, "olga", filled(json!({ "for": [7] }))), ["form(requestor-not-entitled)"], "the same again");
    let again = world.question();
    assert_eq!(again.reply.vars["values"]["for"], json!([7]));
    let mut world = unmet("nina");
    let form = world.question();
    assert_eq!(world.submits(&form, "olga", filled(json!({ "for": [4711] }))), ["form(requestor-not-entitled)"], "nobody at all");
    assert_eq!(world.submits(&world.question().clone(), "olga", filled(json!({ "for": [1] }))), ["answer contact-added"]);
}

#[test]
fn what_forbids_the_room_stands_beside_its_checkbox() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("stop");
    world.says("bob", "/contact add");
    let form = world.question();
    assert_eq!(world.submits(&form, "bob", filled(json!({ "room": "on" }))), ["form(opted-out)"]);
    assert_eq!(mistake(&world), ("opted-out".into(), "room".into()));
    let again = world.question();
    assert_eq!(world.submits(&again, "bob", filled(json!({}))), ["answer contact-added"]);
}

// ---- each form from its opening to its end

#[test]
fn the_form_of_contact_add() {
    let mut world = World::new();
    assert_eq!(world.says("jane", "/contact add"), ["form"]);
    let steps = [
        (json!({ "first": "" }), "form(bad-argument)", "first"),
        (json!({ "email": "" }), "form(email-required)", "email"),
        (json!({ "email": "nonsense" }), "form(bad-argument)", "email"),
        (json!({ "phone": "12" }), "form(phone-invalid)", "phone"),
        (json!({ "lang": "xx" }), "form(bad-argument)", "lang"),
        (json!({ "channel": "fax" }), "form(bad-argument)", "channel"),
        (json!({ "channel": "sms" }), "form(sms-not-set-up)", "channel"),
    ];
    for (wrong, told, field) in steps {
        let form = world.question();
        assert_eq!(world.submits(&form, "jane", filled(wrong.clone())), [told], "{wrong}");
        assert_eq!(mistake(&world).1, field, "{wrong}");
        assert!(world.find_contact(ANN).is_none(), "{wrong}");
    }
    let form = world.question();
    world.submits(&form, "jane", filled(json!({ "room": "on" })));
    assert!(world.has_room("Ann Lee"));
    let first = world.told("jane").pop().unwrap();
    assert_eq!(first, "answer contact-added");
    assert_eq!(world.submits(&form, "jane", filled(json!({ "last": "Other" }))), [first], "it counts once");
    assert_eq!(world.rooms().len(), 1);
}

#[test]
fn the_form_of_contact_edit() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    assert_eq!(world.says("jane", "/contact edit"), ["form"]);
    let form = world.question();
    let submit = |world: &mut World, form: &Posted, values: Value| world.submits(form, "jane", values);
    assert_eq!(
        submit(&mut world, &form, json!({ "action": "submit", "contact": "Zoe", "company": "Lee" })),
        ["form(no-such-contact)"]
    );
    let form = world.question();
    assert_eq!(form.reply.vars["values"]["company"], "Lee");
    let told = submit(&mut world, &form, json!({ "action": "submit", "contact": "Ann Lee", "email": "new@lee.de" }));
    assert_eq!(told, ["form(no-permission)"]);
    assert_eq!(mistake(&world).1, "email");
    let form = world.question();
    let told = submit(&mut world, &form, json!({ "action": "submit", "contact": "Ann Lee", "company": "Lee", "email": "" }));
    assert_eq!(told, ["answer contact-updated"]);
    assert_eq!(world.contact(ANN).company, "Lee");
    assert_eq!(submit(&mut world, &form, json!({ "action": "submit", "contact": "Ann Lee", "company": "X" })), told);
    assert_eq!(world.contact(ANN).company, "Lee");
}

#[test]
fn the_form_of_contact_complete() {
    let mut world = World::new();
    world.client(BEN).writes("Hello");
    assert_eq!(world.says("jane", "/contact complete"), ["form"]);
    let form = world.question();
    let told = world.submits(&form, "jane", json!({ "action": "submit", "contact": BEN, "first": "Ben" }));
    assert_eq!((told, mistake(&world).1), (vec!["form(bad-argument)".to_owned()], "last".to_owned()));
    let form = world.question();
    let told = world.submits(&form, "jane", json!({ "action": "submit", "contact": BEN, "first": "Ben", "last": "Kay" }));
    assert_eq!(told, ["answer contact-complete"]);
    assert!(!world.listing("jane", BEN).unwrap().incomplete);
    assert_eq!(world.submits(&form, "jane", json!({ "action": "submit", "contact": BEN, "first": "X", "last": "Y" })), told);
}

#[test]
fn the_form_of_optin_send() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    assert_eq!(world.says("jane", "/optin send"), ["form"]);
    let form = world.question();
    assert_eq!(world.submits(&form, "jane", json!({ "action": "submit", "contact": "" })), ["form(bad-argument)"]);
    let form = world.question();
    assert_eq!(world.submits(&form, "jane", json!({ "action": "submit", "contact": "An" })), ["form(no-such-contact)"]);
    let form = world.question();
    assert_eq!(world.submits(&form, "jane", json!({ "action": "submit", "contact": "Ann" })), ["confirm confirm-invitation"]);
    assert!(world.sent_to(ANN).is_empty());
    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
    world.submits(&form, "jane", json!({ "action": "submit", "contact": "Ann" }));
    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"], "once");
}

#[test]
fn the_form_of_room_create() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    world.take_name("Taken");
    assert_eq!(world.says("jane", "/room create"), ["form"]);
    let steps = [
        (json!({ "action": "submit", "name": "Lee", "contact": "" }), "form(bad-argument)", "contact"),
        (json!({ "action": "submit", "name": "n".repeat(50), "contact": "Ann" }), "form(name-too-long)", ""),
        (json!({ "action": "submit", "name": "Lee", "contact": "Zoe" }), "form(no-such-contact)", ""),
        (json!({ "action": "submit", "name": "Taken", "contact": "Ann" }), "form(name-taken)", "name"),
    ];
    for (wrong, told, field) in steps {
        let form = world.question();
        assert_eq!(world.submits(&form, "jane", wrong.clone()), [told], "{wrong}");
        assert_eq!(mistake(&world).1, field, "{wrong}");
        let values = world.question().reply.vars["values"].clone();
        assert_eq!(values["name"], wrong["name"], "{wrong}");
        assert!(world.sends.is_empty(), "{wrong}");
        assert_eq!(world.submits(&form, "jane", json!({ "action": "submit", "name": "Other", "contact": "Ann" })), [told]);
    }
    let form = world.question();
    world.submits(&form, "jane", json!({ "action": "submit", "name": "Lee", "contact": "Ann" }));
    world.passes(Span::minutes(1));
    assert!(world.has_room("Lee"));
    assert_eq!(world.last_told("jane"), "answer room-created");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
}

#[test]
fn the_form_of_template_send() {
    let mut world = World::agreed(|_| {});
    assert_eq!(world.says("jane", "/template send"), ["form"]);
    let form = world.question();
    let told = world.submits(&form, "jane", json!({ "action": "submit", "name": "document_ready", "to": "Zoe" }));
    assert_eq!(told, ["form(no-such-contact)"]);
    let form = world.question();
    let told = world.submits(&form, "jane", json!({ "action": "submit", "name": ["document_ready"], "to": "Ann" }));
    assert_eq!(told, ["form(missing-parameter)"]);
    assert_eq!(world.question().reply.vars["values"]["name"], "document_ready");
    let form = world.question();
    let values = json!({ "action": "submit", "name": "document_ready", "to": "Ann", "document": "Report <2026>" });
    assert_eq!(world.submits(&form, "jane", values), ["confirm confirm-template"]);
    assert_eq!(world.presses("jane", "confirm"), ["answer template-sent"]);
    assert_eq!(world.sent_to(ANN).last().unwrap(), "<document_ready>");
}
