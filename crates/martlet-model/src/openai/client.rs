//! Sending a request and reading the reply.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use martlet_core::{ModelFailureKind, ModelOptions, ModelProfile, ModelReply, ModelRequest};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Request, Response, Url};
use tokio::time::timeout;

use super::assembly::{Assembly, Halt, MAX_REPLY_BYTES};
use super::builder::{OpenAiCompatibleBuilder, Streaming, Timeouts};
use super::dialect::Dialect;
use super::failure::Endpoint;
use super::request::Body;
use crate::error::ModelError;
use crate::model::{BoxFuture, DeltaSink, Model};
use crate::sse::SseParser;

/// So much of the body of an error is read.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// After the end of a reply, so long is the end of the connection's message awaited, so that the connection
/// can be used again. It follows at once, except with servers that never send it.
const TAIL: Duration = Duration::from_millis(50);

/// A model behind OpenAI's chat completions: OpenAI, Azure, Hugging Face, OpenRouter, Groq, Ollama, llama.cpp,
/// vLLM and many others.
///
/// ```
/// use martlet_model::OpenAiCompatible;
/// # fn main() -> Result<(), martlet_model::ConfigError> {
/// let model = OpenAiCompatible::new("http://localhost:11434/v1", "qwen3:4b").build()?;
/// let model = OpenAiCompatible::new("https://api.openai.com/v1", "gpt-4o").api_key("sk-…").build();
/// # let _ = model;
/// # Ok(()) }
/// ```
///
/// It sends each request once; put a [`Retry`](crate::Retry) around it. Dropping a call closes its
/// connection, and most servers then stop generating.
///
/// A reply that this client cuts itself, because the server does not know or ignores a stop text, has lost the
/// server's count of tokens. Its usage is then estimated: about four characters a token, images not counted.
pub struct OpenAiCompatible {
    pub(super) client: reqwest::Client,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) endpoint: Endpoint,
    pub(super) name: String,
    pub(super) dialect: Dialect,
    pub(super) profile: ModelProfile,
    pub(super) options: ModelOptions,
    pub(super) timeouts: Timeouts,
    pub(super) streaming: Streaming,
}

impl OpenAiCompatible {
    /// A client for `model` at `base_url`, which for most servers ends in `/v1`; one without a path gets it.
    /// Without a scheme it is HTTP on this machine and in private networks, otherwise HTTPS.
    #[expect(clippy::new_ret_no_self, reason = "address and options have to be checked together, by `build`")]
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> OpenAiCompatibleBuilder {
        OpenAiCompatibleBuilder::new(base_url.into(), model.into())
    }

    async fn call(
        &self,
        request: &ModelRequest,
        deltas: Option<&DeltaSink>,
    ) -> Result<ModelReply, ModelError> {
        let stream = match self.streaming {
            Streaming::WhenWatched => deltas.is_some(),
            Streaming::Always => true,
            Streaming::Never => false,
        };
        let prefill =
            request.prefill.as_deref().filter(|prefill| self.profile.prefill && !prefill.is_empty());
        let body = Body {
            model: &self.endpoint.model,
            request,
            options: &self.options_for(request),
            dialect: self.dialect,
            server: self.endpoint.server,
            prefill,
            stream,
        };
        let body = body.to_json().map_err(|error| {
            ModelError::new(ModelFailureKind::Request, "the request cannot be written as JSON")
                .with_source(error)
        })?;
        let mut response = self.send(body, stream).await?;
        if !response.status().is_success() {
            let body = read_error(&mut response).await;
            return Err(self.endpoint.refused(response.status().as_u16(), response.headers(), &body));
        }
        let mut assembly = Assembly::new(&self.endpoint, prefill.unwrap_or_default(), &request.stop, deltas);
        // Some servers stream, or do not, whatever they were asked.
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        if content_type.contains("event-stream") || (stream && !content_type.contains("json")) {
            self.read_stream(&mut response, &mut assembly).await?;
        } else {
            let body = self.read_whole(&mut response).await?;
            assembly.whole(&body)?;
        }
        assembly.finish(request)
    }

    fn options_for<'a>(&'a self, request: &'a ModelRequest) -> Cow<'a, ModelOptions> {
        let default = ModelOptions::default();
        if request.options == default {
            Cow::Borrowed(&self.options)
        } else if self.options == default {
            Cow::Borrowed(&request.options)
        } else {
            Cow::Owned(self.options.overridden_by(&request.options))
        }
    }

