//! S0-28…S0-33: who is the same person, in every combination of what is stored and what is typed.
use crate::common::world::*;
use liaison::domain::commit::Key;
use liaison::domain::consent::Consent;
use liaison::domain::ids::*;
use liaison::domain::time::Timestamp;
use std::collections::BTreeSet;

const OTHER_MAIL: &str = "other@lee.de";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stored {
    Absent,
    Same,
    Other,
}

/// A person whom Bob onboarded, with these keys beside what Jane will type.
fn stage(phone: Stored, email: Stored) -> World {
    let mut world = World::new();
    world.says("bob", "/contact add Robert Nolan phone=+4915112345678 email=ann@lee.de");
    let mut contact = world.contact(ANN);
    world.remove(&Key::new("phone", ANN));
    world.remove(&Key::new("email", "ann@lee.de"));
    contact.phone = number(phone);
    contact.email = address(email);
    world.put(&contact);
    if let Some(phone) = &contact.phone {
        world.point(Key::new("phone", phone.e164()), contact.id.as_str());
    }
    if let Some(email) = &contact.email {
        world.point(Key::new("email", email), contact.id.as_str());
    }
    world
}

fn number(stored: Stored) -> Option<Phone> {
    match stored {
        Stored::Absent => None,
        Stored::Same => Phone::from_e164(ANN),
        Stored::Other => Phone::from_e164(BEN),
    }
}

fn address(stored: Stored) -> Option<String> {
    match stored {
        Stored::Absent => None,
        Stored::Same => Some("ann@lee.de".to_owned()),
        Stored::Other => Some(OTHER_MAIL.to_owned()),
    }
}

fn ids(world: &World) -> BTreeSet<String> {
    world.records().keys().filter(|key| key.starts_with("contact/")).cloned().collect()
}

#[test]
fn s0_28_to_s0_33_every_cell() {
    let rows = [
        (Stored::Same, Stored::Same, "same"),
        (Stored::Same, Stored::Absent, "same"),
        (Stored::Same, Stored::Other, "error"),
        (Stored::Absent, Stored::Same, "same"),
        (Stored::Absent, Stored::Absent, "new"),
        (Stored::Absent, Stored::Other, "new"),
        (Stored::Other, Stored::Same, "error"),
        (Stored::Other, Stored::Absent, "new"),
        (Stored::Other, Stored::Other, "new"),
    ];
    for (phone, email, expected) in rows {
        let mut world = stage(phone, email);
        let (before, people) = (world.records(), ids(&world));
        let told = world.says("jane", ADD_ANN);
        let cell = format!("stored phone {phone:?}, e-mail {email:?}");
        match expected {
            "same" => {
                assert_eq!(told, ["answer contact-added"], "{cell}");
                assert_eq!(ids(&world), people, "{cell}: no second identity");
                let contact = world.contact(ANN);
                assert_eq!(contact.email.as_deref(), Some("ann@lee.de"), "{cell}: what was missing is stored");
                assert_eq!(contact.listed_by.len(), 2, "{cell}");
                assert_eq!(world.listing("jane", ANN).unwrap().name(), "Ann Lee", "{cell}: under the name typed here");
                assert_eq!(world.listing("bob", ANN).unwrap().name(), "Robert Nolan", "{cell}");
                assert_eq!(world.last_reply("jane").vars["is_new"], false, "{cell}");
            }
            "new" => {
                assert_eq!(told, ["answer contact-added"], "{cell}");
                assert_eq!(ids(&world).len(), 2, "{cell}");
                assert_eq!(world.last_reply("jane").vars["is_new"], true, "{cell}");
            }
            _ => {
                assert_eq!(told, ["refusal(match-one-only)"], "{cell}");
                assert_eq!(world.records(), before, "{cell}: nothing is written");
            }
        }
    }
}

#[test]
fn s0_30_phone_of_one_and_email_of_another_is_an_error() {
    let mut world = World::new();
    world.says("bob", "/contact add Robert Nolan phone=+4915112345678 email=robert@nolan.de");
    world.says("bob", "/contact add Lea Nolan phone=+4915112345699 email=ann@lee.de");
    let before = world.records();
    assert_eq!(world.says("jane", ADD_ANN), ["refusal(match-one-only)"]);
    assert_eq!(world.records(), before);
}

