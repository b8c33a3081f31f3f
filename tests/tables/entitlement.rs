//! Permissions and bundles (COMMANDS §2).
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::ids::Channel;

const NAMES: [&str; 18] = [
    "chat",
    "contact.create",
    "contact.edit",
    "contact.edit-email",
    "contact.list-all",
    "onboard.on-behalf",
    "room.create",
    "room.manage-any",
    "group.native",
    "template.send",
    "transfer",
    "block",
    "bulk",
    "consent.record",
    "supervise",
    "audit.read",
    "export",
    "admin",
];
const WITHOUT_CHANNEL: [&str; 5] = ["admin", "audit.read", "export", "supervise", "contact.list-all"];

#[test]
fn every_permission_has_its_name() {
    let names = Permission::ALL.map(Permission::name);
    assert_eq!(names, NAMES);
    for permission in Permission::ALL {
        assert_eq!(Permission::parse(permission.name()), Some(permission));
        assert_eq!(serde_json::to_value(permission).unwrap(), permission.name(), "kept under the name people write");
        assert_eq!(permission.has_no_channel(), WITHOUT_CHANNEL.contains(&permission.name()), "{permission:?}");
    }
    assert_eq!(Permission::parse("everything"), None);
    assert_eq!(Permission::parse_many("everything"), None);
}

#[test]
fn every_bundle_holds_what_it_names_and_nothing_else() {
    let bundles: [(&str, &[&str]); 5] = [
        ("advisor", &["chat", "contact.create", "contact.edit", "room.create", "group.native", "template.send"]),
        ("advisor-central", &["chat", "template.send"]),
        (
            "onboarder",
            &[
                "chat",
                "contact.create",
                "contact.edit",
                "room.create",
                "group.native",
                "template.send",
                "onboard.on-behalf",
                "bulk",
            ],
        ),
        ("compliance", &["contact.list-all", "consent.record", "block", "supervise", "audit.read", "export"]),
        ("admin", &["admin", "room.manage-any", "transfer", "contact.list-all", "audit.read"]),
    ];
    for (bundle, holds) in bundles {
        let permissions = Permission::parse_many(bundle).unwrap();
        let rights = Rights::new("a@b.c", &[Channel::WhatsApp], &permissions, "");
        for permission in Permission::ALL {
            let held = holds.contains(&permission.name());
            assert_eq!(rights.may(permission, Some(Channel::WhatsApp)), held, "{bundle} {permission:?}");
            assert_eq!(rights.may(permission, None), held, "{bundle} {permission:?}, some channel");
            let elsewhere = held && permission.has_no_channel();
            assert_eq!(rights.may(permission, Some(Channel::Sms)), elsewhere, "{bundle} {permission:?} on SMS");
        }
        assert!(rights.has_any());
    }
}

#[test]
fn nothing_is_held_by_default() {
    let nobody = Rights::default();
    assert!(!nobody.has_any());
    assert!(Permission::ALL.iter().all(|permission| !nobody.may(*permission, None)));
    assert!(Channel::ALL.iter().all(|channel| !nobody.may_use(*channel)));
}
