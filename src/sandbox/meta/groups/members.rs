//! What clients do with groups on their phones: ask to join, leave, write, and what they see.
use super::super::phones::{known_phone, may_write, unwritten};
use super::super::shapes as messages;
use super::super::world::{Outgoing, Phone, Record, Status, World};
use super::super::{Inner, Meta};
use super::acts::Twisted;
use super::{Group, GroupMessage, Standing, shapes};
use crate::sandbox::group_views::{GroupMemberView, GroupMessageView, GroupView, NoEntry};
use crate::sandbox::views::Given;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

const FIELD: &str = "group_participants_update";

impl Meta {
    /// Whether the firm is eligible for groups; where it is not, every call is refused with 131215.
    pub fn groups_are_for_the_firm(&self, eligible: bool) {
        self.inner.habits().groups = eligible;
    }

    /// WhatsApp suspends a group of the firm, or lets it go on.
    ///
    /// # Errors
    /// A sentence, if there is no such group.
    pub fn suspend_group(&self, id: &str, suspended: bool) -> Result<(), String> {
        self.inner.suspend(id, suspended).map_err(|error| error.details)
    }

    /// The same with all groups of the firm.
    ///
    /// # Errors
    /// A sentence, if the journal cannot be written.
    pub fn suspend_groups(&self, suspended: bool) -> Result<(), String> {
        let living: Vec<String> = {
            let world = self.inner.world();
            world.groups.all.values().filter(|group| !group.over).map(|group| group.id.clone()).collect()
        };
        living.iter().try_for_each(|id| self.suspend_group(id, suspended))
    }

    /// The groups that a phone has to do with or had, the newest first.
    pub fn groups_of(&self, number: &str) -> Vec<GroupView> {
        let world = self.inner.world();
        let Ok(phone) = known_phone(&world, number) else { return Vec::new() };
        let mut groups: Vec<&Group> =
            world.groups.all.values().filter(|group| group.people.contains_key(&phone.number)).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.created_at));
        groups.into_iter().map(|group| self.inner.group_view(&world, group, &phone)).collect()
    }

    /// The client follows a link: he asks to join, or is in at once where nobody needs to let him in.
    ///
    /// # Errors
    /// What WhatsApp would show him: the link is void, the group full, or he was taken out of it.
    pub fn follow_link(&self, number: &str, link: &str) -> Result<GroupView, NoEntry> {
        self.inner.follow_link(number, link)
    }

    /// The client leaves a group, or takes his request to join back.
    ///
    /// # Errors
    /// A sentence, if he is not in it.
    pub fn leave_group(&self, number: &str, group: &str) -> Result<GroupView, String> {
        self.inner.leave_group(number, group)
    }

    /// A member writes into a group, perhaps quoting a message of it.
    ///
    /// # Errors
    /// A sentence: not in the group, suspended, nothing to say, or nothing to quote.
    pub fn write_in_group(
        &self,
        number: &str,
        group: &str,
        text: &str,
        quoted: Option<&str>,
    ) -> Result<GroupMessageView, String> {
        super::super::phones::check_text(text)?;
        self.inner.say_in_group(number, group, ("text", json!({ "body": text })), quoted)
    }

    /// A member sends a file into a group, as in [`Meta::send_file`].
    ///
    /// # Errors
    /// A sentence, as for [`Meta::keep_media`] and [`Meta::write_in_group`].
    pub fn send_file_in_group(
        &self,
        number: &str,
        group: &str,
        kind: &str,
        given: Given,
        caption: Option<&str>,
    ) -> Result<GroupMessageView, String> {
        let name = Some(given.name.as_str()).filter(|name| !name.is_empty());
        let mut content = json!({"id": self.keep_media(&given.mime, name, given.bytes)?});
        if let Some(caption) = caption.filter(|caption| !caption.is_empty()) {
            content["caption"] = caption.into();
        }
        self.send_raw_in_group(number, group, kind, content)
    }

    /// A member sends something else, as in [`Meta::send_raw`].
    ///
    /// # Errors
    /// A sentence, as for [`Meta::write_in_group`].
    pub fn send_raw_in_group(&self, number: &str, group: &str, kind: &str, content: Value) -> Result<GroupMessageView, String> {
        let content = self.inner.completed(kind, content);
        self.inner.say_in_group(number, group, (kind, content), None)
    }
}

