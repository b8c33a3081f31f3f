//! Numbers and how they are taken: percentiles, medians, the disk's own pace, rounds in turn, and one table.
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Rounds of each side; ours and the other in turn, so that both meet the same machine.
pub const ROUNDS: usize = 5;
const SYNCS: usize = 200;
const PAGE: usize = 4096;

/// The value below which this share of the sorted values lies.
pub fn at_share(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(place).copied().unwrap_or(f64::NAN)
}

pub fn median(values: &[f64]) -> f64 {
    at_share(&mut values.to_vec(), 0.5)
}

pub fn millis(times: &[Duration]) -> Vec<f64> {
    times.iter().map(|time| time.as_secs_f64() * 1e3).collect()
}

/// What one fdatasync costs here: a page appended and made durable, in milliseconds.
#[derive(Clone, Copy)]
pub struct Disk {
    pub p50: f64,
    pub p99: f64,
}

impl Disk {
    pub fn measured(folder: &Path) -> Disk {
        let mut file = fresh(&folder.join("pages"));
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            let begun = Instant::now();
            append(&mut file, &[7; PAGE]);
            times.push(begun.elapsed());
        }
        let mut times = millis(&times);
        Disk { p50: at_share(&mut times, 0.5), p99: at_share(&mut times, 0.99) }
    }
}

pub fn fresh(path: &Path) -> File {
    OpenOptions::new().create(true).truncate(true).write(true).open(path).expect("the scratch folder can be written")
}

pub fn append(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).and_then(|()| file.sync_data()).expect("the scratch disk works");
}

/// A folder on the disk under test, gone with this value.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let folder = results().join("scratch").join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the target folder can be written");
        Scratch(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn results() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    std::path::absolute(target.join("bench")).expect("there is a working folder")
}

/// Lines of the table, and the raw numbers behind them.
#[derive(Default)]
pub struct Report {
    lines: Vec<[String; 4]>,
    raw: serde_json::Map<String, Value>,
}

impl Report {
    pub fn line(&mut self, measure: &str, ours: impl Into<String>, other: impl Into<String>, goal: &str) {
        let line = [measure.to_owned(), ours.into(), other.into(), goal.to_owned()];
        eprintln!("  {}", line.join(" | "));
        self.lines.push(line);
    }

    pub fn raw(&mut self, name: &str, values: impl serde::Serialize) {
        self.raw.insert(name.to_owned(), json!(values));
    }

    pub fn finish(self) {
        let head = ["measure", "ours", "limit", "ratio and goal"].map(str::to_owned);
        let width = |column: usize| self.lines.iter().chain([&head]).map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 4] = std::array::from_fn(width);
        for line in std::iter::once(&head).chain(&self.lines) {
            let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            println!("{}", cells.join("  ").trim_end());
        }
        let path = results().join("results.json");
        let text = serde_json::to_string_pretty(&self.raw).expect("numbers are JSON");
        std::fs::create_dir_all(results()).and_then(|()| std::fs::write(&path, text)).expect("the target folder can be written");
        println!("\nraw numbers: target/bench/results.json");
    }
}
