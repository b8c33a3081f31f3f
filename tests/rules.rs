//! RULES.md, rule by rule, through the pure core: each test bears the number of what it proves.
#![allow(clippy::unwrap_used)] // A test that cannot go on panics.
#[path = "rules/advisors.rs"]
mod advisors;
#[path = "rules/arguments.rs"]
mod arguments;
#[path = "rules/calls.rs"]
mod calls;
mod common;
#[path = "rules/consent.rs"]
mod consent;
#[path = "rules/conversation.rs"]
mod conversation;
#[path = "rules/delivery.rs"]
mod delivery;
#[path = "rules/files.rs"]
mod files;
#[path = "rules/forms.rs"]
mod forms;
#[path = "rules/group_picture.rs"]
mod group_picture;
#[path = "rules/groups.rs"]
mod groups;
#[path = "rules/identity.rs"]
mod identity;
#[path = "rules/inbound.rs"]
mod inbound;
#[path = "rules/members.rs"]
mod members;
#[path = "rules/native.rs"]
mod native;
#[path = "rules/native_again.rs"]
mod native_again;
#[path = "rules/native_words.rs"]
mod native_words;
#[path = "rules/numbers.rs"]
mod numbers;
#[path = "rules/onboarding.rs"]
mod onboarding;
#[path = "rules/owners.rs"]
mod owners;
#[path = "rules/people.rs"]
mod people;
#[path = "rules/questions.rs"]
mod questions;
#[path = "rules/quiet_hours.rs"]
mod quiet_hours;
#[path = "rules/sms.rs"]
mod sms;
#[path = "rules/sms_first.rs"]
mod sms_first;
#[path = "rules/status.rs"]
mod status;
#[path = "rules/sub_orgs.rs"]
mod sub_orgs;
#[path = "rules/templates.rs"]
mod templates;
#[path = "rules/truth.rs"]
mod truth;
