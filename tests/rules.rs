//! RULES.md, rule by rule, through the pure core: each test bears the number of what it proves.
mod common;
use common::story::{story, story_in};
use common::world::*;
use expect_test::expect;

#[test]
fn s0_19_s0_26_held_messages_go_out_in_order_when_the_client_answers() {
    story(expect![[r#"
        d1 09:00 jane: /contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp --room
                 -> room Ann Lee
                 -> Ann Lee: room_opened
                 -> whatsapp +4915112345678: <liaison_invitation>
                 -> jane: answer contact-added
        d1 09:01 jane in Ann Lee: Good morning Ann.
                 -> Ann Lee: held(consent)
                 -> whatsapp +4915112345678: <liaison_message_waiting>
        d1 09:02 jane in Ann Lee: Are you there?
                 -> Ann Lee: held(consent)
        d1 09:05 +4915112345678 taps consent:yes
                 -> Ann Lee: consent_yes
                 -> Ann Lee: released
                 -> whatsapp +4915112345678: welcome
                 -> whatsapp +4915112345678: Good morning Ann.
                 -> whatsapp +4915112345678: Are you there?
        d1 09:06 jane in Ann Lee: Welcome.
                 -> whatsapp +4915112345678: Welcome.
        d2 09:04 jane in Ann Lee: Are you still there?
                 -> Ann Lee: held(window)
                 -> whatsapp +4915112345678: <liaison_message_waiting>
        d2 10:00 +4915112345678: I am.
                 -> Ann Lee: client_message Ann Lee: I am.
                 -> Ann Lee: released
                 -> whatsapp +4915112345678: Are you still there?
    "#]]);
}
