//! Which adapter performs which effect: the one `match` that a new channel has to answer.
use crate::adapters::symphony::rest::Symphony;
use crate::adapters::twilio::Twilio;
use crate::adapters::vault::{Kept, Unreadable, Vault};
use crate::adapters::whatsapp::{Pace, WhatsApp, pair_of};
use crate::adapters::wording::Wording;
use crate::domain::effect::{Attempt, Body, Effect, GroupCall, LookUp, Outcome, Prepared, Send, Upload};
use crate::domain::ids::{Channel, EffectId, LineId};
use crate::domain::lane::Due;
use crate::domain::media::{Media, Source};
use crate::domain::time::{Span, Timestamp};
use crate::ports::disk::{DiskLevel, LOOK_AGAIN};
use crate::ports::{Later, Pacing, Performer};
use std::sync::{Arc, Mutex};

pub struct Switchboard {
    pub wording: Arc<Wording>,
    pub symphony: Arc<Symphony>,
    pub whatsapp: Option<Arc<WhatsApp>>,
    pub twilio: Option<Arc<Twilio>>,
    pub pace: Arc<Mutex<Pace>>,
    pub disk: Arc<DiskLevel>,
    pub vault: Arc<Vault>,
}

/// A template waits this long for the look at the account that every start begins with.
const TEMPLATES_SOON_KNOWN: Span = Span(200);
/// A lane whose line rests asks again after this at the latest: as soon as one message has shown that it works, the others
/// follow, although the next try would have been an hour later.
const LINE_LOOKED_AT: Span = Span::seconds(10);
/// The confirmation of a stop, which goes out whatever the state of the disk.
const OPTED_OUT: &str = "opted_out";

impl Performer for Switchboard {
    fn prepare(&self, id: &EffectId, effect: &Effect) -> Result<Prepared, String> {
        match effect {
            Effect::Post { reply, .. } => {
                let (markup, data) = self.wording.chat_in_any_case(reply, id.as_str());
                Ok(Prepared::Chat { markup, data })
            }
            Effect::Send(send) => self.wording.client(send.channel, &send.body),
            Effect::OpenRoom(_)
            | Effect::AddMember { .. }
            | Effect::RemoveMember { .. }
            | Effect::DemoteMember { .. }
            | Effect::RenameRoom(_)
            | Effect::DeactivateRoom { .. }
            | Effect::AcceptConnection { .. }
            | Effect::Fetch(_)
            | Effect::Upload(_)
            | Effect::Group(_)
            | Effect::FindUser { .. } => Ok(Prepared::Plain),
        }
    }

