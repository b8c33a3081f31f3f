//! Recordings without a microphone: a quiet hum of the right length, as WAV and as MP3.

/// Twilio's own recordings are 8 kHz, 16 bit, mono.
const RATE: u32 = 8_000;
/// Longer recordings are cut, as memory is not made for hours.
const MAX_SECONDS: u64 = 600;
/// An MPEG-1 layer III frame of silence: 32 kbit/s, 44.1 kHz, mono, and its length in bytes and in seconds.
const SILENT_FRAME: [u8; 4] = [0xff, 0xfb, 0x10, 0xc4];
const FRAME_BYTES: usize = 104;
const FRAME_SECONDS: f64 = 1_152.0 / 44_100.0;
/// A hum that can be heard and hurts nobody.
const HERTZ: f64 = 220.0;
const LOUDNESS: f64 = 2_500.0;

/// A whole RIFF file.
pub(super) fn wav(seconds: u64) -> Vec<u8> {
    let samples = RATE * seconds.clamp(1, MAX_SECONDS) as u32;
    let bytes = samples * 2;
    let mut file = Vec::with_capacity(44 + bytes as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16u32.to_le_bytes());
    // PCM, one channel.
    file.extend_from_slice(&1u16.to_le_bytes());
    file.extend_from_slice(&1u16.to_le_bytes());
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * 2).to_le_bytes());
    file.extend_from_slice(&2u16.to_le_bytes());
    file.extend_from_slice(&16u16.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&bytes.to_le_bytes());
    let hum = |nth: u32| (f64::from(nth) * HERTZ * std::f64::consts::TAU / f64::from(RATE)).sin() * LOUDNESS;
    file.extend((0..samples).flat_map(|nth| (hum(nth) as i16).to_le_bytes()));
    file
}

/// Frames of silence, back to back.
pub(super) fn mp3(seconds: u64) -> Vec<u8> {
    let frames = (seconds.clamp(1, MAX_SECONDS) as f64 / FRAME_SECONDS).ceil() as usize;
    let mut frame = [0; FRAME_BYTES];
    frame[..SILENT_FRAME.len()].copy_from_slice(&SILENT_FRAME);
    frame.repeat(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_says_its_own_length() {
        let file = wav(2);
        assert_eq!(file.len(), 44 + 2 * 16_000);
        assert_eq!(u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize, file.len() - 8);
        assert_eq!(&file[..4], b"RIFF");
        assert_eq!(&file[8..16], b"WAVEfmt ");
    }
}
