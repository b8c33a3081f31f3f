//! RULES, Identity: the same client in whatever writing of his number WhatsApp or an advisor uses.
use crate::common::world::*;
use liaison::domain::contact::Contact;
use liaison::domain::effect::Outcome;
use liaison::domain::event::ClientKeys;
use liaison::domain::phone::canonical;
use liaison::domain::time::Span;

/// As dialled, and as the webhooks of WhatsApp write it.
const WRITTEN: [(&str, &str); 3] =
    [("+5511987654321", "+551187654321"), ("+5491112345678", "+541112345678"), ("+525512345678", "+5215512345678")];

fn contacts(world: &World) -> usize {
    world.all::<Contact>("contact/").len()
}

fn add(number: &str) -> String {
    format!("/contact add Ann Lee phone={number} email=ann@lee.de channel=whatsapp --room")
}

#[test]
fn identity_a_client_is_the_same_in_both_writings_of_his_number() {
    for (dialled, written) in WRITTEN.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
        let mut world = World::new();
        world.says("jane", &add(dialled));
        assert_eq!(world.client(written).taps("consent:yes"), ["welcome"], "{dialled}");
        world.in_room("Ann Lee").says("jane", "Good morning");
        // Mexico has dropped its 1: nobody can dial it any more.
        let dials = canonical(dialled, "US").unwrap();
        assert_eq!(
            world.sent_to(dials.e164()).last().map(String::as_str),
            Some("Good morning"),
            "to the number as it was dialled"
        );
        assert_eq!(contacts(&world), 1, "{dialled}");
        assert_eq!(world.says("jane", &add(written)), ["refusal(already-yours)"], "{dialled}");
        world.says("jane", &format!("/window {written}"));
        assert_eq!(world.last_told("jane"), "answer window");
    }
}

#[test]
fn identity_a_client_who_wrote_first_is_found_by_the_number_as_it_is_dialled() {
    for (dialled, written) in WRITTEN {
        let mut world = World::new();
        world.client(written).writes("Hello");
        world.says("jane", &add(dialled));
        assert_eq!(contacts(&world), 1, "{dialled}");
    }
}

#[test]
fn identity_another_number_is_another_client() {
    let mut world = World::new();
    world.says("jane", &add("+5511932345678"));
    world.client("+551132345678").writes("a landline of eight digits");
    assert_eq!(contacts(&world), 2);
}

#[test]
fn identity_the_id_that_whatsapp_answers_a_send_with_is_learnt() {
    let mut world = World::new();
    world.outbox_stands = true;
    world.says("jane", &format!("{ADD_ANN} --room"));
    let taken = world.take_only().unwrap();
    world.ends(&taken, Outcome::Done { external_id: Some("wamid.1\n990001".to_owned()) });
    assert_eq!(world.contact(ANN).wa_id.as_deref(), Some("990001"));
    assert_eq!(world.message("<liaison_invitation>").wamid.unwrap().0, "wamid.1");
    world.outbox_stands = false;
    let keys = ClientKeys { wa_id: Some("990001".to_owned()), ..ClientKeys::default() };
    world.client(ANN).with_keys(keys).taps("consent:yes");
    assert_eq!(world.consent(ANN).name(), "OPTED_IN");
    assert_eq!(contacts(&world), 1);
}

#[test]
fn identity_a_number_handed_on_leads_to_the_old_client_in_neither_writing() {
    let (dialled, written) = WRITTEN[0];
    let mut world = World::new();
    world.says("jane", &add(dialled));
    for number in [dialled, written, dialled] {
        let keys = ClientKeys { user_id: Some("BR.1".to_owned()), ..keys_of(number) };
        world.client(number).with_keys(keys).writes("It is me");
    }
    world.passes(Span::minutes(1));
    let stranger = |number: &str| ClientKeys { user_id: Some("BR.2".to_owned()), ..keys_of(number) };
    world.client(written).with_keys(stranger(written)).writes("I have this number now");
    assert_eq!(contacts(&world), 2);
    world.client(dialled).with_keys(stranger(dialled)).writes("and in this writing");
    assert_eq!(contacts(&world), 2);
    let old = world.all::<Contact>("contact/").into_iter().find(|contact| contact.email.is_some()).unwrap();
    assert_eq!((old.phone, old.wa_id), (None, None));
}
