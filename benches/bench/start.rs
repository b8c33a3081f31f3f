//! S: from the start of the process to its first "ready", with the pod on loopback.
use crate::measure::{ROUNDS, Report, median};
use crate::world::World;

pub async fn measure(report: &mut Report) {
    for (contacts, goal) in [(0, 0.3), (100_000, 1.0)] {
        let mut seconds = Vec::new();
        let world = World::new("start", 1, 0).await;
        if contacts > 0 {
            world.seed(contacts);
        }
        for _ in 0..ROUNDS {
            if contacts == 0 {
                // Each start of an empty one is a first start.
                let _ = std::fs::remove_dir_all(world.folder().join("data"));
            }
            seconds.push(world.bot().await.ready_after.as_secs_f64());
        }
        let name = format!("S start to ready, {contacts} contacts");
        report.line(&name, format!("{:.2} s", median(&seconds)), "", &format!("goal {goal} s"));
        report.raw(&format!("start_seconds_{contacts}"), seconds);
    }
}
