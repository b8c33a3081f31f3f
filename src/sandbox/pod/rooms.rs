//! The rules of conversations: who may make, change, fill and close them.
use serde::Deserialize;
use serde_json::{Value, json};

use super::events::MemberChange;
use super::state::{Keyword, Member, Refused, Room, State, Stream, StreamKind};

/// A room's name is shorter than 50 characters.
const MAX_NAME: usize = 49;

/// V3RoomAttributes as a request brings them; what is not named stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RoomRequest {
    pub name: Option<String>,
    pub description: Option<String>,
    pub keywords: Option<Vec<Keyword>>,
    pub members_can_invite: Option<bool>,
    pub discoverable: Option<bool>,
    pub public: Option<bool>,
    pub read_only: Option<bool>,
    pub copy_protected: Option<bool>,
    pub cross_pod: Option<bool>,
    pub view_history: Option<bool>,
    pub multi_lateral_room: Option<bool>,
    pub scheduled_meeting: Option<bool>,
    pub pinned_message_id: Option<String>,
    #[serde(rename = "subType")]
    _sub_type: Option<String>,
    #[serde(rename = "groupChat")]
    _group_chat: Option<bool>,
}

impl RoomRequest {
    /// The room with what this request changes.
    fn applied_to(self, mut room: Room) -> Result<Room, Refused> {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut room.name, self.name.map(|name| name.trim().to_string()));
        set(&mut room.description, self.description);
        set(&mut room.keywords, self.keywords);
        set(&mut room.members_can_invite, self.members_can_invite);
        set(&mut room.discoverable, self.discoverable);
        set(&mut room.public, self.public);
        set(&mut room.read_only, self.read_only);
        set(&mut room.copy_protected, self.copy_protected);
        set(&mut room.cross_pod, self.cross_pod);
        set(&mut room.view_history, self.view_history);
        set(&mut room.multi_lateral, self.multi_lateral_room);
        set(&mut room.scheduled_meeting, self.scheduled_meeting);
        set(&mut room.pinned, self.pinned_message_id.map(Some));
        if room.cross_pod && (room.public || room.read_only || room.discoverable) {
            return Err(Refused::bad("A cross-pod room cannot be public, read-only or discoverable"));
        }
        if room.public {
            (room.view_history, room.discoverable, room.members_can_invite) = (true, true, true);
        }
        Ok(room)
    }
}

