//! Images: what their bytes say that they are.

use imagesize::ImageType;

/// The most pixels on one side of an image.
const MAX_SIDE: usize = 12_000;
/// The most pixels of an image: a few bytes can unfold to more than a model's provider takes, or a browser.
const MAX_PIXELS: usize = 50_000_000;

/// What an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) media_type: &'static str,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// What image the bytes are, whatever their server or their name says.
///
/// # Errors
/// They are none that models see, or it is too large.
pub(crate) fn picture(bytes: &[u8]) -> Result<Picture, String> {
    let kind = imagesize::image_type(bytes).ok().and_then(|kind| match kind {
        ImageType::Png => Some("image/png"),
        ImageType::Jpeg => Some("image/jpeg"),
        ImageType::Gif => Some("image/gif"),
        ImageType::Webp => Some("image/webp"),
        _ => None,
    });
    let Some(media_type) = kind else {
        return Err("it is no image of a kind that can be looked at (PNG, JPEG, GIF or WebP)".to_owned());
    };
    let size = imagesize::blob_size(bytes).map_err(|_| "the image is damaged".to_owned())?;
    let (width, height) = (size.width, size.height);
    if width == 0 || height == 0 {
        return Err("the image is damaged".to_owned());
    }
    if width > MAX_SIDE || height > MAX_SIDE || width.saturating_mul(height) > MAX_PIXELS {
        return Err(format!("the image has {width}×{height} pixels, which is too large to be looked at"));
    }
    Ok(Picture { media_type, width, height })
}
