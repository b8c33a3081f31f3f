//! J: appending to the journal against bare appends of the same bytes in the same batches.
use crate::measure::{ROUNDS, Report, Scratch, append, fresh, median};
use liaison::adapters::store::{Journal, Tip};
use std::time::Instant;

/// A group of commits as a busy minute makes them: 32 commits of some 2 KiB.
const BATCH_BYTES: usize = 64 << 10;
const BATCHES: usize = 100;
/// Header and checksum of a frame.
const FRAME_BYTES: usize = 56;

pub fn measure(report: &mut Report) {
    let scratch = Scratch::new("journal");
    let payload: Vec<u8> = (0..BATCH_BYTES).map(|nth| b' ' + (nth % 90) as u8).collect();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let folder = scratch.0.join(round.to_string());
        std::fs::create_dir(&folder).expect("the scratch disk works");
        let mut journal = Journal::open(&folder, Tip::START).expect("a new journal opens");
        ours.push(per_second(|| {
            journal.append(32, &payload).expect("the scratch disk works");
        }));
        let mut file = fresh(&scratch.0.join("bare"));
        let bytes = vec![b'x'; BATCH_BYTES + FRAME_BYTES];
        bare.push(per_second(|| append(&mut file, &bytes)));
    }
    let (own, other) = (median(&ours), median(&bare));
    report.line(
        "J journal, 64 KiB batches",
        format!("{own:.0}/s"),
        format!("{other:.0}/s"),
        &format!("{:.0} % (goal 80 %)", own / other * 100.0),
    );
    report.raw("journal_batches_per_second", [ours, bare]);
}

fn per_second(mut act: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..BATCHES).for_each(|_| act());
    BATCHES as f64 / begun.elapsed().as_secs_f64()
}