    fn perform<'a>(&'a self, id: &'a EffectId, effect: &'a Effect, prepared: &'a Prepared) -> Later<'a, Attempt> {
        Box::pin(async move {
            match (effect, prepared) {
                (Effect::Post { place, reply }, Prepared::Chat { markup, data }) => match self.read_all(&reply.files).await {
                    Ok(files) => self.symphony.post_with(id, place, markup, data, &files).await,
                    Err(why) => failed("file", &why.to_string()),
                },
                (Effect::Post { .. }, _) => failed("wording", "a line without words"),
                (Effect::Send(send), prepared) => match (send.channel, &self.whatsapp, &self.twilio) {
                    (Channel::WhatsApp, Some(whatsapp), _) => whatsapp.send(send, prepared).await,
                    (Channel::Sms, _, Some(twilio)) => twilio.send(send, prepared).await,
                    (Channel::WhatsApp, None, _) | (Channel::Sms, _, None) => channel_off(),
                },
                (Effect::Fetch(fetch), _) => self.fetch(&fetch.media).await,
                (Effect::Upload(upload), _) => match (upload.channel, &self.whatsapp, &self.twilio) {
                    (Channel::WhatsApp, Some(whatsapp), _) => whatsapp.upload(upload, &self.vault).await,
                    (Channel::Sms, _, Some(twilio)) => twilio.upload(upload, &self.vault).await,
                    (Channel::WhatsApp, None, _) | (Channel::Sms, _, None) => channel_off(),
                },
                (Effect::OpenRoom(room), _) => self.symphony.open_room(room).await,
                (Effect::AddMember { stream, user, owner }, _) => self.symphony.add_member(stream, *user, *owner).await,
                (Effect::RemoveMember { stream, user }, _) => self.symphony.remove_member(stream, *user).await,
                (Effect::DemoteMember { stream, user }, _) => self.symphony.demote_member(stream, *user).await,
                (Effect::RenameRoom(rename), _) => self.symphony.rename_room(&rename.stream, &rename.name).await,
                (Effect::DeactivateRoom { stream }, _) => self.symphony.deactivate(stream).await,
                (Effect::AcceptConnection { user }, _) => self.symphony.accept_connection(*user).await,
                (Effect::Group(act), _) => match (&self.whatsapp, &act.call) {
                    (Some(whatsapp), GroupCall::Picture { group, file }) => {
                        whatsapp.picture(&act.line, group, file, &self.vault).await
                    }
                    (Some(whatsapp), _) => whatsapp.group(act).await,
                    (None, _) => channel_off(),
                },
                (Effect::FindUser { user, .. }, _) => self.symphony.find_user(*user).await,
            }
        })
    }

    fn look_up<'a>(&'a self, due: &'a Due) -> Later<'a, LookUp> {
        Box::pin(async move {
            match &due.effect {
                Effect::Post { place, .. } => self.symphony.find_posted(place, &due.id).await,
                Effect::OpenRoom(room) => self.symphony.find_room(room).await,
                Effect::Send(send) => self.find_sent(send, due.tried_since).await,
                // It may have been asked for, and asking again could make a second group. Done without an id of the request
                // says so; whether the group came to be, the domain finds out by `GroupCall::Find`.
                Effect::Group(act) if matches!(act.call, GroupCall::Create { .. }) => LookUp::Found { external_id: None },
                // Doing these twice is as good as once.
                Effect::AddMember { .. }
                | Effect::RemoveMember { .. }
                | Effect::DemoteMember { .. }
                | Effect::RenameRoom(_)
                | Effect::DeactivateRoom { .. }
                | Effect::AcceptConnection { .. }
                | Effect::Fetch(_)
                | Effect::Upload(_)
                | Effect::Group(_)
                | Effect::FindUser { .. } => LookUp::Absent,
            }
        })
    }
}

impl Pacing for Switchboard {
    fn may_go(&self, effect: &Effect, now: Timestamp) -> Result<(), Timestamp> {
        match effect {
            Effect::Send(send) => self.message_may_go(send, now),
            Effect::Upload(Upload { channel: Channel::WhatsApp, line, .. }) => {
                self.whatsapp.as_ref().map_or(Ok(()), |whatsapp| works(whatsapp, line, now))
            }
            // Nothing leaves: Twilio comes for the file.
            Effect::Upload(Upload { channel: Channel::Sms, .. }) => Ok(()),
            Effect::Group(act) => self.whatsapp.as_ref().map_or(Ok(()), |whatsapp| works(whatsapp, &act.line, now)),
            Effect::Post { .. }
            | Effect::OpenRoom(_)
            | Effect::AddMember { .. }
            | Effect::RemoveMember { .. }
            | Effect::DemoteMember { .. }
            | Effect::RenameRoom(_)
            | Effect::DeactivateRoom { .. }
            | Effect::AcceptConnection { .. }
            | Effect::Fetch(_)
            | Effect::FindUser { .. } => Ok(()),
        }
    }
}

