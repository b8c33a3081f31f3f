//! Width and height of a JPEG, read from its markers while its bytes come by.

/// Bytes from a frame's marker to the end of its width.
const FRAME: usize = 9;

/// Looks for the frame's header; what stands between the markers is passed over unread.
#[derive(Default)]
pub struct Seeker {
    /// What has been read of the marker at hand.
    marker: Vec<u8>,
    /// Bytes to pass over.
    skip: usize,
    over: bool,
    found: Option<(u32, u32)>,
}

impl Seeker {
    /// False: it knows all that it can know.
    pub fn push(&mut self, mut bytes: &[u8]) -> bool {
        while !self.over && !bytes.is_empty() {
            let passed = self.skip.min(bytes.len());
            (self.skip, bytes) = (self.skip - passed, &bytes[passed..]);
            if let Some((first, rest)) = bytes.split_first() {
                self.marker.push(*first);
                bytes = rest;
                self.look();
            }
        }
        !self.over
    }

    /// Width and height; `None` where the bytes are no JPEG or do not say it.
    pub fn found(&self) -> Option<(u32, u32)> {
        self.found
    }

    fn look(&mut self) {
        match self.marker.as_slice() {
            // Waits for more; fill bytes may stand before a marker.
            [0xFF] => {}
            [0xFF, 0xFF] => drop(self.marker.pop()),
            // Alone, without a length: the start, and what nobody writes before a frame but may.
            [0xFF, 0x01 | 0xD0..=0xD8] => self.marker.clear(),
            // The picture itself, or its end.
            [0xFF, 0xD9 | 0xDA] => self.over = true,
            [0xFF, kind, ..] if is_frame(*kind) && self.marker.len() < FRAME => {}
            [0xFF, kind, _, _, _, rest @ ..] if is_frame(*kind) => {
                let side = |at: usize| rest.get(at..at + 2).map_or(0, |two| u32::from(two[0]) << 8 | u32::from(two[1]));
                // A height of nothing is told only after the picture.
                self.found = Some((side(2), side(0))).filter(|(width, height)| *width > 0 && *height > 0);
                self.over = true;
            }
            [0xFF, _] | [0xFF, _, _] => {}
            [0xFF, _, high, low, ..] => {
                self.skip = (usize::from(*high) << 8 | usize::from(*low)).saturating_sub(2);
                self.marker.clear();
            }
            _ => self.over = true,
        }
    }
}

/// The frames of all kinds of coding; three numbers of the same row mean other things.
fn is_frame(kind: u8) -> bool {
    matches!(kind, 0xC0..=0xCF) && !matches!(kind, 0xC4 | 0xC8 | 0xCC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], at_once: usize) -> Option<(u32, u32)> {
        let mut seeker = Seeker::default();
        let _enough = bytes.chunks(at_once).all(|piece| seeker.push(piece));
        seeker.found()
    }

    fn jpeg(before: &[u8], kind: u8) -> Vec<u8> {
        // 0x012C wide and 0x0102 high.
        [b"\xFF\xD8", before, &[0xFF, kind, 0, 17, 8, 0x01, 0x02, 0x01, 0x2C, 3, 0, 0, 0]].concat()
    }

    #[test]
    fn the_frame_tells_wherever_it_stands_and_however_the_bytes_come() {
        let other: Vec<u8> = [&b"\xFF\xE1\x01\x02"[..], &[0xFF; 256], b"\xFF\xFF\xFF\xDB\x00\x03\x07\xFF\xC4\x00\x02"].concat();
        for before in [&b""[..], &other] {
            for kind in [0xC0, 0xC1, 0xC2, 0xCF] {
                for at_once in [1, 2, 7, 4_096] {
                    assert_eq!(of(&jpeg(before, kind), at_once), Some((300, 258)), "{kind:x} {at_once}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_tell_is_nothing() {
        let whole = jpeg(b"", 0xC0);
        let nothing_high = [&b"\xFF\xD8\xFF\xC0\x00\x11\x08\x00\x00\x01\x2C"[..], &[0; 8]].concat();
        for bytes in
            [&b"\x89PNG\r\n\x1a\n"[..], b"\xFF\xD8\xFF\xDA\x00\x02", b"\xFF\xD8\xFF\xD9", b"", &whole[..10], &nothing_high]
        {
            assert_eq!(of(bytes, 4), None, "{bytes:?}");
        }
    }
}
