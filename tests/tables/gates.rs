//! The gate: each one's verdict in each case, and their order.
use crate::common::world::*;
use liaison::domain::consent::Consent;
use liaison::domain::contact::Contact;
use liaison::domain::entitlement::Rights;
use liaison::domain::gates::{GATES, Subject, Verdict, all_verdicts, first_objection};
use liaison::domain::ids::*;
use liaison::domain::policy::{Policy, QuietHours, SmsConsent};
use liaison::domain::room::{Room, RoomState};
use liaison::domain::time::{Span, Timestamp};
use liaison::domain::window::Window;

/// A message that every gate lets pass, to be spoiled.
struct Stage {
    now: Timestamp,
    policy: Policy,
    author: UserId,
    rights: Rights,
    contact: Contact,
    room: Option<Room>,
    channel: Channel,
    free_text: bool,
}

impl Stage {
    fn new() -> Stage {
        let world = World::agreed(|_| {});
        let policy = policy();
        let rights = policy.advisors["jane.doe@acme.com"].clone();
        let (contact, room) = (world.contact(ANN), Some(world.room("Ann Lee")));
        Stage { now: world.now, policy, author: UserId(1), rights, contact, room, channel: Channel::WhatsApp, free_text: true }
    }
    fn subject<'s>(&'s self, line: &'s LineId) -> Subject<'s> {
        Subject {
            now: self.now,
            policy: &self.policy,
            author: self.author,
            rights: &self.rights,
            contact: &self.contact,
            room: self.room.as_ref(),
            channel: self.channel,
            line,
            free_text: self.free_text,
        }
    }
    fn objection(&self) -> Option<(&'static str, Verdict)> {
        first_objection(&self.subject(&LineId::new(LINE)))
    }
    fn verdict(&self, gate: &str) -> Verdict {
        let all = all_verdicts(&self.subject(&LineId::new(LINE)));
        all.into_iter().find(|(id, _)| *id == gate).expect("a gate").1
    }
    fn consent(&mut self, consent: Consent) {
        self.contact.on_mut(self.channel).consent = consent;
    }
}

type Spoil = fn(&mut Stage);

/// In order: each gate with one way to fail it, and what it then says.
const FAILURES: [(&str, Spoil, Verdict); 9] = [
    ("entitled", |stage| stage.rights.channels.clear(), Verdict::Refuse),
    ("sub_org", |stage| stage.rights.sub_org = "Retail".to_owned(), Verdict::Refuse),
    ("blocked", |stage| stage.contact.blocked = Some("spam".to_owned()), Verdict::Refuse),
    ("address", |stage| stage.contact.phone = None, Verdict::Refuse),
    ("consent", |stage| stage.consent(Consent::OptedOut { at: Timestamp(0) }), Verdict::Refuse),
    ("membership", |stage| stage.author = UserId(2), Verdict::Refuse),
    ("room", |stage| stage.room.as_mut().unwrap().state = RoomState::Deactivated, Verdict::Refuse),
    ("quiet_hours", |stage| stage.policy.quiet_hours = Some(QuietHours { open_from: 1_200, open_until: 1_260 }), Verdict::Hold),
    ("window", |stage| stage.contact.on_mut(Channel::WhatsApp).windows.clear(), Verdict::Hold),
];

#[test]
fn they_are_asked_in_this_order() {
    assert_eq!(GATES.map(|gate| gate.id), FAILURES.map(|(id, _, _)| id));
    assert_eq!(Stage::new().objection(), None);
}

#[test]
fn of_two_that_fail_the_first_gives_the_name() {
    for (first, (id, spoil, verdict)) in FAILURES.iter().enumerate() {
        for (_, spoil_too, _) in &FAILURES[first..] {
            let mut stage = Stage::new();
            spoil_too(&mut stage);
            spoil(&mut stage);
            assert_eq!(stage.objection(), Some((*id, *verdict)));
        }
    }
}

#[test]
fn entitled_asks_for_the_channel() {
    for (held, asked, verdict) in [
        (Channel::WhatsApp, Channel::WhatsApp, Verdict::Pass),
        (Channel::Sms, Channel::Sms, Verdict::Pass),
        (Channel::Sms, Channel::WhatsApp, Verdict::Refuse),
        (Channel::WhatsApp, Channel::Sms, Verdict::Refuse),
    ] {
        let mut stage = Stage::new();
        stage.rights.channels.retain(|channel, _| *channel == held);
        stage.channel = asked;
        assert_eq!(stage.verdict("entitled"), verdict, "holds {held:?}, asks {asked:?}");
    }
}

#[test]
fn consent_by_state_for_text_and_template() {
    let before = || Box::new(Consent::OptedIn { at: Timestamp(0) });
    let rows = [
        (Consent::None, Verdict::Hold),
        (Consent::Pending { asked_at: Timestamp(0), asked_before: None }, Verdict::Hold),
        (Consent::OptedIn { at: Timestamp(0) }, Verdict::Pass),
        (Consent::OptedOut { at: Timestamp(0) }, Verdict::Refuse),
        (Consent::Review { since: Timestamp(0), said_at: Timestamp(0), before: before() }, Verdict::Hold),
        (Consent::Unreachable { since: Timestamp(0), before: before() }, Verdict::Refuse),
    ];
    for (consent, verdict) in rows {
        for free_text in [true, false] {
            for channel in Channel::ALL {
                let mut stage = Stage::new();
                (stage.channel, stage.free_text) = (channel, free_text);
                stage.policy.sms_consent = SmsConsent::All;
                stage.consent(consent.clone());
                assert_eq!(stage.verdict("consent"), verdict, "{} {channel:?} free_text={free_text}", consent.name());
                let address = if consent.is_unreachable() { Verdict::Refuse } else { Verdict::Pass };
                assert_eq!(stage.verdict("address"), address, "{}", consent.name());
            }
        }
    }
}

