//! `make bench`: speed as ratios against what this machine does at best in the same minute. Name measures to run only those:
//! `cargo bench --bench bench -- J S`.
mod chat;
mod journal;
mod limit;
mod load;
mod measure;
mod start;
mod webhooks;
mod world;

use measure::{Disk, Report, Scratch};
use std::path::Path;

fn main() {
    // Cargo says `--bench`; everything else is ours.
    let given: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let _there = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the system gives us threads");
    runtime.block_on(async {
        match given[..] {
            ["limit-webhooks", folder] => limit::webhooks(Path::new(folder)).await,
            ["limit-echo", pod, key, username] => limit::echo(pod, Path::new(key), username).await,
            _ => measures(&given).await,
        }
    });
}

async fn measures(asked: &[&str]) {
    let is_asked = |name: &str| asked.is_empty() || asked.contains(&name);
    let mut report = Report::default();
    let disk = Disk::measured(&Scratch::new("disk").0);
    report.line("fdatasync after 4 KiB, p50 / p99", format!("{:.2} / {:.2} ms", disk.p50, disk.p99), "", "");
    report.raw("fdatasync_ms", [disk.p50, disk.p99]);
    if is_asked("J") {
        journal::measure(&mut report);
    }
    if is_asked("S") {
        start::measure(&mut report).await;
    }
    if is_asked("C") {
        chat::measure(&mut report, disk).await;
    }
    if is_asked("W") {
        webhooks::measure(&mut report).await;
    }
    report.finish();
}
