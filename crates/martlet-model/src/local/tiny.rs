//! A model of a few kilobytes with random weights, for tests of everything but sense.

use std::io::{Seek, Write};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use tempfile::NamedTempFile;

const WIDTH: usize = 32;
const HIDDEN: usize = 64;
const KV: usize = 16;

/// The weights of a qwen2 model with two layers, whose words are the 256 bytes and `he`.
pub(super) fn weights() -> NamedTempFile {
    let mut tokens: Vec<String> = super::vocabulary::alphabet_in_order();
    tokens.extend(["he", "<|im_start|>", "<|im_end|>", "<|endoftext|>"].map(str::to_owned));
    let kinds = (0..tokens.len()).map(|at| Value::I32(if at < 257 { 1 } else { 3 })).collect();
    let vocabulary = tokens.len();
    let texts = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    let metadata: Vec<(&str, Value)> = vec![
        ("general.architecture", Value::String("qwen2".into())),
        ("qwen2.block_count", Value::U32(2)),
        ("qwen2.context_length", Value::U32(4096)),
        ("qwen2.embedding_length", Value::U32(WIDTH as u32)),
        ("qwen2.attention.head_count", Value::U32(4)),
        ("qwen2.attention.head_count_kv", Value::U32(2)),
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.pre", Value::String("qwen2".into())),
        ("tokenizer.ggml.tokens", texts(tokens)),
        ("tokenizer.ggml.token_type", Value::Array(kinds)),
        ("tokenizer.ggml.merges", texts(vec!["h e".into()])),
        ("tokenizer.ggml.eos_token_id", Value::U32(259)),
    ];

    let mut random = 1u64;
    let mut numbers = |count: usize, middle: f32| -> Vec<f32> {
        (0..count)
            .map(|_| {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                middle + (random >> 40) as f32 / (1u64 << 24) as f32 - 0.5
            })
            .collect()
    };
    let mut matrix = |rows: usize, columns: usize| {
        let tensor = Tensor::from_vec(numbers(rows * columns, 0.0), (rows, columns), &Device::Cpu).unwrap();
        QTensor::quantize(&tensor, GgmlDType::Q8_0).unwrap()
    };
    let vector = |length: usize| {
        QTensor::quantize(
            &Tensor::ones(length, candle_core::DType::F32, &Device::Cpu).unwrap(),
            GgmlDType::F32,
        )
        .unwrap()
    };
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), matrix(vocabulary, WIDTH)),
        ("output_norm.weight".to_owned(), vector(WIDTH)),
    ];
    for layer in 0..2 {
        let mut add = |name: &str, tensor: QTensor| tensors.push((format!("blk.{layer}.{name}"), tensor));
        add("attn_norm.weight", vector(WIDTH));
        add("ffn_norm.weight", vector(WIDTH));
        add("attn_q.weight", matrix(WIDTH, WIDTH));
        add("attn_q.bias", vector(WIDTH));
        add("attn_k.weight", matrix(KV, WIDTH));
        add("attn_v.weight", matrix(KV, WIDTH));
        add("attn_output.weight", matrix(WIDTH, WIDTH));
        add("ffn_gate.weight", matrix(HIDDEN, WIDTH));
        add("ffn_up.weight", matrix(HIDDEN, WIDTH));
        add("ffn_down.weight", matrix(WIDTH, HIDDEN));
    }

    let mut file = NamedTempFile::new().unwrap();
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    file.rewind().unwrap();
    file.flush().unwrap();
    file
}