#[test]
fn the_consent_of_one_channel_says_nothing_of_the_other() {
    let mut stage = Stage::new();
    stage.channel = Channel::Sms;
    stage.policy.sms_consent = SmsConsent::All;
    assert_eq!(stage.verdict("consent"), Verdict::Hold);
}

#[test]
fn s2_8_who_must_agree_first_on_sms_by_policy_and_number() {
    let (german, american, canadian) = ("+4915112345678", "+12125550100", "+14165550100");
    for (policy, number, verdict) in [
        (SmsConsent::Us, american, Verdict::Hold),
        (SmsConsent::Us, german, Verdict::Pass),
        (SmsConsent::Us, canadian, Verdict::Pass),
        (SmsConsent::All, american, Verdict::Hold),
        (SmsConsent::All, german, Verdict::Hold),
        (SmsConsent::Nobody, american, Verdict::Pass),
        (SmsConsent::Nobody, german, Verdict::Pass),
    ] {
        let mut stage = Stage::new();
        stage.policy.sms_consent = policy;
        stage.contact.phone = Phone::from_e164(number);
        stage.channel = Channel::Sms;
        stage.consent(Consent::None);
        assert_eq!(stage.verdict("consent"), verdict, "{policy:?} {number}");
        // A no holds under every policy, and WhatsApp always asks.
        stage.consent(Consent::OptedOut { at: Timestamp(0) });
        assert_eq!(stage.verdict("consent"), Verdict::Refuse, "{policy:?} {number}");
        stage.channel = Channel::WhatsApp;
        stage.consent(Consent::None);
        assert_eq!(stage.verdict("consent"), Verdict::Hold, "{policy:?} {number}");
    }
}

#[test]
fn address_is_a_number_or_a_user_id() {
    for (phone, user_id, verdict) in
        [(true, false, Verdict::Pass), (false, true, Verdict::Pass), (true, true, Verdict::Pass), (false, false, Verdict::Refuse)]
    {
        let mut stage = Stage::new();
        stage.contact.phone = stage.contact.phone.filter(|_| phone);
        stage.contact.user_id = user_id.then(|| "US.1".to_owned());
        assert_eq!(stage.verdict("address"), verdict);
    }
}

#[test]
fn membership_asks_for_the_author_and_the_contact() {
    let mut stage = Stage::new();
    assert_eq!(stage.verdict("membership"), Verdict::Pass);
    stage.room.as_mut().unwrap().contacts.clear();
    assert_eq!(stage.verdict("membership"), Verdict::Refuse, "the contact is not in it");
    stage.room = None;
    assert_eq!(stage.verdict("membership"), Verdict::Refuse, "no room");
    assert_eq!(stage.verdict("sub_org"), Verdict::Pass, "without a room there is no other sub-organisation");
}

#[test]
fn room_by_state() {
    for (state, verdict) in [
        (RoomState::Opening, Verdict::Pass),
        (RoomState::Active, Verdict::Pass),
        (RoomState::Failed, Verdict::Refuse),
        (RoomState::Deactivated, Verdict::Refuse),
    ] {
        let mut stage = Stage::new();
        stage.room.as_mut().unwrap().state = state;
        assert_eq!(stage.verdict("room"), verdict, "{state:?}");
    }
}

#[test]
fn quiet_hours_hold_texts_and_templates_alike() {
    let hours = QuietHours { open_from: 8 * 60, open_until: 21 * 60 };
    for (minutes, verdict) in [
        (0, Verdict::Hold),
        (8 * 60 - 1, Verdict::Hold),
        (8 * 60, Verdict::Pass),
        (21 * 60 - 1, Verdict::Pass),
        (21 * 60, Verdict::Hold),
        (24 * 60 - 1, Verdict::Hold),
    ] {
        for free_text in [true, false] {
            let mut stage = Stage::new();
            // Ann's number is German: the minutes are those of Berlin in winter.
            stage.now = MIDNIGHT + Span::minutes(minutes) - Span::hours(1);
            stage.free_text = free_text;
            assert_eq!(stage.verdict("quiet_hours"), Verdict::Pass, "off by default");
            stage.policy.quiet_hours = Some(hours);
            assert_eq!(stage.verdict("quiet_hours"), verdict, "minute {minutes}");
        }
    }
}

#[test]
fn window_binds_free_text_on_whatsapp_only() {
    let open = Window { last_message: Some(MIDNIGHT + Span::hours(9)), refused: None };
    for (channel, free_text, window, verdict) in [
        (Channel::WhatsApp, true, Some(open), Verdict::Pass),
        (Channel::WhatsApp, true, None, Verdict::Hold),
        (Channel::WhatsApp, false, Some(open), Verdict::Pass),
        (Channel::WhatsApp, false, None, Verdict::Pass),
        (Channel::Sms, true, None, Verdict::Pass),
        (Channel::Sms, false, None, Verdict::Pass),
    ] {
        let mut stage = Stage::new();
        (stage.channel, stage.free_text) = (channel, free_text);
        let windows = &mut stage.contact.on_mut(Channel::WhatsApp).windows;
        windows.clear();
        windows.extend(window.map(|window| (LineId::new(LINE), window)));
        assert_eq!(stage.verdict("window"), verdict, "{channel:?} free_text={free_text}");
    }
}

#[test]
fn the_window_of_one_line_is_not_that_of_another() {
    let stage = Stage::new();
    let other = LineId::new("200");
    assert_eq!(first_objection(&stage.subject(&other)), Some(("window", Verdict::Hold)));
}
