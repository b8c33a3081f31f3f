//! W: WhatsApp webhooks from known clients with rooms, verified, durable, answered; each is relayed to its room meanwhile.
use crate::load::{CONNECTIONS, Round, requests, round};
use crate::measure::{ROUNDS, Report, at_share, median, millis};
use crate::world::{Peer, World};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const CLIENTS: usize = 1_000;
const A_ROUND: usize = 4_000;
const SECONDS_AT_HALF: f64 = 3.0;
/// The rest of a round's lines reaches its rooms before the other side has its turn.
const RELAYED_WITHIN: Duration = Duration::from_secs(60);

pub async fn measure(report: &mut Report) {
    let mut world = World::new("webhooks", 1, CLIENTS).await;
    world.seed(CLIENTS as u64);
    let bot = world.bot().await;
    let folder = world.folder().to_owned();
    let limit = Peer::start(&["limit-webhooks", folder.to_str().expect("the path is text")]);
    let limit_at: SocketAddr = limit.said.parse().expect("the limit says its address");
    let (mut rates, mut relayed) = ([Vec::new(), Vec::new()], Vec::new());
    once(&mut world, bot.address, A_ROUND / 4, None).await;
    let used_before = [bot.cpu(), limit.cpu()];
    for _ in 0..ROUNDS {
        let (ours, lines) = once(&mut world, bot.address, A_ROUND, None).await;
        rates[0].push(ours.per_second);
        relayed.push(lines);
        rates[1].push(round(limit_at, bodies(A_ROUND), None).await.per_second);
    }
    let (own, other) = (median(&rates[0]), median(&rates[1]));
    let name = format!("W webhooks, {CONNECTIONS} connections");
    let ratio = format!("{:.0} % (goal 40 %)", own / other * 100.0);
    report.line(&name, format!("{own:.0}/s"), format!("{other:.0}/s"), &ratio);
    report.line("  and lines posted to rooms", format!("{:.0}/s", median(&relayed)), "", "");
    let used = [bot.cpu() - used_before[0], limit.cpu() - used_before[1]];
    let each = used.map(|used| used.as_secs_f64() * 1e6 / (ROUNDS * A_ROUND) as f64);
    let shares = each.map(|micros| format!("{micros:.0} µs"));
    report.line("  and processor time of each", &*shares[0], &*shares[1], "relaying included");
    report.raw("webhook_cpu_us", each);
    let mut shown = Vec::new();
    let mut raw = Vec::new();
    for (address, rate) in [(bot.address, own / 2.0), (limit_at, own / 2.0)] {
        let count = (rate * SECONDS_AT_HALF) as usize;
        let half = match address == bot.address {
            true => once(&mut world, address, count, Some(rate)).await.0,
            false => round(address, bodies(count), Some(rate)).await,
        };
        let mut times = millis(&half.times);
        shown.push(format!("{:.1} / {:.1} ms", at_share(&mut times, 0.5), at_share(&mut times, 0.99)));
        raw.push(times);
    }
    report.line("W at half of that, p50 / p99", &*shown[0], &*shown[1], "goal p99 10 ms");
    report.raw("webhooks_per_second", &rates);
    report.raw("relayed_per_second", &relayed);
    report.raw("webhooks_ms_at_half", &raw);
}

fn bodies(count: usize) -> Vec<Vec<u8>> {
    requests(count, CLIENTS as u64)
}

/// A round against the bot, and how fast the lines reached their rooms.
async fn once(world: &mut World, bot: SocketAddr, count: usize, per_second: Option<f64>) -> (Round, f64) {
    let requests = bodies(count);
    let begun = Instant::now();
    let done = round(bot, requests, per_second).await;
    assert_eq!(done.refused, 0, "every webhook is answered with 200");
    let mut last = begun;
    let all = async {
        for _ in 0..count {
            last = world.posts.recv().await.expect("the pod runs as long as the bench").1;
        }
    };
    tokio::time::timeout(RELAYED_WITHIN, all).await.expect("every message reaches its room");
    (done, count as f64 / (last - begun).as_secs_f64())
}