impl Inner {
    fn follow_link(&self, number: &str, link: &str) -> Result<GroupView, NoEntry> {
        const NEWEST: &str = "Take the newest link that this phone got.";
        const FOR_EVER: &str = "No link lets this phone in again: the firm has to make another group.";
        const IN_IT: &str = "Choose the group among the phone's conversations.";
        const LATER: &str = "Try again when WhatsApp lets the group go on.";
        const NO_PLACE: &str = "Try again when somebody has left it.";
        let mut world = self.world();
        let phone = known_phone(&world, number)?;
        may_write(&world, &phone)?;
        let group = world
            .groups
            .by_link(link)
            .cloned()
            .ok_or_else(|| NoEntry::new("This invite link does not work any more.", NEWEST))?;
        let group = match group.people.get(&phone.number) {
            Some(Standing::Removed) => {
                return Err(NoEntry::new("You cannot join this group: you were removed from it.", FOR_EVER));
            }
            Some(Standing::In) => return Err(NoEntry::new("You are in this group already.", IN_IT)),
            Some(Standing::Asked { .. }) => group,
            Some(Standing::Left) | None if group.suspended => return Err(NoEntry::new("This group is not available.", LATER)),
            Some(Standing::Left) | None if group.approval => self.asks(&mut world, &group, &phone)?,
            Some(Standing::Left) | None if group.is_full() => return Err(NoEntry::new("This group is full.", NO_PLACE)),
            Some(Standing::Left) | None => {
                self.stands(&mut world, group.with(&phone.number, Standing::In), &shapes::joined(&phone))?
            }
        };
        Ok(self.group_view(&world, &group, &phone))
    }

    fn asks(&self, world: &mut World, group: &Group, phone: &Phone) -> Result<Group, String> {
        // WhatsApp names a request by who asks and for which group, each time alike.
        let request = STANDARD_NO_PAD.encode(format!("{}:{}", phone.wa_id(), group.number));
        let told = shapes::join_request("created", &request, phone);
        self.stands(world, group.with(&phone.number, Standing::Asked { request, at: (self.now)() }), &told)
    }

    fn leave_group(&self, number: &str, id: &str) -> Result<GroupView, String> {
        let mut world = self.world();
        let phone = known_phone(&world, number)?;
        let mut group = world.groups.living(id).map_err(|_| "There is no such group on this phone.")?.clone();
        let told = match group.people.get(&phone.number).cloned() {
            Some(Standing::In) => {
                group.people.insert(phone.number.clone(), Standing::Left);
                shapes::left(&phone)
            }
            Some(Standing::Asked { request, .. }) => {
                group.people.remove(&phone.number);
                shapes::join_request("revoked", &request, &phone)
            }
            Some(Standing::Left | Standing::Removed) | None => return Err("You are not in this group.".into()),
        };
        let group = self.stands(&mut world, group, &told)?;
        Ok(self.group_view(&world, &group, &phone))
    }

    fn stands(&self, world: &mut World, group: Group, told: &Value) -> Result<Group, String> {
        let hook = self.hook(FIELD, &group, told, Twisted::No);
        self.keep_group(world, group.clone(), vec![hook]).map_err(|error| error.details)?;
        Ok(group)
    }

