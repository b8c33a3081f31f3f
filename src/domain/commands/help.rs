//! `/help` and `/whoami`: what the caller may do, and as whom the bot knows him.
use super::{ALL, Answer, Command, Given, PLAIN, find, may_use};
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;
use crate::domain::suggest;
use serde_json::{Value, json};

pub const HELP: Command = Command {
    path: "help",
    usage: "/help [command|client]",
    example: "/help contact add",
    about: "what you may use; one command in full; what the client sees",
    positional: &["command"],
    one_text_from: Some(0),
    run: help,
    ..PLAIN
};

pub const WHOAMI: Command = Command {
    path: "whoami",
    usage: "/whoami",
    example: "/whoami",
    about: "who you are here, with your channels and permissions",
    run: whoami,
    ..PLAIN
};

fn help(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let Some(wanted) = given.text(0) else {
        let mine = ALL.iter().copied().filter(|command| may_use(command, &given.rights));
        let reply = Reply::answer("help").with("firm", scene.policy.firm.clone());
        return Ok(Answer::Say(listed(reply, mine.collect())));
    };
    let wanted = wanted.trim_start_matches('/').to_lowercase();
    if wanted == "client" {
        return Ok(Answer::Say(Reply::answer("help-client").with("firm", scene.policy.firm.clone())));
    }
    let Some(command) = find(&wanted) else { return of_noun(given, &wanted) };
    if !may_use(command, &given.rights) {
        return Err(Refusal::no_permission(command.needs.first().map_or("", |permission| permission.name())));
    }
    let needs: Vec<&str> = command.needs.iter().map(|permission| permission.name()).collect();
    let reply = Reply::answer("help-command").with("usage", command.usage).with("example", command.example);
    let reply = reply.with("about", command.about).with("needs", needs).with("form", command.form);
    Ok(Answer::Say(reply.with("path", command.path)))
}

/// `/help contact` shows what begins so; something else is answered with what is near.
fn of_noun(given: &Given, wanted: &str) -> Result<Answer, Refusal> {
    let mine = || ALL.iter().copied().filter(|command| may_use(command, &given.rights));
    let of_noun: Vec<&Command> = mine().filter(|command| command.path.split(' ').next() == Some(wanted)).collect();
    if !of_noun.is_empty() {
        return Ok(Answer::Say(listed(Reply::answer("help").with("firm", ""), of_noun)));
    }
    let near = suggest::suggest(wanted, mine().map(|command| command.path));
    let refusal = Refusal::new("unknown-command").with("suggestions", near).with("in_client_room", false);
    Err(refusal.with("typed", format!("/{wanted}")))
}

/// With one of them as an example: the first that takes more than itself to understand.
fn listed(reply: Reply, commands: Vec<&Command>) -> Reply {
    let example = commands.iter().find(|command| command.path.contains(' ')).map(|command| command.path);
    let reply = reply.with("commands", commands.into_iter().map(row).collect::<Vec<_>>());
    match example {
        Some(example) => reply.with("example", example),
        None => reply,
    }
}

fn row(command: &Command) -> Value {
    json!({ "path": command.path, "usage": command.usage, "about": command.about })
}

fn whoami(_scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let reply = Reply::answer("whoami").with("name", given.caller.name.clone()).with("email", given.caller.email.clone());
    Ok(Answer::Say(with_rights(reply, &given.rights).with("id", given.caller.id.0)))
}

/// Channels, permissions and sub-organisation, as `/whoami` and `/admin show` tell them.
pub fn with_rights(reply: Reply, rights: &crate::domain::entitlement::Rights) -> Reply {
    let names = |held: &std::collections::BTreeSet<Permission>| held.iter().map(|p| p.name()).collect::<Vec<_>>();
    let channels: Vec<Value> = rights
        .channels
        .iter()
        .filter(|(_, held)| !held.is_empty())
        .map(|(channel, held)| json!({ "channel": channel.name(), "permissions": names(held) }))
        .collect();
    reply.with("channels", channels).with("general", names(&rights.general)).with("sub_org", rights.sub_org.clone())
}