/// Names are compared without case and spaces: "room1" is "R O O M 1".
fn folded(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

impl State {
    fn name_is_free(&self, name: &str, but: &str) -> Result<(), Refused> {
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME {
            return Err(Refused::bad(format!("The room name must have 1 to {MAX_NAME} characters")));
        }
        let rooms = self.streams.values().filter(|stream| stream.kind == StreamKind::Room && stream.id != but);
        match rooms.map(|stream| folded(&stream.room.name)).any(|taken| taken == folded(name)) {
            true => Err(Refused::bad(format!("The room name \"{name}\" is already taken"))),
            false => Ok(()),
        }
    }

    pub fn room(&self, id: &str) -> Result<&Stream, Refused> {
        match self.stream(id)? {
            stream if stream.kind == StreamKind::Room => Ok(stream),
            _ => Err(Refused::bad("This conversation is not a room")),
        }
    }

    /// The room, if the user may look into it.
    pub fn visible_room(&self, id: &str, user: u64) -> Result<&Stream, Refused> {
        let stream = self.room(id)?;
        if stream.member(user).is_some() || stream.room.public {
            return Ok(stream);
        }
        Err(Refused::forbidden("The user is not a member of this room"))
    }

    fn owned_room(&self, id: &str, user: u64) -> Result<Stream, Refused> {
        let stream = self.room(id)?;
        match stream.owned_by(user) {
            true => Ok(stream.clone()),
            false => Err(Refused::forbidden("Only owners of the room may do this")),
        }
    }

    pub fn create_room(&mut self, user: u64, request: RoomRequest) -> Result<String, Refused> {
        let room = request.applied_to(Room::default())?;
        self.name_is_free(&room.name, "")?;
        let id = self.add_stream(StreamKind::Room, user, &[(user, true)], room);
        self.emit_room_created(&id, user);
        Ok(id)
    }

    fn add_stream(&mut self, kind: StreamKind, by: u64, members: &[(u64, bool)], room: Room) -> String {
        let at = self.tick();
        let id = self.new_id(at);
        let members = members.iter().map(|(id, owner)| Member { id: *id, owner: *owner, joined: at }).collect();
        let stream = Stream { id: id.clone(), kind, created: at, created_by: by, active: true, members, last_message: 0, room };
        self.put_stream(stream);
        id
    }

    pub fn update_room(&mut self, user: u64, id: &str, request: RoomRequest) -> Result<(), Refused> {
        let mut stream = self.owned_room(id, user)?;
        let old = stream.room.clone();
        stream.room = request.applied_to(old.clone())?;
        let fixed = |room: &Room| (room.public, room.read_only, room.copy_protected);
        if fixed(&old) != fixed(&stream.room) {
            return Err(Refused::bad("public, readOnly and copyProtected cannot be changed"));
        }
        self.name_is_free(&stream.room.name, id)?;
        self.put_stream(stream);
        self.emit_room_updated(id, user);
        Ok(())
    }

    pub fn set_active(&mut self, user: u64, id: &str, active: bool) -> Result<(), Refused> {
        let mut stream = self.owned_room(id, user)?;
        if stream.active == active {
            return Ok(());
        }
        stream.active = active;
        self.put_stream(stream);
        self.emit_room_active(id, user, active);
        Ok(())
    }

    /// Adds a member; the sentence is the answer's message.
    pub fn add_member(&mut self, by: u64, id: &str, target: u64) -> Result<&'static str, Refused> {
        let mut stream = self.room(id)?.clone();
        let invited = stream.owned_by(by) || (stream.member(by).is_some() && stream.room.members_can_invite);
        if !(invited || (stream.room.public && by == target)) {
            return Err(Refused::forbidden("Only owners of the room may add members"));
        }
        self.user(target)?;
        still_open(&stream)?;
        if stream.member(target).is_some() {
            return Ok("Member already part of the room");
        }
        let joined = self.tick();
        stream.members.push(Member { id: target, owner: false, joined });
        self.put_stream(stream);
        self.emit_member(id, by, target, MemberChange::Joined);
        Ok("Member added")
    }

    pub fn remove_member(&mut self, by: u64, id: &str, target: u64) -> Result<&'static str, Refused> {
        let mut stream = self.room(id)?.clone();
        if !(stream.owned_by(by) || (by == target && stream.member(by).is_some())) {
            return Err(Refused::forbidden("Only owners of the room may remove members"));
        }
        still_open(&stream)?;
        if stream.member(target).is_none() {
            return Err(Refused::bad("The user is not a member of the room"));
        }
        an_owner_stays(&stream, target)?;
        stream.members.retain(|member| member.id != target);
        self.put_stream(stream);
        self.emit_member(id, by, target, MemberChange::Left);
        Ok("Member removed")
    }

    pub fn set_owner(&mut self, by: u64, id: &str, target: u64, owner: bool) -> Result<&'static str, Refused> {
        let mut stream = self.owned_room(id, by)?;
        still_open(&stream)?;
        if !owner {
            an_owner_stays(&stream, target)?;
        }
        let member = stream.members.iter_mut().find(|member| member.id == target);
        let member = member.ok_or_else(|| Refused::bad("The user is not a member of the room"))?;
        let changed = member.owner != owner;
        member.owner = owner;
        if changed {
            self.put_stream(stream);
            let change = if owner { MemberChange::Promoted } else { MemberChange::Demoted };
            self.emit_member(id, by, target, change);
        }
        Ok(if owner { "Member promoted to owner" } else { "Member demoted to participant" })
    }

    /// The one-to-one conversation of two users, made if there is none.
    pub fn im(&mut self, by: u64, other: u64) -> Result<String, Refused> {
        self.user(other)?;
        if by == other {
            return Err(Refused::bad("An IM needs another user"));
        }
        let both =
            |stream: &&Stream| stream.kind == StreamKind::Im && stream.member(by).is_some() && stream.member(other).is_some();
        if let Some(found) = self.streams.values().find(both) {
            return Ok(found.id.clone());
        }
        let id = self.add_stream(StreamKind::Im, by, &[(by, false), (other, false)], Room::default());
        self.emit_im_created(&id, by);
        Ok(id)
    }
}

fn still_open(stream: &Stream) -> Result<(), Refused> {
    if stream.active { Ok(()) } else { Err(Refused::bad("The room is deactivated")) }
}

/// Refuses to take the last owner away.
fn an_owner_stays(stream: &Stream, target: u64) -> Result<(), Refused> {
    let others = stream.members.iter().any(|member| member.owner && member.id != target);
    match others || !stream.owned_by(target) {
        true => Ok(()),
        false => Err(Refused::bad("The last owner of a room cannot be taken away")),
    }
}

impl Stream {
    /// V3RoomDetail.
    pub fn v3(&self) -> Value {
        let Room { name, description, keywords, members_can_invite, discoverable, public, read_only, copy_protected, .. } =
            &self.room;
        let mut attributes = json!({"name": name, "keywords": keywords, "description": description,
            "membersCanInvite": members_can_invite, "discoverable": discoverable, "public": public, "readOnly": read_only,
            "copyProtected": copy_protected, "crossPod": self.room.cross_pod, "viewHistory": self.room.view_history,
            "multiLateralRoom": self.room.multi_lateral, "scheduledMeeting": self.room.scheduled_meeting, "groupChat": false});
        if let Some(pinned) = &self.room.pinned {
            attributes["pinnedMessageId"] = json!(pinned);
        }
        json!({"roomAttributes": attributes, "roomSystemInfo": self.system()})
    }

    /// RoomDetail, the older shape that setActive answers with.
    pub fn v1(&self) -> Value {
        let Room { name, description, members_can_invite, discoverable, public, read_only, copy_protected, .. } = &self.room;
        json!({"roomAttributes": {"name": name, "description": description, "membersCanInvite": members_can_invite,
                "discoverable": discoverable},
            "roomSystemInfo": self.system(),
            "immutableRoomAttributes": {"public": public, "readOnly": read_only, "copyProtected": copy_protected}})
    }

    fn system(&self) -> Value {
        json!({"id": self.id, "creationDate": self.created, "createdByUserId": self.created_by, "active": self.active})
    }
}
