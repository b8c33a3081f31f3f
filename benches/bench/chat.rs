//! C: a command typed in a 1:1 chat, over the datafeed, decided, durable, and its answer posted; against a bare echo.
use crate::measure::{Disk, ROUNDS, Report, at_share, median, millis};
use crate::world::{Advisor, Peer, World};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const ADVISORS: usize = 32;
const ONE_BY_ONE: usize = 100;
const AT_ONCE_COMMANDS: usize = 1_000;
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
const COMMAND: &str = "/whoami";

type Chat = fn(&Advisor) -> &str;

pub async fn measure(report: &mut Report, disk: Disk) {
    let mut world = World::new("chat", ADVISORS, 0).await;
    let bot = world.bot().await;
    let (pod, key) = (format!("http://{}", world.address), world.key("echo"));
    let echo = Peer::start(&["limit-echo", &pod, key.to_str().expect("the path is text"), "echo"]);
    let sides: [Chat; 2] = [|advisor| &advisor.with_bot, |advisor| &advisor.with_echo];
    let (mut own_times, mut rates) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for side in sides {
        one_by_one(&mut world, side).await;
    }
    for _ in 0..ROUNDS {
        for (nth, side) in sides.into_iter().enumerate() {
            own_times[nth].extend(one_by_one(&mut world, side).await);
            rates[nth].push(many_at_once(&mut world, side).await);
        }
    }
    drop((bot, echo));
    let [mut ours, mut limit] = own_times;
    let shown = |times: &mut [f64]| format!("{:.1} / {:.1} ms", at_share(times, 0.5), at_share(times, 0.99));
    let goal = 2.0 * disk.p50 + 1.0;
    report.line("C command to answer, p50 / p99", shown(&mut ours), shown(&mut limit), &format!("goal p50 {goal:.1} ms"));
    let (own, other) = (median(&rates[0]), median(&rates[1]));
    let ratio = format!("{:.0} %", own / other * 100.0);
    report.line("C commands, 32 chats", format!("{own:.0}/s"), format!("{other:.0}/s"), &ratio);
    report.raw("chat_ms", [ours, limit]);
    report.raw("chat_per_second", &rates);
}

/// From the message in the chat to its answer's arrival at the pod, nothing else going on.
async fn one_by_one(world: &mut World, chat: Chat) -> Vec<f64> {
    let mut times = Vec::new();
    for nth in 0..ONE_BY_ONE {
        let advisor = &world.advisors[nth % ADVISORS];
        let stream = chat(advisor).to_owned();
        let begun = Instant::now();
        world.pod.post_as(advisor.id, &stream, COMMAND).expect("a member may write");
        times.push(answer(world, |to| to == stream).await.1 - begun);
        // What follows an answer (its end, noted and made durable) is not part of the next one's time.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    millis(&times)
}

/// Each advisor asks again as soon as he is answered.
async fn many_at_once(world: &mut World, chat: Chat) -> f64 {
    let chats: HashMap<String, u64> = world.advisors.iter().map(|advisor| (chat(advisor).to_owned(), advisor.id)).collect();
    let begun = Instant::now();
    for (stream, advisor) in &chats {
        world.pod.post_as(*advisor, stream, COMMAND).expect("a member may write");
    }
    for answered in 1..=AT_ONCE_COMMANDS {
        let (stream, _) = answer(world, |to| chats.contains_key(to)).await;
        if answered + chats.len() <= AT_ONCE_COMMANDS {
            world.pod.post_as(chats[&stream], &stream, COMMAND).expect("a member may write");
        }
    }
    AT_ONCE_COMMANDS as f64 / begun.elapsed().as_secs_f64()
}

async fn answer(world: &mut World, is_it: impl Fn(&str) -> bool) -> (String, Instant) {
    let arrived = async {
        loop {
            let (stream, at) = world.posts.recv().await.expect("the pod runs as long as the bench");
            if is_it(&stream) {
                return (stream, at);
            }
        }
    };
    tokio::time::timeout(ANSWERED_WITHIN, arrived).await.expect("an answer comes")
}
