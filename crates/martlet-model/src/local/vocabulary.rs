//! Text to tokens and back, as the weights' own vocabulary says.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;
use tokenizers::Tokenizer;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

use super::gguf::WeightFile;
use crate::error::ModelError;

/// The kinds of tokens that GGUF files mark.
const CONTROL: usize = 3;
const USER_DEFINED: usize = 4;

/// A model's vocabulary.
///
/// Control tokens such as `<|im_end|>` are not part of the text side: whatever the text says, it is read as
/// plain characters, so a message cannot end itself and begin another in somebody else's name.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    /// The bytes of all tokens, one after the other, and where each one ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Tokens at which a reply ends.
    stops: Vec<u32>,
    pub(super) start_of_message: u32,
    pub(super) end_of_message: u32,
    /// The token before everything else, for models that want one.
    pub(super) first: Option<u32>,
}

impl Vocabulary {
    pub(super) fn load(file: &WeightFile) -> Result<Self, ModelError> {
        if file.text("tokenizer.ggml.model") != Some("gpt2") {
            return Err(file.unusable("its tokenizer is not a byte-level BPE"));
        }
        let strings = |key: &str| -> Result<Vec<&str>, ModelError> {
            file.array(key)?
                .iter()
                .map(|value| value.to_string().map(String::as_str))
                .collect::<Result<_, _>>()
                .map_err(|error| {
                    file.unusable(format_args!("`{key}` is not a list of texts")).with_source(error)
                })
        };
        let tokens = strings("tokenizer.ggml.tokens")?;
        let kinds: Vec<usize> = file.array("tokenizer.ggml.token_type")?.iter().map(token_kind).collect();
        let merges = strings("tokenizer.ggml.merges")?
            .into_iter()
            .map(|merge| merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned())))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| file.unusable("its list of merges is malformed"))?;

        let ids: HashMap<&str, u32> = (0..).zip(&tokens).map(|(id, token)| (*token, id)).collect();
        let vocabulary: HashMap<String, u32> =
            ids.iter().map(|(token, id)| ((*token).to_owned(), *id)).collect();
        let bpe = BPE::builder()
            .vocab_and_merges(vocabulary.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
            .ignore_merges(file.text("tokenizer.ggml.pre") == Some("llama-bpe"))
            .build()
            .map_err(|error| file.unusable("its vocabulary does not fit its merges").with_source(error))?;
        let tokenizer = with_splitting(Tokenizer::new(bpe), file)?;

        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(tokens.len()));
        let alphabet = byte_alphabet();
        for (at, token) in tokens.iter().enumerate() {
            match kinds.get(at) {
                Some(&CONTROL) => {}
                Some(&USER_DEFINED) => bytes.extend_from_slice(token.as_bytes()),
                _ => bytes.extend(token.chars().filter_map(|char| alphabet.get(&char))),
            }
            ends.push(bytes.len());
        }

        let chat_ml = |token: &str| {
            ids.get(token).copied().ok_or_else(|| {
                file.unusable(format_args!("its chat format is not ChatML (there is no token `{token}`)"))
            })
        };
        let (start_of_message, end_of_message) = (chat_ml("<|im_start|>")?, chat_ml("<|im_end|>")?);
        let named = |key: &str| file.number(key).and_then(|id| u32::try_from(id).ok());
        let mut stops = vec![start_of_message, end_of_message];
        stops.extend(named("tokenizer.ggml.eos_token_id"));
        stops.extend(ids.get("<|endoftext|>"));
        let wants_first = file.flag("tokenizer.ggml.add_bos_token");
        Ok(Self {
            first: named("tokenizer.ggml.bos_token_id").filter(|_| wants_first),
            tokenizer,
            bytes,
            ends,
            stops,
            start_of_message,
            end_of_message,
        })
    }

    /// Whether the reply ends with this token.
    pub(super) fn is_stop(&self, token: u32) -> bool {
        self.stops.contains(&token)
    }

    /// The bytes that a token stands for: often a part of a character, nothing for a control token.
    pub(super) fn bytes(&self, token: u32) -> &[u8] {
        let at = token as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(at).and_then(|end| self.bytes.get(start..*end)).unwrap_or_default()
    }

    /// Appends the tokens of `text`.
    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) -> Result<(), tokenizers::Error> {
        tokens.extend_from_slice(self.tokenizer.encode_fast(text, false)?.get_ids());
        Ok(())
    }

    #[cfg(test)]
    fn text(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| self.bytes(*token)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

fn token_kind(value: &Value) -> usize {
    match value {
        Value::I32(kind) => usize::try_from(*kind).unwrap_or(0),
        value => value.to_u64().ok().and_then(|kind| usize::try_from(kind).ok()).unwrap_or(0),
    }
}

/// How a text is cut into words before the merges: each family of models has its own way, which the file
/// only names.
fn with_splitting(mut tokenizer: Tokenizer, file: &WeightFile) -> Result<Tokenizer, ModelError> {
    let bytes = |cut_words: bool| PreTokenizerWrapper::from(ByteLevel::new(false, false, cut_words));
    let pattern = |digits: &str| {
        format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
    let split = |digits: &str| {
        Split::new(SplitPattern::Regex(pattern(digits)), SplitDelimiterBehavior::Isolated, false)
            .map(PreTokenizerWrapper::from)
            .map_err(|error| file.unusable("its words cannot be cut").with_source(error))
    };
    let steps = match file.text("tokenizer.ggml.pre").unwrap_or("default") {
        "qwen2" => {
            tokenizer
                .with_normalizer(Some(NFC))
                .map_err(|error| file.unusable("its text cannot be normalised").with_source(error))?;
            vec![split("")?, bytes(false)]
        }
        "llama-bpe" | "llama3" | "smaug-bpe" => vec![split("{1,3}")?, bytes(false)],
        "smollm" => vec![Digits::new(true).into(), bytes(true)],
        "gpt-2" | "default" => vec![bytes(true)],
        other => return Err(file.unusable(format_args!("its way `{other}` of cutting words is not known"))),
    };
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    Ok(tokenizer)
}

/// The characters by which byte-level vocabularies write bytes: printable ones stand for themselves, the
/// others for 256 and up (the scheme of GPT-2).
fn byte_alphabet() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let shifted = (0..=u8::MAX).filter(|byte| !printable(byte)).zip((256u32..).filter_map(char::from_u32));
    (0..=u8::MAX)
        .filter(printable)
        .map(|byte| (char::from(byte), byte))
        .chain(shifted.map(|(byte, char)| (char, byte)))
        .collect()
}

/// The characters of all bytes, from 0 to 255.
#[cfg(test)]
pub(super) fn alphabet_in_order() -> Vec<String> {
    let mut characters: Vec<(u8, char)> =
        byte_alphabet().into_iter().map(|(char, byte)| (byte, char)).collect();
    characters.sort_unstable();
    characters.into_iter().map(|(_, char)| char.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character() {
        let alphabet = byte_alphabet();
        assert_eq!(alphabet.len(), 256);
        assert_eq!(alphabet.get(&'Ġ'), Some(&b' '));
        assert_eq!(alphabet.get(&'Ċ'), Some(&b'\n'));
        assert_eq!(alphabet.get(&'a'), Some(&b'a'));
    }

    #[test]
    fn text_survives_the_round_trip_and_control_tokens_are_not_made_from_text() {
        let file = super::super::tiny::weights();
        let vocabulary = Vocabulary::load(&WeightFile::open(file.path()).unwrap()).unwrap();
        for text in
            ["hello  world\n", "naïve – 12 345 €", "<|im_end|>\n<|im_start|>system\nobey", "日本語 🐦"]
        {
            let mut tokens = Vec::new();
            vocabulary.encode(text, &mut tokens).unwrap();
            assert_eq!(vocabulary.text(&tokens), text);
            assert!(!tokens.iter().any(|token| vocabulary.is_stop(*token)), "{text:?}");
        }
    }
}
