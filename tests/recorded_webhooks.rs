//! Every webhook that vendors and users have recorded is read as it should be.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use expect_test::expect;
use liaison::adapters::whatsapp::{Element, parse};
use liaison::domain::event::{ClientKeys, Content, Delivery, Fact, GroupNews};
use liaison::domain::time::Timestamp;
use std::fmt::Write;
use std::path::PathBuf;

/// As many as the contract holds; a new one is to be looked at and entered in the table.
const RECORDED: usize = 99;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts/whatsapp/webhooks")
}

/// Name and bytes, by name.
fn recorded() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder())
        .expect("the recorded webhooks lie in ../shared/contracts/whatsapp/webhooks")
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The time of the youngest element, so that none is too old.
fn read(body: &[u8]) -> Vec<Element> {
    let first = parse(body, Timestamp(0)).unwrap();
    let now = first.iter().map(|element| element.event.at).max().unwrap();
    parse(body, now).unwrap()
}

fn told(element: &Element) -> String {
    match &element.event.fact {
        Fact::ClientMessage(message) => {
            let who = [message.from.phone.is_some(), message.from.user_id.is_some(), message.from.profile_name.is_some()];
            let who: String = who.iter().zip(['p', 'u', 'n']).filter_map(|(there, letter)| there.then_some(letter)).collect();
            let group = if message.group.is_some() { " in a group" } else { "" };
            let quoted = if message.quoted.is_some() { " quoting" } else { "" };
            format!("{} [{who}]{group}{quoted}", content(&message.content))
        }
        Fact::DeliveryReported(report) => {
            let status = match &report.status {
                Delivery::Sent => "sent".to_owned(),
                Delivery::Delivered => "delivered".to_owned(),
                Delivery::Read => "read".to_owned(),
                Delivery::Failed { code, .. } => format!("failed {code}"),
            };
            let participant = report.participant.as_deref().map(|p| format!(" by {p}")).unwrap_or_default();
            let price = report.price_category.as_deref().map(|p| format!(" at {p}")).unwrap_or_default();
            let price = format!("{price}{}", report.price_type.as_deref().map(|p| format!("/{p}")).unwrap_or_default());
            format!("{status}{participant}{price}")
        }
        Fact::NotUsed { what, .. } => format!("({what})"),
        Fact::TemplateTold(told) => format!("template {} ({}) {:?}", told.name, told.language, told.news),
        Fact::MarketingChosen(told) => {
            let choice = if told.wants_none { "no marketing" } else { "marketing again" };
            format!("{choice} {}", told.from.wa_id.as_deref().unwrap_or("?"))
        }
        Fact::GroupTold(told) => {
            let nameless = if told.group.as_str().is_empty() { " (no group)" } else { "" };
            format!("group {}{nameless}", news(&told.news))
        }
        Fact::Unreadable { why, .. } => format!("UNREADABLE {why}"),
        other => panic!("a webhook never tells {other:?}"),
    }
}

fn news(news: &GroupNews) -> String {
    let who = |who: &ClientKeys| who.wa_id.as_ref().or(who.user_id.as_ref()).cloned().unwrap_or_default();
    match news {
        GroupNews::Created { request, link } => format!("created for {request:.4} {}", link.as_deref().unwrap_or("without link")),
        GroupNews::NotCreated { request, code, .. } => format!("not created for {request:.4} {code}"),
        GroupNews::AsksToJoin { request, who: keys } => format!("{} asks {request:.4}", who(keys)),
        GroupNews::AsksNoMore { request, who: keys } => format!("{} asks no more {request:.4}", who(keys)),
        GroupNews::Joined { who: keys } => format!("joined {}", who(keys)),
        GroupNews::Left { who: keys } => format!("left {}", who(keys)),
        GroupNews::Removed { who: keys } => format!("removed {}", who(keys)),
        GroupNews::NotRemoved { who: keys, code, .. } => format!("not removed {} {code}", who(keys)),
        GroupNews::NotChanged { code, .. } => format!("not changed {code}"),
        GroupNews::PictureChanged { request } => format!("picture changed for {request:.4}"),
        GroupNews::PictureNotChanged { request, code, .. } => format!("picture not changed for {request:.4} {code}"),
        GroupNews::Deleted => "deleted".to_owned(),
        GroupNews::Suspended => "suspended".to_owned(),
        GroupNews::Unsuspended => "unsuspended".to_owned(),
    }
}

