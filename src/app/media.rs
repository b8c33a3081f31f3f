//! Once at start and once a day: files of the media folder that no record names are taken away.
use crate::adapters::vault::Vault;
use crate::domain::ids::MediaId;
use crate::domain::media::{Media, MediaState};
use crate::ports::Store;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_hours(24);

/// Runs until `stop`, each sweep on a thread apart.
pub async fn sweep_daily(vault: Arc<Vault>, store: Arc<dyn Store>, stop: CancellationToken) {
    loop {
        let (vault, store, ends) = (Arc::clone(&vault), Arc::clone(&store), stop.clone());
        let swept = tokio::task::spawn_blocking(move || {
            vault.sweep(SystemTime::now(), |id| if ends.is_cancelled() { Err(ending()) } else { is_named(&*store, id) })
        });
        match swept.await {
            Ok(Ok(swept)) if swept.gone > 0 => {
                tracing::info!(swept.gone, swept.kept, "files that no record names were taken away")
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) if stop.is_cancelled() => return,
            Ok(Err(error)) => tracing::warn!(%error, "the media folder could not be swept; it is tried again tomorrow"),
            Err(error) => tracing::warn!(%error, "the sweep of the media folder broke off; it is tried again tomorrow"),
        }
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(EVERY) => {} }
    }
}

fn ending() -> io::Error {
    io::Error::other("the program ends")
}

/// A record that still wants its file may be about to get it; one that lost it shows it to nobody.
fn is_named(store: &dyn Store, id: &MediaId) -> io::Result<bool> {
    let Some(stored) = store.get(&Media::key_of(id)).map_err(io::Error::other)? else { return Ok(false) };
    let media: Media = serde_json::from_slice(&stored.value)?;
    Ok(!matches!(media.state, MediaState::Lost { .. }))
}
