//! The loaded model: it reads a conversation and writes the reply, one at a time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use martlet_core::{FinishReason, ModelFailureKind, ModelReply, ModelRequest, Usage};

use super::cache::{Caches, KvCache};
use super::chat;
use super::gguf::WeightFile;
use super::reply_text::{Progress, ReplyText};
use super::sampling::Sampler;
use super::transformer::Transformer;
use super::vocabulary::Vocabulary;
use crate::error::ModelError;

/// The longest reply when the request does not say: a minute or so of two cores.
const MAX_TOKENS: u32 = 1024;

/// What the engine may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Tokens of a conversation, reply included.
    pub(super) context: usize,
    /// Bytes for remembering idle conversations.
    pub(super) cache: usize,
}

pub(super) struct Engine {
    name: Arc<str>,
    vocabulary: Vocabulary,
    transformer: Transformer,
    caches: Caches,
    context: usize,
    // The tensors point into it.
    _file: WeightFile,
}

impl Engine {
    /// Loads the weights at `path`; `stop` ends it early.
    pub(super) fn load(
        name: Arc<str>,
        path: &Path,
        limits: Limits,
        stop: &AtomicBool,
    ) -> Result<Self, ModelError> {
        let started = Instant::now();
        let file = WeightFile::open(path)?;
        let (vocabulary, transformer) = std::thread::scope(|scope| {
            let vocabulary = scope.spawn(|| Vocabulary::load(&file));
            let transformer = Transformer::load(&file).and_then(|transformer| {
                let threads = std::thread::available_parallelism().map_or(1, usize::from);
                transformer.prepare(threads, stop).map_err(failed)?;
                Ok(transformer)
            });
            let vocabulary =
                vocabulary.join().unwrap_or_else(|_| Err(file.unusable("its vocabulary is malformed")));
            (vocabulary, transformer)
        });
        let (vocabulary, transformer) = (vocabulary?, transformer?);
        if stop.load(Ordering::Relaxed) {
            return Err(ModelError::new(
                ModelFailureKind::Local,
                "the embedded model was closed while it was loading",
            ));
        }
        file.release_pages();
        tracing::info!(
            model = &*name,
            seconds = started.elapsed().as_secs_f64(),
            words = vocabulary.len(),
            layers = transformer.sizes.layers,
            "the embedded model is loaded",
        );
        Ok(Self {
            name,
            caches: Caches::new(transformer.sizes, limits.cache),
            context: limits.context.min(transformer.sizes.context),
            vocabulary,
            transformer,
            _file: file,
        })
    }

    /// Answers `request`. `show` is given the text so far whenever it has grown. `None` if `stop` was set.
    pub(super) fn answer(
        &mut self,
        request: &ModelRequest,
        stop: &AtomicBool,
        show: &mut dyn FnMut(&str),
    ) -> Result<Option<ModelReply>, ModelError> {
        let sampler = Sampler::new(&request.options)?;
        let prompt = chat::render(request, &self.vocabulary)?;
        if prompt.len() >= self.context {
            return Err(ModelError::new(
                ModelFailureKind::ContextLength,
                format!(
                    "the conversation has {} tokens and the embedded model reads at most {}; shorten it, or choose a \
                     model with a longer context",
                    prompt.len(),
                    self.context
                ),
            ));
        }
        let mut cache = self.caches.take(&prompt).map_err(failed)?;
        let reply = self.write(request, sampler, &prompt, &mut cache, stop, show);
        self.caches.put(cache);
        reply
    }

    /// Forgets all conversations, after a failure that may have left one of them half written.
    pub(super) fn forget(&mut self) {
        self.caches.clear();
    }