#[test]
fn s0_31_the_error_tells_neither_which_nor_the_stored_value() {
    for (phone, email) in [(Stored::Same, Stored::Other), (Stored::Other, Stored::Same)] {
        let mut world = stage(phone, email);
        world.says("jane", ADD_ANN);
        let reply = world.last_reply("jane");
        assert_eq!((reply.contact.clone(), reply.vars.len()), (None, 0), "{reply:?}");
    }
}

#[test]
fn s0_32_compared_in_canonical_form_and_kept_as_typed() {
    let mut world = World::new();
    world.says("bob", "/contact add Ann Lee phone=\"0049 (151) 1234-5678\" email=\" ANN@Lee.DE \"");
    let contact = world.contact(ANN);
    assert_eq!(contact.email.as_deref(), Some("ann@lee.de"));
    assert_eq!(contact.phone_raw.as_deref(), Some("0049 (151) 1234-5678"));
    assert_eq!(contact.email_raw.as_deref().map(str::trim), Some("ANN@Lee.DE"));
    assert_eq!(world.says("jane", ADD_ANN), ["answer contact-added"]);
    assert_eq!(ids(&world).len(), 1);
}

#[test]
fn s0_28_one_is_not_added_twice_to_the_same_list() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    let before = world.records();
    assert_eq!(world.says("jane", ADD_ANN), ["refusal(already-yours)"]);
    assert_eq!(world.records(), before);
}

#[test]
fn s0_28_removed_and_added_again_keeps_identity_and_consent() {
    let states = [
        Consent::None,
        Consent::Pending { asked_at: Timestamp(1), asked_before: None },
        Consent::OptedIn { at: Timestamp(1) },
        Consent::OptedOut { at: Timestamp(1) },
    ];
    for consent in states {
        let mut world = World::new();
        world.says("jane", ADD_ANN);
        let id = world.contact(ANN).id;
        world.set_consent(ANN, consent.clone());
        world.unlist("jane", ANN);
        assert_eq!(world.contact(ANN).status(Channel::WhatsApp), "REMOVED");
        assert_eq!(world.says("jane", ADD_ANN), ["answer contact-added"], "{}", consent.name());
        assert_eq!((world.contact(ANN).id, world.consent(ANN)), (id, consent));
        assert_eq!(world.sent_to(ANN), [""; 0], "adding sends nothing");
    }
}

#[test]
fn s0_29_the_same_person_on_another_channel_gets_that_channel() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    let mut contact = world.contact(ANN);
    let mut listing = world.listing("jane", ANN).unwrap();
    contact.channels = [(Channel::Sms, Default::default())].into();
    listing.channels = [Channel::Sms].into();
    world.put(&contact);
    world.put(&listing);
    assert_eq!(world.says("jane", ADD_ANN), ["answer contact-added"], "not yet hers on this channel");
    assert_eq!(world.listing("jane", ANN).unwrap().channels, BTreeSet::from([Channel::WhatsApp, Channel::Sms]));
    assert!(world.contact(ANN).channels.contains_key(&Channel::WhatsApp));
    assert_eq!(ids(&world).len(), 1);
}

#[test]
fn s0_28_who_has_agreed_already_gets_no_invitation() {
    let mut world = World::agreed(|_| {});
    let read = world.sent_to(ANN).len();
    world.says("bob", &format!("{ADD_ANN} --room"));
    assert_eq!(world.sent_to(ANN).len(), read);
    assert_eq!(world.last_told("bob"), "answer contact-added");
    assert_eq!(world.last_reply("bob").vars["consent"], "OPTED_IN");
}

#[test]
fn s2_13_s2_19_adding_the_details_of_an_incomplete_contact_completes_him() {
    let mut world = World::new();
    world.client(ANN).writes("Hello?");
    let listing = world.listing("jane", ANN).unwrap();
    assert!(listing.incomplete && listing.name().is_empty());
    assert_eq!(world.says("jane", ADD_ANN), ["answer contact-added"]);
    let listing = world.listing("jane", ANN).unwrap();
    assert!(!listing.incomplete);
    assert_eq!(listing.name(), "Ann Lee");
    assert_eq!(ids(&world).len(), 1);
}

#[test]
fn s0_33_an_email_is_required_on_whatsapp_and_a_company_never() {
    let mut world = World::new();
    let before = world.records();
    assert_eq!(world.says("jane", "/contact add Ann Lee phone=+4915112345678"), ["refusal(email-required)"]);
    assert_eq!(world.records(), before);
    assert_eq!(world.says("jane", ADD_ANN), ["answer contact-added"]);
}
