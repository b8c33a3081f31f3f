//! How much room the disk of a folder has, as the system says.
use crate::ports::disk::{Probe, Space};
use std::path::PathBuf;

/// The disk on which this folder lies.
pub struct Disk(pub PathBuf);

impl Probe for Disk {
    fn space(&self) -> std::io::Result<Space> {
        let disk = fs2::statvfs(&self.0)?;
        Ok(Space { free: disk.available_space(), total: disk.total_space() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room_within_its_size() {
        let space = Disk(std::env::temp_dir()).space().unwrap();
        assert!(space.total > 0 && space.free <= space.total, "{space:?}");
        assert!(Disk("/no/such/folder".into()).space().is_err());
    }
}
