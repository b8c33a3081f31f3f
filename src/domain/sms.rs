//! What is different on SMS: who must say yes first, the question by text, the welcome at onboarding, and who confirms a stop.
use super::ask::About;
use super::commit::Entry;
use super::consent::{Consent, Turn};
use super::contact::Contact;
use super::effect::{Body, Code, Place, Reply};
use super::event::{ClientMessage, Content};
use super::ids::*;
use super::message::Message;
use super::outbox::NOT_ON_WHATSAPP;
use super::policy::{KeywordReplies, OPT_IN, Policy, SmsConsent, SmsWelcome};
use super::region;
use super::relay;
use super::room::Room;
use super::saying::{self, Asking, ask_client, say_to_client, wording_body};
use super::scene::{PROGRAM, Scene};
use super::sending::{self};
use super::time::Span;
use super::words::Words;
use serde_json::json;

/// A confirmation of a stop later than this would count as another message (47 CFR 64.1200(a)(12)).
pub const CONFIRMATION_WITHIN: Span = Span::minutes(5);
/// Answers that nobody asked an advisor for go to one client at most once in this time: two robots would never end.
pub const ANSWERED_BY_ITSELF_EVERY: Span = Span::hours(24);

/// Whether this contact must have said yes before anybody's own words may reach him: on SMS only where the firm or the law
/// of his country asks for it (S2-6, S2-8, S3-1).
pub fn must_agree_first(policy: &Policy, contact: &Contact, channel: Channel) -> bool {
    match (channel, policy.sms_consent) {
        (Channel::WhatsApp, _) | (Channel::Sms, SmsConsent::All) => true,
        (Channel::Sms, SmsConsent::Nobody) => false,
        (Channel::Sms, SmsConsent::Us) => contact.phone.as_ref().is_none_or(region::is_us_based),
    }
}

/// He has agreed, or nobody has to ask him.
pub fn is_willing(policy: &Policy, contact: &Contact, channel: Channel) -> bool {
    match contact.consent(channel) {
        Consent::OptedIn { .. } => true,
        Consent::None => !must_agree_first(policy, contact, channel),
        Consent::Pending { .. } | Consent::OptedOut { .. } | Consent::Review { .. } | Consent::Unreachable { .. } => false,
    }
}

// ---- the question (S2-6)

/// The first text of an advisor asks the client at once, and no advisor before: it is the law's question, not his.
pub fn ask_by_text(scene: &mut Scene, contact: &ContactId, line: &LineId, room: Option<RoomKey>, author: UserId) {
    let unasked = scene.contact(contact).is_some_and(|contact| contact.consent(Channel::Sms) == Consent::None);
    if unasked {
        let attested = "wrote the first text to this client, which asks him for consent";
        ask_client(scene, Asking { contact, channel: Channel::Sms, line, room, by: author, actor: author, attested });
    }
}

// ---- the welcome (S2-3, S2-15)

/// Once on each line: it says who writes from this number, and how to stop.
pub fn welcome(scene: &mut Scene, id: &ContactId, room: &Room) {
    let Some(mut contact) = scene.contact(id) else { return };
    let willing = is_willing(scene.policy, &contact, Channel::Sms);
    let may_be_welcomed =
        matches!(contact.consent(Channel::Sms), Consent::None | Consent::Pending { .. } | Consent::OptedIn { .. });
    let may = match scene.policy.sms_welcome {
        SmsWelcome::Always => may_be_welcomed,
        SmsWelcome::AfterConsent => willing,
    };
    if !may || contact.blocked.is_some() || !contact.on_mut(Channel::Sms).welcomed.insert(room.line.clone()) {
        return;
    }
    scene.put(&contact);
    let agreed = if contact.consent(Channel::Sms).is_opted_in() { "true" } else { "false" };
    let body = wording_body(scene, &contact, Some(&room.key), "welcome", &[("agreed", agreed)]);
    say_to_client(scene, id, Channel::Sms, &room.line, Some(room.key.clone()), "welcome", body);
}

/// What is said after a yes: the welcome where it has not been said yet.
pub fn after_a_yes(scene: &mut Scene, contact: &mut Contact, line: &LineId) -> &'static str {
    let first_time = contact.on_mut(Channel::Sms).welcomed.insert(line.clone());
    scene.put(contact);
    if first_time { "welcome" } else { "opted_in" }
}

// ---- instead of WhatsApp

