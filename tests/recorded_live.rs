//! Every recorded webhook, signed and posted to the real program: 200, and each element stands in the journal.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
mod real;

use expect_test::expect;
use liaison::adapters::whatsapp::parse;
use liaison::domain::time::Timestamp;
use liaison::sandbox::meta::MetaSettings;
use real::World;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

const RECORDED: usize = 99;

/// The same webhook, as it would come to this line today.
fn of_today(value: &mut Value, line: &str, now: i64) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "phone_number_id" => *value = line.into(),
                    "timestamp" if value.is_string() => *value = now.to_string().into(),
                    "timestamp" | "time" if value.is_number() => *value = now.into(),
                    _ => of_today(value, line, now),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| of_today(item, line, now)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Meta's examples and those made from them use the same few ids; here each is a message of its own.
fn with_own_ids(body: &mut Value, name: &str) {
    let entries = body["entry"].as_array_mut().into_iter().flatten();
    for change in entries.flat_map(|entry| entry["changes"].as_array_mut().into_iter().flatten()) {
        for list in ["messages", "statuses"] {
            for element in change["value"][list].as_array_mut().into_iter().flatten() {
                if let Some(id) = element["id"].as_str() {
                    element["id"] = format!("{id}-{name}").into();
                }
            }
            if change["value"][list].is_null() {
                change["value"].as_object_mut().map(|value| value.remove(list));
            }
        }
    }
}

