//! One frame of the journal as bytes: what stands where, and how a frame proves itself.
//!
//! `magic 4 | payload length u32 | first sequence u64 | commits u32 | SHA-256 of the frame before 32 | payload | CRC-32 of
//! all before`, numbers big-endian.
use aws_lc_rs::digest;

/// SHA-256 over a whole frame; zeros stand for "no frame before".
pub type Hash = [u8; 32];

/// The last byte is the number of the format. It is a control character, so JSON never holds the magic by chance.
pub const MAGIC: [u8; 4] = *b"LJF\x01";
pub const HEADER_BYTES: usize = 52;
pub const CHECKSUM_BYTES: usize = 4;
/// Far above what the writer puts in one frame: a length beyond it is damage, and is not allocated.
pub const MAX_PAYLOAD_BYTES: usize = 128 << 20;

/// A frame whose length and checksum are right; whether it follows the one before is for the caller to compare.
pub struct Frame<'a> {
    pub first: u64,
    pub count: u32,
    pub previous: Hash,
    pub payload: &'a [u8],
    pub hash: Hash,
}

pub fn encode(first: u64, count: u32, previous: &Hash, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a group of commits is bounded far below 4 GiB");
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len() + CHECKSUM_BYTES);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&first.to_be_bytes());
    frame.extend_from_slice(&count.to_be_bytes());
    frame.extend_from_slice(previous);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

/// Length of the whole frame that begins with this header; `None` where no frame begins.
pub fn whole_length(header: &[u8]) -> Option<usize> {
    if header.len() < HEADER_BYTES || header[..4] != MAGIC {
        return None;
    }
    let payload = u32::from_be_bytes(array(&header[4..8])) as usize;
    (payload <= MAX_PAYLOAD_BYTES).then_some(HEADER_BYTES + payload + CHECKSUM_BYTES)
}

/// The first commit of the frame that begins with this header, and the hash that it claims of the frame before. Unproved.
pub fn claimed_place(header: &[u8]) -> Option<(u64, Hash)> {
    whole_length(header)?;
    Some((u64::from_be_bytes(array(&header[8..16])), array(&header[20..52])))
}

/// The frame at the very start of `bytes`, if it is whole.
pub fn decode(bytes: &[u8]) -> Option<Frame<'_>> {
    let bytes = bytes.get(..whole_length(bytes)?)?;
    let (sealed, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    if crc32fast::hash(sealed).to_be_bytes() != checksum {
        return None;
    }
    Some(Frame {
        first: u64::from_be_bytes(array(&sealed[8..16])),
        count: u32::from_be_bytes(array(&sealed[16..20])),
        previous: array(&sealed[20..52]),
        payload: &sealed[HEADER_BYTES..],
        hash: hash_of(bytes),
    })
}

/// Whether a whole frame begins anywhere in `bytes`: what follows a damaged frame tells a torn end from a broken middle.
pub fn is_anywhere_in(bytes: &[u8]) -> bool {
    (0..bytes.len().saturating_sub(HEADER_BYTES)).any(|at| bytes[at..].starts_with(&MAGIC) && decode(&bytes[at..]).is_some())
}

pub fn hash_of(frame: &[u8]) -> Hash {
    array(digest::digest(&digest::SHA256, frame).as_ref())
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cut exactly this many bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_went_in() {
        let bytes = encode(7, 2, &[9; 32], b"payload");
        let frame = decode(&bytes).unwrap();
        assert_eq!((frame.first, frame.count, frame.previous, frame.payload), (7, 2, [9; 32], &b"payload"[..]));
        assert_eq!(frame.hash, hash_of(&bytes));
    }

    #[test]
    fn every_prefix_and_every_flipped_bit_is_noticed() {
        let bytes = encode(7, 2, &[9; 32], b"payload");
        assert!((0..bytes.len()).all(|length| decode(&bytes[..length]).is_none()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_none(), "bit {bit}");
        }
    }
}