/// S3-10: the card that says that somebody is not on WhatsApp, and offers SMS; with what waited there.
pub fn offer(scene: &mut Scene, room: Option<&RoomKey>, contact: &ContactId, waited: Vec<MessageId>) -> Reply {
    let asked_by = scene.contact(contact).and_then(|c| c.on(Channel::WhatsApp).asked_by);
    let place = room.cloned().map(Place::Room).or(asked_by.map(Place::Direct));
    let place = place.unwrap_or(Place::Direct(UserId(0)));
    let ask = scene.new_ask(None, &place, About::SmsOffer { contact: contact.clone(), waited }, Some(contact));
    scene.put(&ask);
    let name = sending::contact_name(scene, room, contact);
    Reply::new(Code::NotOnWhatsapp, "not-on-whatsapp").about(contact).because(NOT_ON_WHATSAPP).asking(&ask.id).with("name", name)
}

// ---- who answers STOP, START and HELP

/// The provider has answered these words by itself; a second answer would be one too many, and refused after a stop.
pub fn provider_has_answered(policy: &Policy, said: &ClientMessage) -> bool {
    let provider_answers = said.channel == Channel::Sms && policy.keyword_replies == KeywordReplies::Provider;
    provider_answers
        && match &said.content {
            Content::Text(text) => Words::the_provider_answers(text).is_some(),
            // The provider named the kind of word itself: it has its own lists.
            Content::Button { .. } => true,
            Content::Media(_) | Content::Other { .. } | Content::Sign { .. } => false,
        }
}

/// Twilio's code for a client who told the provider to stop; it may come at once or as a status later.
pub const OPTED_OUT_AT_PROVIDER: &str = "21610";

/// The provider knows of a stop that we never heard of: it counts as if the client had said it to us, without an answer,
/// which the provider would refuse as well.
pub fn opted_out_at_provider(scene: &mut Scene, message: &Message) {
    let Some(mut contact) = scene.contact(&message.contact) else { return };
    let evidence = json!({ "actor": PROGRAM, "message": message.id, "code": OPTED_OUT_AT_PROVIDER });
    let now = scene.now;
    if !scene.turn_consent(&mut contact, Channel::Sms, Turn::Stop, now, evidence) {
        return;
    }
    sending::withdraw_everything(scene, &contact, Channel::Sms, "consent");
    let rooms: Vec<Room> = contact.rooms.iter().filter_map(|key| scene.room(key)).collect();
    for room in rooms.into_iter().filter(|room| room.is_live() && room.channel == Channel::Sms) {
        let name = sending::contact_name(scene, Some(&room.key), &contact.id);
        let reply = Reply::new(Code::ConsentNo, "consent-no").about(&contact.id).because(OPTED_OUT_AT_PROVIDER);
        let reply = reply.with("name", name).with("word", "provider").with("channel", Channel::Sms.name());
        scene.post(Place::Room(room.key), reply.with("text", "").with("waiting", 0));
    }
}

// ---- whom nobody can answer

/// Robots that no client stands behind: one of our own numbers, or a sender without a number. True where that was all.
pub fn is_no_client(scene: &mut Scene, said: &ClientMessage) -> bool {
    let own = scene.policy.lines.iter().any(|line| Some(&line.number) == said.from.phone.as_ref());
    if own && said.channel == Channel::Sms {
        scene.note(Entry::new("client.is_our_line", PROGRAM).detail(json!({ "line": said.line, "message": said.id })));
        return true;
    }
    if said.from.is_nobody() {
        relay::park(scene, said, "the sender has no number that could be answered");
        return true;
    }
    false
}

/// Whether something may be said to him by itself now; if so it counts.
pub fn may_answer_by_itself(scene: &mut Scene, contact: &mut Contact) -> bool {
    let now = scene.now;
    let on = contact.on_mut(Channel::Sms);
    if on.answered_at.is_some_and(|last| now < last + ANSWERED_BY_ITSELF_EVERY) {
        return false;
    }
    on.answered_at = Some(now);
    scene.put(contact);
    true
}

pub fn is_set_up(policy: &Policy) -> bool {
    policy.lines_of(Channel::Sms).next().is_some()
}

/// What the client is asked, as the evidence keeps it.
pub fn question(scene: &Scene, contact: &Contact, room: Option<&RoomKey>, by: Option<UserId>) -> Body {
    let vars = saying::variables(scene, contact, room, by);
    Body::Wording { name: OPT_IN.to_owned(), language: scene.policy.language(&contact.language).to_owned(), vars }
}
