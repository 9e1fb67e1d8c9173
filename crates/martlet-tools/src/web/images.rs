//! `download_images`: looking at many images at once.

use futures::StreamExt as _;
use futures::future::BoxFuture;
use martlet_core::{Part, ToolFlags, ToolOutput, ToolSpec};
use reqwest::header::{ACCEPT, HeaderValue};
use serde_json::{Map, Value, json};

use super::client::{Client, Request};
use super::policy::parse;
use crate::arguments::ArgumentReader;
use crate::picture::picture;
use crate::{Tool, ToolContext, ToolError};

/// The most images of one call.
const MAX_IMAGES: usize = 20;
/// The most bytes of all images of one call.
const MAX_TOTAL: usize = 20 * 1024 * 1024;
/// Downloads at the same time.
const AT_ONCE: usize = 8;

/// The tool `download_images`: fetches images of the web, several at a time, and shows them to the model.
///
/// What an image is, its bytes say: PNG, JPEG, GIF or WebP of at most 50 million pixels, 5 MiB each and 20 MiB together. A
/// failure is told for its own address and keeps no other image away.
#[derive(Debug, Clone)]
pub struct DownloadImages {
    spec: ToolSpec,
    client: Client,
}

impl DownloadImages {
    /// The tool, which goes where the client may.
    pub fn new(client: Client) -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {
                "urls": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "maxItems": MAX_IMAGES,
                    "description": "The addresses of the images.",
                },
            },
            "required": ["urls"],
            "additionalProperties": false,
        });
        let description = format!(
            "Downloads up to {MAX_IMAGES} images from the web, so that you can look at them, and tells the size of each."
        );
        let spec = ToolSpec::new("download_images", description)
            .parameters(parameters)
            .returns(json!({"type": "string"}))
            .flags(ToolFlags { read_only: true, idempotent: true, ..ToolFlags::default() });
        Self { spec, client }
    }

    async fn download(&self, urls: Vec<String>) -> Result<ToolOutput, ToolError> {
        let mut downloads = futures::stream::iter(urls).map(|url| self.one(url)).buffered(AT_ONCE);
        let mut lines = Vec::new();
        let mut images = Vec::new();
        let mut total = 0;
        while let Some((url, downloaded)) = downloads.next().await {
            let number = lines.len() + 1;
            let kept = downloaded.and_then(|(line, image, bytes)| match total + bytes <= MAX_TOTAL {
                true => {
                    total += bytes;
                    Ok((line, image))
                }
                false => {
                    Err(format!("left out: the images are larger than {} MiB together", MAX_TOTAL >> 20))
                }
            });
            match kept {
                Ok((line, image)) => {
                    lines.push(format!("{number}. {url}: {line}"));
                    images.push(image);
                }
                Err(reason) => lines.push(format!("{number}. {url}: not downloaded, {reason}")),
            }
        }
        let text = lines.join("\n");
        if images.is_empty() {
            return Err(ToolError::new(format!("no image was downloaded:\n{text}")));
        }
        let mut parts = vec![Part::text(text)];
        parts.extend(images);
        Ok(ToolOutput::Parts { parts })
    }

    async fn one(&self, url: String) -> (String, Result<(String, Part, usize), String>) {
        let downloaded = async {
            let accept =
                HeaderValue::from_static("image/webp,image/png,image/jpeg,image/gif;q=0.9,*/*;q=0.1");
            let address = parse(&url).map_err(|error| error.to_string())?;
            let fetched = self.client.send(Request::get(address).header(ACCEPT, accept)).await;
            let body = fetched.map_err(|error| error.to_string())?.body;
            let picture = picture(&body)?;
            let kib = body.len().div_ceil(1024);
            let line =
                format!("{}, {}×{} pixels, {kib} KiB", picture.media_type, picture.width, picture.height);
            let bytes = body.len();
            Ok((line, Part::image(picture.media_type, body), bytes))
        };
        let downloaded = downloaded.await;
        (url, downloaded)
    }
}

impl Tool for DownloadImages {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        _cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let urls: Vec<String> = ArgumentReader::new(arguments).required("urls")?;
            if urls.is_empty() || urls.len() > MAX_IMAGES {
                return Err(ToolError::arguments(format!("give 1 to {MAX_IMAGES} addresses at once")));
            }
            self.download(urls).await
        })
    }
}