fn recorded() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts/whatsapp/webhooks");
    let files = std::fs::read_dir(folder).expect("the recorded webhooks lie in ../shared/contracts/whatsapp/webhooks");
    let mut all: Vec<(String, Value)> = files
        .map(|file| file.unwrap().path())
        .map(|path| {
            let body = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), body)
        })
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn all_recorded_webhooks_are_applied_or_explained_by_a_running_bot() {
    let world = World::new().await;
    let mut running = world.run();
    world.ready(&mut running).await;
    let settings = MetaSettings::sandbox();
    let now = jiff::Timestamp::now().as_second();
    let mut posted = Vec::new();
    for (nth, (name, mut body)) in (0..).zip(recorded()) {
        of_today(&mut body, &settings.phone_number_id, now - 1_000 + nth);
        with_own_ids(&mut body, &name);
        let text = body.to_string();
        assert_eq!(world.webhook(&text, &settings.app_secret).await, 200, "{name}");
        let elements = parse(text.as_bytes(), Timestamp(now * 1_000)).unwrap();
        posted.push((name, elements.into_iter().map(|element| element.event.id.0).collect::<Vec<_>>()));
    }
    assert_eq!(posted.len(), RECORDED);
    let mut became: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in world.journal() {
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        became.entry(text("event")).or_default().push(text("kind"));
    }
    let (mut table, mut told) = (String::new(), BTreeMap::new());
    for (name, events) in posted {
        let ends = events.iter().map(|event| match told.insert(event.clone(), name.clone()) {
            // Two examples that are the same to the last byte.
            Some(before) => format!("the same as in {before}"),
            None => became.get(event).unwrap_or_else(|| panic!("{name}: {event} left no trace")).join(" "),
        });
        let ends: Vec<String> = ends.collect();
        assert!(!ends.is_empty(), "{name}");
        writeln!(table, "{name}: {}", ends.join("; ")).unwrap();
    }
    expect![[r#"
        capture.status_contacts_without_profile: delivery.of_unknown_message
        capture.status_failed_contacts_wa_id_only: delivery.of_unknown_message
        metadocs.message_image_with_url: contact.created client.wrote contact.listed room.requested client.relayed
        metadocs.message_text_username_no_phone: contact.created client.wrote contact.listed room.requested client.relayed
        metadocs.shape.contacts_shared_by_request_button: client.wrote client.relayed
        metadocs.shape.group_create_fail: group.told
        metadocs.shape.group_create_succeed: group.told
        metadocs.shape.group_delete_succeed: group.told
        metadocs.shape.group_join_request_approved: group.told
        metadocs.shape.group_join_request_created: group.told
        metadocs.shape.group_join_request_created_bsuid: group.told
        metadocs.shape.group_join_request_revoked: group.told
        metadocs.shape.group_joined_by_invite_link: group.told
        metadocs.shape.group_message_text: client.in_unknown_group
        metadocs.shape.group_message_unsupported: client.in_unknown_group
        metadocs.shape.group_participant_leaves: group.told
        metadocs.shape.group_remove_partial_fail: group.told; group.told
        metadocs.shape.group_removed_by_business: group.told
        metadocs.shape.group_settings_update_succeed: group.told
        metadocs.shape.group_status_delivered_alt_key: delivery.of_unknown_message
        metadocs.shape.group_status_delivered_two_messages: delivery.of_unknown_message; delivery.of_unknown_message
        metadocs.shape.group_status_failed: delivery.of_unknown_message
        metadocs.shape.group_status_read_two_participants: delivery.of_unknown_message; delivery.of_unknown_message
        metadocs.shape.group_status_sent: delivery.of_unknown_message
        metadocs.shape.group_suspended: group.told
        metadocs.shape.group_suspension_cleared: group.told
        metadocs.shape.system_user_changed_user_id: client.wrote contact.number_changed client.relayed
        metadocs.status_delivered_username_no_phone: delivery.of_unknown_message
        metadocs.status_delivered_username_phone_known: delivery.of_unknown_message
        metadocs.status_failed_131049: delivery.of_unknown_message
        metadocs.status_sent_marketing_v23: delivery.of_unknown_message
        metadocs.template_status_approved: template.told
        metadocs.template_status_rejected_invalid_format: template.told
        metadocs.user_preferences_resume: marketing.resumed
        metaspec.button_message: client.wrote consent.opted_out
        metaspec.contact_sharing_message: client.wrote client.relayed
        metaspec.group_create_message: group.told; group.told; group.told
        metaspec.group_remove_participants: group.told; group.told
        metaspec.group_settings_update: group.told
        metaspec.image_message: client.wrote client.relayed
        metaspec.interactive_button_reply_message: client.wrote consent.opted_out client.relayed
        metaspec.interactive_list_reply_message: client.wrote client.relayed
        metaspec.location_message: client.wrote client.relayed
        metaspec.order_message: client.wrote client.relayed
        metaspec.reaction_message: client.wrote client.relayed
        metaspec.system_message: client.wrote contact.number_changed client.relayed
        metaspec.text_message: contact.created client.wrote contact.listed room.requested client.relayed
        metaspec.text_message_from_click_to_whatsapp_ad: client.wrote client.relayed
        metaspec.text_message_with_context_product_inquiry: client.wrote client.relayed
        metaspec.unsupported_message: client.wrote client.relayed
        pywa.callback_button.button: contact.created client.wrote contact.listed room.requested client.relayed
        pywa.callback_button.quick_reply: client.wrote client.relayed
        pywa.callback_button.quick_reply_without_context: client.wrote client.relayed
        pywa.callback_selection.callback: client.wrote client.relayed
        pywa.callback_selection.description: client.wrote client.relayed
        pywa.deleted_message.revoke: client.sign_of_unknown
        pywa.edited_message.image: client.wrote client.relayed
        pywa.message.animated_sticker: client.wrote client.relayed
        pywa.message.audio: client.wrote client.relayed
        pywa.message.chosen_location: client.wrote client.relayed
        pywa.message.contacts: client.wrote client.relayed
        pywa.message.current_location: client.wrote client.relayed
        pywa.message.document: client.wrote client.relayed
        pywa.message.forwarded: client.wrote client.relayed
        pywa.message.forwarded_many_times: client.wrote client.relayed
        pywa.message.image: client.wrote client.relayed
        pywa.message.interactive_message_with_err: client.wrote client.relayed; webhook.not_used
        pywa.message.media_with_url: client.wrote client.relayed
        pywa.message.order: client.wrote client.relayed
        pywa.message.reaction: client.wrote client.relayed
        pywa.message.referral: client.wrote client.relayed
        pywa.message.reply: client.wrote client.relayed
        pywa.message.static_sticker: client.wrote client.relayed
        pywa.message.text: client.wrote client.relayed
        pywa.message.unreaction_empty: client.wrote client.relayed
        pywa.message.unreaction_no_emoji: client.wrote client.relayed
        pywa.message.unsupported: client.wrote client.relayed
        pywa.message.unsupported_with_type: client.wrote client.relayed
        pywa.message.video: client.wrote client.relayed
        pywa.message.voice: client.wrote client.relayed
        pywa.message_status.delivered: delivery.of_unknown_message
        pywa.message_status.failed: delivery.of_unknown_message
        pywa.message_status.group: delivery.of_unknown_message
        pywa.message_status.played: delivery.of_unknown_message
        pywa.message_status.read: delivery.of_unknown_message
        pywa.message_status.sent: delivery.of_unknown_message
        pywa.message_status.with_tracker: delivery.of_unknown_message
        pywa.outgoing_message.delete: webhook.not_used
        pywa.outgoing_message.edit: webhook.not_used
        pywa.outgoing_message.text: webhook.not_used
        pywa.system.identity_change: client.wrote
        pywa.system.phone_number_change: client.wrote contact.number_changed client.relayed
        pywa.template_category_update.marketing: template.told
        pywa.template_components_update.element: template.told
        pywa.template_quality_update.yellow: template.told
        pywa.template_status_update.approved: template.told
        pywa.template_status_update.rejected: template.told
        pywa.user_marketing_preferences.resume: marketing.resumed
        pywa.user_marketing_preferences.signup: marketing.resumed
    "#]]
    .assert_eq(&table);
    running.stop().await;
}
