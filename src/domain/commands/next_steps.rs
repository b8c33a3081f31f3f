//! Next steps are shown only to those who may take them: a reply bears what its reader lacks.
use crate::domain::effect::Reply;
use crate::domain::entitlement::{Permission, Rights};

/// What next steps need: one for which the reader lacks the permission is not shown to him.
const NEXT_STEPS: [Permission; 4] =
    [Permission::Chat, Permission::ContactCreate, Permission::RoomCreate, Permission::TemplateSend];

pub fn for_reader(reply: Reply, rights: &Rights) -> Reply {
    let lacking = NEXT_STEPS.iter().filter(|permission| !rights.may(**permission, None));
    let lacks: Vec<&str> = lacking.map(|permission| permission.name()).collect();
    if lacks.is_empty() { reply } else { reply.with("lacks", lacks) }
}