    fn say_in_group(
        &self,
        number: &str,
        id: &str,
        (kind, content): (&str, Value),
        quoted: Option<&str>,
    ) -> Result<GroupMessageView, String> {
        let mut world = self.world();
        let phone = known_phone(&world, number)?;
        may_write(&world, &phone)?;
        let mut group = world.groups.living(id).map_err(|_| "There is no such group on this phone.")?.clone();
        if group.people.get(&phone.number) != Some(&Standing::In) {
            return Err("You are not in this group.".into());
        }
        if group.suspended {
            return Err("This group is not available.".into());
        }
        let (now, wamid) = ((self.now)(), messages::wamid(phone.wa_id(), false));
        let context = quoted.map(|quoted| self.group_context(&world, id, quoted)).transpose()?;
        let heard = messages::Heard { phone: &phone, wamid: &wamid, at: now, kind, context };
        let text = super::super::phones::own_line(kind, &content);
        let file = content["id"].as_str().and_then(|id| shown_file(&world, id));
        let mut value = messages::message(&self.settings, heard, content);
        value["entry"][0]["changes"][0]["value"]["messages"][0]["group_id"] = json!(group.id);
        if super::super::phones::opens_the_window(kind) {
            group.last_own = group.last_own.max(Some(now));
        }
        let others = group.members().filter(|member| **member != phone.number);
        let reached = others.map(|member| (member.clone(), false)).collect();
        let nobody_hears = world.callbacks.is_empty() || !self.habits().subscribed;
        let status = if nobody_hears { Status::Sent } else { Status::Pending };
        let (from, template, callback_data) = (Some(phone.number.clone()), None, None);
        let message = GroupMessage {
            id: wamid.clone(),
            group: group.id.clone(),
            at: now,
            from,
            text,
            template,
            callback_data,
            file,
            status,
            reached,
        };
        let view = self.message_view(&world, &message, &phone);
        let twist = world.troubles.next_twist();
        let hook = Outgoing { value, message: Some(wamid), after: twist.late, copies: twist.copies };
        let records = vec![Record::Group(group), Record::GroupMessage(message)];
        self.commit(&mut world, records, vec![hook]).map_err(unwritten)?;
        Ok(view)
    }

    fn group_context(&self, world: &World, group: &str, quoted: &str) -> Result<Value, String> {
        let message = world.groups.message(quoted).filter(|message| message.group == group);
        let message = message.ok_or_else(|| format!("There is no message {quoted} in this group to quote."))?;
        let from = message.from.as_ref().map_or_else(|| self.settings.digits(), |number| number.trim_start_matches('+').into());
        Ok(json!({"from": from, "id": quoted}))
    }

    fn group_view(&self, world: &World, group: &Group, phone: &Phone) -> GroupView {
        let named = |number: &String| GroupMemberView { number: number.clone(), name: super::acts::phone_of(world, number).name };
        let standing = match group.people.get(&phone.number) {
            _ if group.over => "over",
            Some(Standing::Asked { .. }) => "asked",
            Some(Standing::In) => "in",
            Some(Standing::Left) | None => "left",
            Some(Standing::Removed) => "removed",
        };
        let his =
            |message: &&GroupMessage| message.from.as_ref() == Some(&phone.number) || message.reached.contains_key(&phone.number);
        let messages = world.groups.thread(&group.id).filter(his).map(|message| self.message_view(world, message, phone));
        GroupView {
            id: group.id.clone(),
            name: group.subject.clone(),
            description: group.description.clone(),
            picture: group.picture.as_deref().and_then(|id| shown_file(world, id)),
            firm: self.settings.line_name.clone(),
            standing: standing.to_string(),
            suspended: group.suspended,
            members: group.members().map(named).collect(),
            messages: messages.collect(),
        }
    }

    fn message_view(&self, world: &World, message: &GroupMessage, phone: &Phone) -> GroupMessageView {
        let own = message.from.as_ref() == Some(&phone.number);
        let read = message.reached.get(&phone.number) == Some(&true);
        let status = match own {
            true => message.status.word(),
            false if read => Status::Read.word(),
            false => Status::Delivered.word(),
        };
        let name = |number: &String| super::acts::phone_of(world, number).name;
        GroupMessageView {
            id: message.id.clone(),
            at: message.at,
            from: message.from.as_ref().map_or_else(|| self.settings.line_name.clone(), name),
            number: message.from.clone(),
            direction: if own { "out" } else { "in" }.to_string(),
            text: message.text.clone(),
            template: message.template.clone(),
            status: status.to_string(),
            callback_data: message.callback_data.clone(),
            file: message.file.clone(),
        }
    }
}

fn shown_file(world: &World, id: &str) -> Option<crate::sandbox::views::FileView> {
    world.media.get(id).map(super::super::media::Media::view)
}