impl Switchboard {
    async fn fetch(&self, media: &Media) -> Attempt {
        // What follows a message needs what room there is; the file is where it was a while longer.
        if self.disk.starts_no_sends() {
            let not_before = self.symphony.now() + LOOK_AGAIN;
            return Attempt::NotYet { why: "the disk of the data folder is nearly full".to_owned(), not_before };
        }
        match &media.source {
            Source::Client { line, id } => match (line.channel(), &self.whatsapp, &self.twilio) {
                (Channel::WhatsApp, Some(whatsapp), _) => whatsapp.fetch(line, id, media, &self.vault).await,
                (Channel::Sms, _, Some(twilio)) => twilio.fetch(id, media, &self.vault).await,
                (Channel::WhatsApp, None, _) | (Channel::Sms, _, None) => channel_off(),
            },
            Source::Chat { stream, message, file } => {
                self.symphony.fetch(stream, message.as_str(), file, media, &self.vault).await
            }
        }
    }

    /// Nobody lists what was sent by WhatsApp; a status that carries our id tells, or nobody does.
    async fn find_sent(&self, send: &Send, taken: Option<Timestamp>) -> LookUp {
        match (send.channel, &self.twilio, taken, self.wording.client(send.channel, &send.body)) {
            (Channel::Sms, Some(twilio), Some(taken), Ok(prepared)) => twilio.look_up(send, &prepared, taken).await,
            (Channel::WhatsApp | Channel::Sms, ..) => LookUp::Unclear,
        }
    }

    async fn read_all(&self, files: &[Media]) -> Result<Vec<Kept>, Unreadable> {
        let mut kept = Vec::with_capacity(files.len());
        for file in files {
            kept.push(self.vault.read(file).await?);
        }
        Ok(kept)
    }

    /// The line works, the disk has room for what will follow, and it is not too fast. Only what goes is booked.
    fn message_may_go(&self, send: &Send, now: Timestamp) -> Result<(), Timestamp> {
        if self.disk.starts_no_sends() && !confirms_a_stop(&send.body) {
            return Err(now + LOOK_AGAIN);
        }
        match (send.channel, &self.twilio) {
            (Channel::WhatsApp, _) => self.whatsapp_may_go(send, now),
            (Channel::Sms, Some(twilio)) => twilio.may_go(&send.line, now).map_err(|next_try| next_try.min(now + LINE_LOOKED_AT)),
            // It fails at once, and that is told.
            (Channel::Sms, None) => Ok(()),
        }
    }

    fn whatsapp_may_go(&self, send: &Send, now: Timestamp) -> Result<(), Timestamp> {
        let unknown = self.whatsapp.as_ref().is_some_and(|whatsapp| !whatsapp.templates_are_known());
        if unknown && matches!(send.body, Body::Template { .. }) {
            return Err(now + TEMPLATES_SOON_KNOWN);
        }
        let health = self.whatsapp.as_ref().map(|whatsapp| whatsapp.health());
        // Under this lock only one message becomes the one that tries a line which stopped.
        let mut pace = self.pace.lock().expect("nobody panics with the pace in hand");
        if let Some(whatsapp) = &self.whatsapp {
            works(whatsapp, &send.line, now)?;
        }
        pace.may_go(send.line.as_str(), pair_of(send), now)?;
        if let Some(health) = health {
            health.begins(&send.line, now);
        }
        Ok(())
    }
}

/// The line works, or this is the message that tries it.
fn works(whatsapp: &WhatsApp, line: &LineId, now: Timestamp) -> Result<(), Timestamp> {
    whatsapp.health().may_go(line, now).map_err(|next_try| next_try.min(now + LINE_LOOKED_AT))
}

fn channel_off() -> Attempt {
    failed("channel-off", "this channel is not set up")
}

fn confirms_a_stop(body: &Body) -> bool {
    matches!(body, Body::Wording { name, .. } if name == OPTED_OUT)
}

fn failed(code: &str, detail: &str) -> Attempt {
    Attempt::Ended(Outcome::Failed { code: code.to_owned(), detail: detail.to_owned() })
}