    async fn send(&self, body: Vec<u8>, stream: bool) -> Result<Response, ModelError> {
        let mut request = Request::new(Method::POST, self.url.clone());
        *request.headers_mut() = self.headers.clone();
        *request.body_mut() = Some(body.into());
        let response = self.client.execute(request);
        let response = if stream {
            let limit = self.timeouts.first_byte;
            timeout(limit, response)
                .await
                .map_err(|_| self.endpoint.timed_out("did not begin to answer", limit))?
        } else {
            response.await
        };
        response.map_err(|error| {
            if error.is_timeout() {
                self.endpoint
                    .timed_out("could not be connected to", self.timeouts.connect)
                    .with_source(error.without_url())
            } else {
                self.endpoint.broken(error, false)
            }
        })
    }

    async fn read_whole(&self, response: &mut Response) -> Result<Bytes, ModelError> {
        let mut next = async || response.chunk().await.map_err(|error| self.endpoint.broken(error, true));
        let Some(first) = next().await? else { return Ok(Bytes::new()) };
        // Most replies come in one piece, which then is not copied.
        let Some(second) = next().await? else { return Ok(first) };
        let mut body = Vec::with_capacity((first.len() + second.len()) * 2);
        body.extend_from_slice(&first);
        body.extend_from_slice(&second);
        while let Some(piece) = next().await? {
            if body.len() + piece.len() > MAX_REPLY_BYTES {
                let limit = MAX_REPLY_BYTES >> 20;
                return Err(self.endpoint.protocol(format!("sent more than {limit} MiB and was cut off")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.into())
    }

    async fn read_stream(
        &self,
        response: &mut Response,
        assembly: &mut Assembly<'_>,
    ) -> Result<(), ModelError> {
        let mut parser = SseParser::default();
        // The headers are here, but a server may have sent them before it began to work.
        let mut limit = self.timeouts.first_byte.max(self.timeouts.idle);
        loop {
            let piece = timeout(limit, response.chunk())
                .await
                .map_err(|_| self.endpoint.timed_out("sent nothing more of its reply", limit))?
                .map_err(|error| self.endpoint.broken(error, true))?;
            limit = self.timeouts.idle;
            let over = piece.is_none();
            let mut on_event = |event: crate::sse::Event<'_>| assembly.event(event);
            let result = match piece {
                Some(piece) => parser.feed(&piece, &mut on_event),
                None => parser.finish(&mut on_event),
            };
            match result {
                Ok(()) if over => return Ok(()),
                Ok(()) => {}
                Err(Halt::Complete) => break,
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::TooLong) => {
                    return Err(self.endpoint.protocol("sent a line that is too long for a reply"));
                }
            }
        }
        if assembly.ended_by_server() {
            // Nothing is wanted of what comes here, and the reply is complete whether it comes or not.
            let _ = timeout(TAIL, response.chunk()).await;
        }
        Ok(())
    }
}

impl Model for OpenAiCompatible {
    fn name(&self) -> &str {
        &self.name
    }

    fn profile(&self) -> ModelProfile {
        self.profile
    }

    fn generate<'a>(
        &'a self,
        request: ModelRequest,
        deltas: Option<&'a DeltaSink>,
    ) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        Box::pin(async move {
            let limit = self.timeouts.total;
            match timeout(limit, self.call(&request, deltas)).await {
                Ok(result) => result,
                Err(_) => Err(self.endpoint.timed_out("did not finish its reply", limit)),
            }
        })
    }
}

impl fmt::Debug for OpenAiCompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiCompatible")
            .field("name", &self.name)
            .field("url", &self.endpoint.url)
            .field("server", &self.endpoint.server)
            .field("dialect", &self.dialect)
            .field("profile", &self.profile)
            .field("timeouts", &self.timeouts)
            .field("streaming", &self.streaming)
            .finish_non_exhaustive()
    }
}

/// The beginning of the body of an error; what cannot be read of it is left out.
async fn read_error(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(piece.get(..MAX_ERROR_BYTES.min(piece.len())).unwrap_or_default());
            if body.len() >= MAX_ERROR_BYTES {
                break;
            }
        }
    };
    // A server in trouble may never finish its complaint; what came of it says enough.
    let _ = timeout(Duration::from_secs(5), read).await;
    body
}
