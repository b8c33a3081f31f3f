//! Webhooks about groups as Meta's pages show them, and the statuses of messages to a group.
use super::super::MetaSettings;
use super::super::errors::GraphError;
use super::super::media::Media;
use super::super::shapes::{change, seconds};
use super::super::world::Phone;
use super::{Group, GroupMessage};
use serde_json::{Value, json};

/// One piece of news under its field; `news` goes into the group's object.
pub(super) fn news(settings: &MetaSettings, field: &str, group: &Group, at: i64, news: &Value) -> Value {
    let mut element = json!({"timestamp": seconds(at), "group_id": group.id});
    if let (Some(element), Some(news)) = (element.as_object_mut(), news.as_object()) {
        element.extend(news.clone());
    }
    change(settings, field, json!({"messaging_product": "whatsapp", "metadata": metadata(settings), "groups": [element]}))
}

fn metadata(settings: &MetaSettings) -> Value {
    json!({"display_phone_number": settings.digits(), "phone_number_id": settings.phone_number_id})
}

pub(super) fn created(request: &str, group: &Group) -> Value {
    json!({"type": "group_create", "request_id": request, "subject": group.subject, "description": group.description,
        "invite_link": group.whole_link(), "join_approval_mode": group.mode()})
}

pub(super) fn failed(kind: &str, request: &str, error: &GraphError) -> Value {
    json!({"type": kind, "request_id": request, "errors": [error.in_group()]})
}

/// The answer to a call of which a webhook will tell more.
pub(super) fn asked(request: &str) -> Value {
    json!({"messaging_product": "whatsapp", "request_id": request})
}

pub(super) fn picture(request: &str, media: &Media, well: bool) -> Value {
    let picture = json!({"mime_type": media.mime, "update_successful": well, "sha256": media.sha256_base64()});
    let mut told = json!({"type": "group_settings_update", "request_id": request, "profile_picture": picture});
    if !well {
        told["errors"] = json!([GraphError::new(131000, "The group was not changed").in_group()]);
    }
    told
}

pub(super) fn person(phone: &Phone) -> Value {
    json!({"wa_id": phone.wa_id(), "user_id": phone.user_id})
}

pub(super) fn joined(phone: &Phone) -> Value {
    json!({"type": "group_participants_add", "reason": "invite_link", "added_participants": [person(phone)]})
}

pub(super) fn left(phone: &Phone) -> Value {
    json!({"type": "group_participants_remove", "removed_participants": [person(phone)], "initiated_by": "participant"})
}

/// created or revoked.
pub(super) fn join_request(word: &str, request: &str, phone: &Phone) -> Value {
    json!({"type": format!("group_join_request_{word}"), "reason": "invite_link", "join_request_id": request,
        "wa_id": phone.wa_id(), "user_id": phone.user_id})
}

/// One status of a message to a group: `members` are those whom it concerns; without any it is about the message itself.
pub(super) fn status(
    settings: &MetaSettings,
    message: &GroupMessage,
    word: &str,
    members: &[Phone],
    more: &Value,
    at: i64,
) -> Value {
    let element = |member: Option<&Phone>| {
        let mut element = json!({"id": message.id, "status": word, "timestamp": seconds(at), "recipient_id": message.group,
            "recipient_type": "group"});
        if let Some(data) = &message.callback_data {
            element["biz_opaque_callback_data"] = json!(data);
        }
        if let Some(member) = member {
            element["recipient_participant_id"] = json!(member.wa_id());
            element["recipient_participant_user_id"] = json!(member.user_id);
        }
        if let (Some(element), Some(more)) = (element.as_object_mut(), more.as_object()) {
            element.extend(more.clone());
        }
        element
    };
    let statuses: Vec<Value> = match members {
        [] => vec![element(None)],
        members => members.iter().map(|member| element(Some(member))).collect(),
    };
    let mut value = json!({"messaging_product": "whatsapp", "metadata": metadata(settings), "statuses": statuses});
    if !members.is_empty() {
        value["contacts"] = members.iter().map(person).collect();
    }
    change(settings, "messages", value)
}
