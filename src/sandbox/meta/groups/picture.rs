//! A group's picture: what Meta takes for one, and the webhook that tells what came of it.
use super::super::Inner;
use super::super::errors::GraphError;
use super::super::graph::SentFile;
use super::acts::{Twisted, request_id};
use super::shapes;
use serde_json::Value;

/// Bytes, and pixels of each side (Meta, groups reference).
const MAX_BYTES: usize = 5 * 1024 * 1024;
const MIN_SIDE: u16 = 192;
const TYPE: &str = "image/jpeg";

impl Inner {
    pub(super) fn picture_group(&self, id: &str, sent: SentFile, twisted: Twisted) -> Result<Value, GraphError> {
        self.acting(&self.world(), id)?;
        fits(&sent)?;
        let media = self.keep_media(TYPE, sent.name, sent.bytes)?;
        let mut world = self.world();
        let mut group = self.acting(&world, id)?;
        let (request, well) = (request_id(), twisted != Twisted::Fails);
        let told = shapes::picture(&request, &media, well);
        let before = if well { group.picture.replace(media.id) } else { Some(media.id) };
        let hook = self.hook("group_settings_update", &group, &told, twisted);
        self.keep_group(&mut world, group, vec![hook])?;
        drop(world);
        if let Some(gone) = before {
            self.forget_media(&gone)?;
        }
        Ok(shapes::asked(&request))
    }
}

fn fits(sent: &SentFile) -> Result<(), GraphError> {
    let declared = sent.mime.as_deref().is_none_or(|mime| mime.split(';').next().is_some_and(|mime| mime.trim() == TYPE));
    if !declared || !sent.bytes.starts_with(b"\xFF\xD8\xFF") {
        return Err(GraphError::new(100, format!("Param file must be a file with the type {TYPE}.")));
    }
    if sent.bytes.len() > MAX_BYTES {
        return Err(GraphError::new(131053, "The picture of a group may have 5 MB."));
    }
    let Some((width, height)) = sides(&sent.bytes) else {
        return Err(GraphError::new(131053, "The picture cannot be read."));
    };
    if width != height {
        return Err(GraphError::new(131209, format!("The picture has {width} by {height} pixels.")));
    }
    if width < MIN_SIDE {
        return Err(GraphError::new(131210, format!("Each side of the picture must have {MIN_SIDE} pixels at least.")));
    }
    Ok(())
}

/// Width and height, as the frame has them to which the markers lead.
fn sides(jpeg: &[u8]) -> Option<(u16, u16)> {
    let two = |at: usize| Some(u16::from_be_bytes([*jpeg.get(at)?, *jpeg.get(at + 1)?]));
    let mut at = 2;
    loop {
        match two(at)? {
            0xFFFF => at += 1,
            0xFFC0..=0xFFC3 | 0xFFC5..=0xFFC7 | 0xFFC9..=0xFFCB | 0xFFCD..=0xFFCF => return Some((two(at + 7)?, two(at + 5)?)),
            // Before this there must have been a frame.
            0xFFD9 | 0xFFDA => return None,
            0xFF00.. => at += 2 + usize::from(two(at + 2)?),
            _ => return None,
        }
    }
}
