//! Lets the operator see: logs on stderr, and numbers for Prometheus.
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Names of INTERFACES §3, with their labels.
pub mod names {
    /// `source`, `result`
    pub const EVENTS: &str = "liaison_events_total";
    /// `state`
    pub const OUTBOX: &str = "liaison_outbox_messages";
    /// `gate`
    pub const HELD: &str = "liaison_held_messages";
    /// `reason`
    pub const FEED_RECONNECTS: &str = "liaison_feed_reconnects_total";
    /// `provider`
    pub const SIGNATURE_FAILURES: &str = "liaison_signature_failures_total";
    pub const QUARANTINE: &str = "liaison_quarantine_events";
    /// `result`
    pub const SNAPSHOTS: &str = "liaison_snapshots_total";
    pub const COMMIT_SECONDS: &str = "liaison_commit_seconds";
    /// `provider`, `operation`
    pub const EFFECT_SECONDS: &str = "liaison_effect_seconds";
}

/// From a fraction of one fdatasync to a disk in trouble.
const COMMIT_BUCKETS: [f64; 11] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// From a call on loopback to a provider that hangs until the time limit.
const EFFECT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// Samples wait in memory until somebody folds them into their buckets, even where nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// What is logged without RUST_LOG: our own words, and of others what wakes someone.
const DEFAULT_FILTER: &str = "warn,liaison=info";

/// Text on a terminal, JSON otherwise. A second call changes nothing, so that tests may call it too.
pub fn init_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _already = match std::io::stderr().is_terminal() {
        true => logs.try_init(),
        false => logs.json().flatten_event(true).try_init(),
    };
}

/// The handle whose `render` is `GET /metrics`. There is one recorder in a process; later calls get the same handle.
pub fn metrics() -> Result<PrometheusHandle, BuildError> {
    static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut handle = HANDLE.lock().expect("nobody panics while holding this lock");
    if let Some(handle) = &*handle {
        return Ok(handle.clone());
    }
    let installed = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(names::COMMIT_SECONDS.to_owned()), &COMMIT_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(names::EFFECT_SECONDS.to_owned()), &EFFECT_BUCKETS)?
        .install_recorder()?;
    describe();
    keep_up(installed.clone());
    Ok(handle.insert(installed).clone())
}

fn describe() {
    describe_counter!(names::EVENTS, "What the world told us, by source and by what became of it.");
    describe_gauge!(names::OUTBOX, "Effects that wait, are under way or are in doubt.");
    describe_gauge!(names::HELD, "Advisors' messages that wait for a gate to open.");
    describe_counter!(names::FEED_RECONNECTS, "Connections of the datafeed that had to be made again.");
    describe_counter!(names::SIGNATURE_FAILURES, "Webhooks refused because nobody we know had signed them.");
    describe_gauge!(names::QUARANTINE, "Events set aside with their bytes because handling them failed.");
    describe_counter!(names::SNAPSHOTS, "Snapshots of the view; one that failed costs time at a rebuild, nothing else.");
    describe_histogram!(
        names::COMMIT_SECONDS,
        Unit::Seconds,
        "From the moment a desk takes an event up to the durability of its commit."
    );
    describe_histogram!(names::EFFECT_SECONDS, Unit::Seconds, "From the start of a call to a provider to its end.");
    // An alert on "more than zero" needs the zero to be there before the first case.
    gauge!(names::QUARANTINE).set(0.0);
    counter!(names::SIGNATURE_FAILURES, "provider" => "whatsapp").increment(0);
    for result in ["taken", "failed"] {
        counter!(names::SNAPSHOTS, "result" => result).increment(0);
    }
    for reason in ["closed", "silent", "superseded", "unreachable"] {
        counter!(names::FEED_RECONNECTS, "reason" => reason).increment(0);
    }
}

fn keep_up(handle: PrometheusHandle) {
    let upkeep = move || {
        loop {
            std::thread::sleep(UPKEEP_EVERY);
            handle.run_upkeep();
        }
    };
    if let Err(error) = std::thread::Builder::new().name("metrics-upkeep".to_owned()).spawn(upkeep) {
        tracing::warn!(%error, "metrics are folded together only when they are read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_under_their_names() {
        let handle = metrics().unwrap();
        counter!(names::EVENTS, "source" => "whatsapp", "result" => "kept").increment(2);
        metrics::histogram!(names::COMMIT_SECONDS).record(0.003);
        let text = metrics().unwrap().render();
        assert!(text.contains("liaison_events_total{source=\"whatsapp\",result=\"kept\"} 2"), "{text}");
        assert!(text.contains("liaison_commit_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("liaison_quarantine_events 0"), "{text}");
        assert!(handle.render().contains("liaison_events_total{source="), "both handles show the same recorder");
    }

    #[test]
    fn logs_may_be_started_twice() {
        init_logs();
        init_logs();
    }
}
