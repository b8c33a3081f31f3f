//! Whom a designated colleague onboarded for others: he may look at them and invite them, and nothing more; and who is called how.
use super::Given;
use crate::domain::contact::Contact;
use crate::domain::entitlement::Permission;
use crate::domain::ids::*;
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;
use crate::domain::sending;

impl Given {
    /// The contact at this position, also one whom the caller onboarded for somebody else.
    pub fn contact_to_invite(&self, scene: &Scene, position: usize) -> Result<Contact, Refusal> {
        self.contact_if(scene, position, |contact| self.may_see(scene, contact) || self.onboarded_for(scene, contact).is_some())
    }

    /// On whose list the caller, a designated colleague, put a contact whom he may not see otherwise (S0-12, S0-14).
    pub fn onboarded_for(&self, scene: &Scene, contact: &Contact) -> Option<UserId> {
        if !self.rights.may(Permission::OnboardOnBehalf, None) || self.may_see(scene, contact) {
            return None;
        }
        let email = &self.caller.email;
        let made_for = |user: &UserId| contact.requestor == Some(*user) && contact.created_by == *email;
        let put_there = |user: &&UserId| {
            scene.listing(**user, &contact.id).is_some_and(|l| l.on_behalf && l.added_by == *email || made_for(user))
        };
        contact.listed_by.iter().find(put_there).copied()
    }

    /// The name by which the caller knows this contact.
    pub fn name_of(&self, scene: &Scene, contact: &Contact) -> String {
        if let Some(requestor) = self.onboarded_for(scene, contact) {
            return sending::name_for(scene, Some(requestor), &contact.id);
        }
        if self.rights.may(Permission::ContactListAll, None) && !contact.listed_by.contains(&self.caller.id) {
            return contact.name();
        }
        let in_room = self.room.as_ref().filter(|room| room.contacts.contains(&contact.id)).and_then(|room| room.owner());
        let user = if contact.listed_by.contains(&self.caller.id) { Some(self.caller.id) } else { in_room };
        sending::name_for(scene, user, &contact.id)
    }
}
