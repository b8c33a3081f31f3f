//! Whether the first bytes of a file bear out the type that it was declared to be.

const OLE: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
const ZIP: &[u8] = b"PK\x03\x04";

/// `head` is the first kilobyte. A type that nobody knows here is believed, unless the file is a program.
pub fn fits(mime: &str, head: &[u8]) -> bool {
    let begins = |magic: &[u8]| head.starts_with(magic);
    let at = |from: usize, magic: &[u8]| head.get(from..).is_some_and(|rest| rest.starts_with(magic));
    match mime {
        "image/jpeg" => begins(b"\xFF\xD8\xFF"),
        "image/png" => begins(b"\x89PNG\r\n\x1a\n"),
        "image/gif" => begins(b"GIF8"),
        "image/webp" => begins(b"RIFF") && at(8, b"WEBP"),
        "video/mp4" | "video/3gpp" | "video/quicktime" | "audio/mp4" => at(4, b"ftyp"),
        "audio/ogg" | "audio/opus" => begins(b"OggS"),
        "audio/amr" => begins(b"#!AMR"),
        "audio/mpeg" => begins(b"ID3") || has_sync(head, 0xE0),
        "audio/aac" => begins(b"ADIF") || has_sync(head, 0xF0) || at(4, b"ftyp"),
        "application/pdf" => head.windows(5).any(|window| window == b"%PDF-"),
        "application/msword" => begins(OLE) || begins(b"{\\rtf"),
        "application/vnd.ms-excel" | "application/vnd.ms-powerpoint" => begins(OLE),
        mime if mime.starts_with("application/vnd.openxmlformats-officedocument.") => begins(ZIP),
        "text/plain" | "text/csv" => !head.contains(&0),
        _ => !(begins(b"MZ") || begins(b"\x7FELF")),
    }
}

/// The twelve or eleven set bits with which a frame of sound begins.
fn has_sync(head: &[u8], bits: u8) -> bool {
    matches!(head, [0xFF, second, ..] if second & bits == bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        let table: [(&str, &[u8], bool); 18] = [
            ("image/jpeg", b"\xFF\xD8\xFF\xE0", true),
            ("image/jpeg", b"\x89PNG\r\n\x1a\n", false),
            ("image/png", b"\x89PNG\r\n\x1a\n", true),
            ("image/webp", b"RIFF\0\0\0\0WEBPVP8 ", true),
            ("image/webp", b"RIFF\0\0\0\0WAVE", false),
            ("video/mp4", b"\0\0\0\x18ftypmp42", true),
            ("audio/ogg", b"OggS\0", true),
            ("audio/mpeg", b"\xFF\xFB\x90", true),
            ("audio/mpeg", b"<html>", false),
            ("audio/aac", b"\xFF\xF1\x50", true),
            ("application/pdf", b"\n%PDF-1.7", true),
            ("application/pdf", b"MZ\x90\0", false),
            ("application/msword", OLE, true),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04", true),
            ("text/plain", b"Dear Ann", true),
            ("text/plain", b"a\0b", false),
            ("chemical/x-pdb", b"ATOM", true),
            ("application/octet-stream", b"MZ\x90", false),
        ];
        for (mime, head, expected) in table {
            assert_eq!(fits(mime, head), expected, "{mime} {head:?}");
        }
    }
}