    fn write(
        &self,
        request: &ModelRequest,
        mut sampler: Sampler,
        prompt: &[u32],
        cache: &mut KvCache,
        stop: &AtomicBool,
        show: &mut dyn FnMut(&str),
    ) -> Result<Option<ModelReply>, ModelError> {
        let started = Instant::now();
        let cached = cache.len();
        let unread = prompt.get(cached..).unwrap_or_default();
        let Some(mut scores) = self.transformer.feed(unread, cache, stop).map_err(failed)? else {
            return Ok(None);
        };
        let read = started.elapsed();

        let most = request.options.max_tokens.unwrap_or(MAX_TOKENS) as usize;
        let mut text = ReplyText::new(&request.stop);
        let mut written = Vec::new();
        let finish = loop {
            if written.len() == most || cache.len() == self.context {
                break FinishReason::Length;
            }
            let token = sampler.choose(&mut scores, &written);
            if self.vocabulary.is_stop(token) {
                break FinishReason::Stop;
            }
            written.push(token);
            let progress = text.push(self.vocabulary.bytes(token));
            show(text.certain());
            if progress == Progress::Stopped {
                break FinishReason::Stop;
            }
            match self.transformer.feed(&[token], cache, stop).map_err(failed)? {
                Some(next) => scores = next,
                None => return Ok(None),
            }
        };
        tracing::debug!(
            model = &*self.name,
            read = unread.len(),
            cached,
            written = written.len(),
            read_seconds = read.as_secs_f64(),
            write_seconds = (started.elapsed() - read).as_secs_f64(),
            "the embedded model replied",
        );
        Ok(Some(ModelReply {
            usage: Usage {
                input_tokens: prompt.len() as u64,
                output_tokens: written.len() as u64,
                cached_tokens: cached as u64,
                reasoning_tokens: 0,
            },
            finish,
            model: Some(self.name.to_string()),
            ..ModelReply::text(text.finish())
        }))
    }
}

fn failed(error: candle_core::Error) -> ModelError {
    ModelError::new(
        ModelFailureKind::Local,
        "the embedded model failed in a computation; the file of its weights may be damaged or of an unusual kind",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use martlet_core::{Message, ModelOptions};

    use super::super::tiny;
    use super::*;

    fn engine(cache: usize) -> Engine {
        let file = tiny::weights();
        let limits = Limits { context: 2048, cache };
        Engine::load("tiny".into(), file.path(), limits, &AtomicBool::new(false)).unwrap()
    }

    fn request(texts: &[&str]) -> ModelRequest {
        ModelRequest {
            messages: texts.iter().map(|text| Message::user(*text)).collect(),
            options: ModelOptions { max_tokens: Some(20), ..ModelOptions::default() },
            ..ModelRequest::default()
        }
    }

    fn answer(engine: &mut Engine, request: &ModelRequest) -> ModelReply {
        engine.answer(request, &AtomicBool::new(false), &mut |_| {}).unwrap().unwrap()
    }

    #[test]
    fn reading_in_pieces_and_at_once_give_the_same_scores() {
        let engine = engine(0);
        let tokens: Vec<u32> = (0..600).map(|at| at * 7 % 256).collect();
        let scores = |pieces: &[usize]| {
            let (mut cache, mut from, mut last) = (KvCache::new(engine.transformer.sizes), 0, Vec::new());
            for length in pieces {
                let piece = &tokens[from..from + length];
                last = engine.transformer.feed(piece, &mut cache, &AtomicBool::new(false)).unwrap().unwrap();
                from += length;
            }
            last
        };
        let whole = scores(&[600]);
        for pieces in [&[1, 599][..], &[300, 299, 1], &[256, 256, 88]] {
            let difference =
                scores(pieces).iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-2, "{pieces:?}: {difference}");
        }
    }

    #[test]
    fn a_reply_does_not_depend_on_what_is_remembered() {
        let mut engine = engine(1 << 30);
        let alone = answer(&mut engine, &request(&["hello", "there"]));
        answer(&mut engine, &request(&["hello"]));
        let again = answer(&mut engine, &request(&["hello", "there"]));
        assert!(again.usage.cached_tokens > 0 && alone.usage.cached_tokens == 0);
        assert_eq!(again.text, alone.text);
    }

    #[test]
    fn a_stopped_reply_is_none_and_leaves_the_engine_whole() {
        let mut engine = engine(1 << 30);
        let alone = answer(&mut engine, &request(&["hello"]));
        let stop = AtomicBool::new(false);
        let stopped =
            engine.answer(&request(&["hello"]), &stop, &mut |_| stop.store(true, Ordering::Relaxed));
        assert!(stopped.unwrap().is_none());
        assert_eq!(answer(&mut engine, &request(&["hello"])).text, alone.text);
    }

    #[test]
    fn a_file_that_ends_early_is_refused() {
        let file = tiny::weights();
        let whole = std::fs::metadata(file.path()).unwrap().len();
        file.as_file().set_len(whole - 500).unwrap();
        let limits = Limits { context: 64, cache: 0 };
        let error = Engine::load("tiny".into(), file.path(), limits, &AtomicBool::new(false)).err().unwrap();
        assert!(error.to_string().contains("cut off"), "{error}");
    }
}