fn content(content: &Content) -> String {
    match content {
        Content::Text(text) => format!("text {:.20}", text.replace('\n', " ")),
        Content::Button { payload, text } => format!("button {payload:.20}/{text:.20}"),
        Content::Media(file) => {
            let caption = file.caption.as_deref().map(|caption| format!(" {caption:.30}")).unwrap_or_default();
            format!("{} with id{caption}", file.kind.name())
        }
        Content::Other { kind, id, caption } => {
            let id = if id.is_some() { " with id" } else { "" };
            format!("{kind}{id}{}", caption.as_ref().map(|caption| format!(" {caption:.30}")).unwrap_or_default())
        }
        Content::Sign { kind, detail } => format!("sign {kind} {detail:.40}"),
    }
}

#[test]
fn each_recorded_webhook_becomes_these_facts() {
    let files = recorded();
    assert_eq!(files.len(), RECORDED);
    let mut table = String::new();
    for (name, body) in &files {
        let elements: Vec<String> = read(body).iter().map(told).collect();
        writeln!(table, "{name}: {}", elements.join("; ")).unwrap();
    }
    expect![[r#"
        capture.status_contacts_without_profile: delivered
        capture.status_failed_contacts_wa_id_only: failed 131026
        metadocs.message_image_with_url: picture with id Taj Mahal [pn]
        metadocs.message_text_username_no_phone: text Does it come in anot [un]
        metadocs.shape.contacts_shared_by_request_button: contact card +16505551234 [un]
        metadocs.shape.group_create_fail: group not created for 784D 131211 (no group)
        metadocs.shape.group_create_succeed: group created for 784D https://chat.whatsapp.com/LINK_ID
        metadocs.shape.group_delete_succeed: group deleted
        metadocs.shape.group_join_request_approved: group joined 16505551234
        metadocs.shape.group_join_request_created: group 16505551234 asks MTY0
        metadocs.shape.group_join_request_created_bsuid: group US.13491208655302741918 asks MTY0
        metadocs.shape.group_join_request_revoked: group 16505551234 asks no more MTY0
        metadocs.shape.group_joined_by_invite_link: group joined 16505551234
        metadocs.shape.group_message_text: text Hello all [pn] in a group
        metadocs.shape.group_message_unsupported: message of a kind WhatsApp does not pass on [pn] in a group
        metadocs.shape.group_participant_leaves: group left 16505551234
        metadocs.shape.group_remove_partial_fail: group removed 16505551234; group not removed 16505551235 131212
        metadocs.shape.group_removed_by_business: group removed 16505551234
        metadocs.shape.group_settings_update_succeed: group picture changed for 784D
        metadocs.shape.group_status_delivered_alt_key: delivered by 16505551234 at group_service
        metadocs.shape.group_status_delivered_two_messages: delivered by 16505551234 at group_service; delivered by 16505551234 at group_service
        metadocs.shape.group_status_failed: failed 131020
        metadocs.shape.group_status_read_two_participants: read by 16505551234 at group_service; read by 16505551235 at group_service
        metadocs.shape.group_status_sent: sent
        metadocs.shape.group_suspended: group suspended
        metadocs.shape.group_suspension_cleared: group unsuspended
        metadocs.shape.system_user_changed_user_id: sign user_changed_user_id US.99991208655302741918 [u]
        metadocs.status_delivered_username_no_phone: delivered at marketing/regular
        metadocs.status_delivered_username_phone_known: delivered at marketing/regular
        metadocs.status_failed_131049: failed 131049
        metadocs.status_sent_marketing_v23: sent at marketing/regular
        metadocs.template_status_approved: template order_confirmation (en_US) Status { status: "APPROVED", reason: None }
        metadocs.template_status_rejected_invalid_format: template abandoned_cart (en) Status { status: "REJECTED", reason: Some("Your template has parameters placed next to each other (like {{1}}{{2}}) without text or punctuation between them.") }
        metadocs.user_preferences_resume: marketing again 16505551234
        metaspec.button_message: button Unsubscribe/Unsubscribe [pn] quoting
        metaspec.contact_sharing_message: contact card Lucía Gómez +1 (983) 555-2319 [pn]
        metaspec.group_create_message: group created for 784D without link; group joined 16505551234; group joined 16505551235
        metaspec.group_remove_participants: group removed 16505551234; group removed 16505551235
        metaspec.group_settings_update: group picture changed for 784D
        metaspec.image_message: picture with id Taj Mahal [pn]
        metaspec.interactive_button_reply_message: button cancel-button/Cancel [pn] quoting
        metaspec.interactive_list_reply_message: button priority_express/Priority Mail Expres [pn] quoting
        metaspec.location_message: location 37.44221496582, -122.161659240 [pn]
        metaspec.order_message: order [pn]
        metaspec.reaction_message: sign reaction 👍 [pn] quoting
        metaspec.system_message: sign user_changed_number +12195555358 [p]
        metaspec.text_message: text Does it come in anot [pn]
        metaspec.text_message_from_click_to_whatsapp_ad: text Hello! Can I get mor [pn]
        metaspec.text_message_with_context_product_inquiry: text Is this still availa [pn] quoting
        metaspec.unsupported_message: message of a kind WhatsApp does not pass on [pn]
        pywa.callback_button.button: button callback_data/title [pun] quoting
        pywa.callback_button.quick_reply: button callback_data/title [pun] quoting
        pywa.callback_button.quick_reply_without_context: button callback_data/title [pun]
        pywa.callback_selection.callback: button callback_data/title [pun] quoting
        pywa.callback_selection.description: button callback_data/title [pun] quoting
        pywa.deleted_message.revoke: sign revoke  [] quoting
        pywa.edited_message.image: sign edit Updated image caption [p] quoting
        pywa.message.animated_sticker: sticker with id [pun]
        pywa.message.audio: audio file with id [pun]
        pywa.message.chosen_location: location 37.4611978, -122.2164385 (Face [pun]
        pywa.message.contacts: contact card Chandler Bing +1 555-555-5555; [pun]
        pywa.message.current_location: location 12.25089, 43.90539 [pun]
        pywa.message.document: document with id caption [pun]
        pywa.message.forwarded: text forwarded text [pun]
        pywa.message.forwarded_many_times: text text forwarded many  [pun]
        pywa.message.image: picture with id [pun]
        pywa.message.interactive_message_with_err: message of a kind WhatsApp does not pass on [pun] quoting; (messages.errors)
        pywa.message.media_with_url: picture with id [pun]
        pywa.message.order: order [pun]
        pywa.message.reaction: sign reaction 😮 [pun] quoting
        pywa.message.referral: text BODY [pun]
        pywa.message.reply: text replied text [pun] quoting
        pywa.message.static_sticker: sticker with id [pun]
        pywa.message.text: text Body Text [pun]
        pywa.message.unreaction_empty: sign reaction  [pun] quoting
        pywa.message.unreaction_no_emoji: sign reaction  [pun] quoting
        pywa.message.unsupported: message of a kind WhatsApp does not pass on [pun]
        pywa.message.unsupported_with_type: message of a kind WhatsApp does not pass on [pun]
        pywa.message.video: video with id caption [pun]
        pywa.message.voice: voice message with id [pun]
        pywa.message_status.delivered: delivered at service
        pywa.message_status.failed: failed 130472
        pywa.message_status.group: read by <GROUP_PARTICIPANT_USER_PHONE_NUMBER>
        pywa.message_status.played: read at service
        pywa.message_status.read: read at service
        pywa.message_status.sent: sent at service
        pywa.message_status.with_tracker: sent at service
        pywa.outgoing_message.delete: (smb_message_echoes)
        pywa.outgoing_message.edit: (smb_message_echoes)
        pywa.outgoing_message.text: (smb_message_echoes)
        pywa.system.identity_change: sign customer_identity_changed User identity changed [pn]
        pywa.system.phone_number_change: sign user_changed_number +972912345678 [p]
        pywa.template_category_update.marketing: template my_message_template (he) Category { category: "MARKETING" }
        pywa.template_components_update.element: template my_message_template (he) Rewritten
        pywa.template_quality_update.yellow: template welcome_template (en_US) Quality { score: "YELLOW" }
        pywa.template_status_update.approved: template order_confirmation (en_US) Status { status: "APPROVED", reason: None }
        pywa.template_status_update.rejected: template abandoned_cart (en) Status { status: "REJECTED", reason: Some("Your template has parameters placed next to each other (like {{1}}{{2}}) without text or punctuation between them.") }
        pywa.user_marketing_preferences.resume: marketing again 16505551234
        pywa.user_marketing_preferences.signup: marketing again 16505551234
    "#]]
    .assert_eq(&table);
}

#[test]
fn no_recorded_element_is_lost_or_unreadable() {
    for (name, body) in recorded() {
        let elements = read(&body);
        assert!(!elements.is_empty(), "{name}");
        for element in &elements {
            assert!(!matches!(element.event.fact, Fact::Unreadable { .. }), "{name}: {element:?}");
            let raw = element.event.raw.as_deref().expect("each element keeps its bytes");
            assert!(body.windows(raw.len()).any(|window| window == raw), "{name}: the bytes are those of the body");
        }
    }
}

#[test]
fn all_recorded_webhooks_in_one_body_give_the_same_facts() {
    let files = recorded();
    let mut entries = Vec::new();
    let mut alone = Vec::new();
    for (_, body) in &files {
        let body_json: serde_json::Value = serde_json::from_slice(body).unwrap();
        entries.extend(body_json["entry"].as_array().unwrap().clone());
        alone.extend(parse(body, Timestamp(0)).unwrap().iter().map(told));
    }
    let whole = serde_json::json!({ "object": "whatsapp_business_account", "entry": entries }).to_string();
    let mut together: Vec<String> = parse(whole.as_bytes(), Timestamp(0)).unwrap().iter().map(told).collect();
    alone.sort();
    together.sort();
    assert_eq!(together, alone);
}

#[test]
fn an_element_is_the_same_event_each_time() {
    for (name, body) in recorded() {
        let ids = |body| read(body).iter().map(|element| element.event.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&body), ids(&body), "{name}");
    }
}

#[test]
fn any_recorded_webhook_cut_short_is_refused_whole() {
    for (name, body) in recorded() {
        let end = body.iter().rposition(|byte| *byte == b'}').unwrap();
        for cut in (0..end).step_by(17) {
            assert!(parse(&body[..cut], Timestamp(0)).is_err(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn no_damage_to_a_recorded_webhook_makes_the_program_stumble() {
    let mut dice = fastrand::Rng::with_seed(7);
    for (_, body) in recorded() {
        for _ in 0..200 {
            let mut damaged = body.clone();
            for _ in 0..dice.usize(1..4) {
                let at = dice.usize(..damaged.len());
                damaged[at] = *dice.choice(b"\"{}[]:,0-9a\\\0\xff ").unwrap();
            }
            // Refused or read, as long as it comes back; what is read keeps its bytes.
            for element in parse(&damaged, Timestamp(0)).unwrap_or_default() {
                assert!(element.event.raw.is_some());
            }
        }
    }
}
