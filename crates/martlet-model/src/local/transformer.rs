//! The forward pass of qwen2 and llama models over quantised weights, with caches that we control.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::quantized::QTensor;
use candle_core::{CpuStorage, D, DType, Device, InplaceOp1, InplaceOp2, Layout, Result, Tensor};
use candle_nn::ops::rms_norm;
use candle_nn::rotary_emb::{rope, rope_i};
use rayon::prelude::*;

use super::cache::KvCache;
use super::gguf::WeightFile;
use crate::error::ModelError;

/// How many tokens of a prompt go through the layers together. Larger pieces read the weights less often;
/// beyond this it no longer shows.
const PIECE: usize = 256;

/// The sizes of a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head: usize,
    /// The longest text that it was trained on, in tokens.
    pub(super) context: usize,
}

/// A loaded model.
pub(super) struct Transformer {
    pub(super) sizes: Sizes,
    epsilon: f32,
    rotation: Rotation,
    embedding: QTensor,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Vec<QTensor>,
}

/// Which dimensions of a head are rotated together, and by how much.
struct Rotation {
    interleaved: bool,
    frequencies: Vec<f32>,
}

struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    feed_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

struct Linear {
    /// The rows in bands, so that several threads can work on them.
    weight: Vec<QTensor>,
    bias: Option<Tensor>,
}

impl Linear {
    fn load(file: &WeightFile, name: &str) -> std::result::Result<Self, ModelError> {
        let bias = format!("{name}.bias");
        Ok(Self {
            weight: file.bands(&format!("{name}.weight"), bands())?,
            bias: file.has_tensor(&bias).then(|| file.vector(&bias)).transpose()?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.finish(product(&self.weight, x)?)
    }

    /// Two products of the same input; one pass over it where the processor's kernels know how.
    fn forward_both(&self, other: &Self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        if let ([own], [others]) = (self.weight.as_slice(), other.weight.as_slice())
            && x.dim(0)? == 1
            && let Some(products) = QTensor::gemv_fused_shared_lhs(&[own, others], x)?
            && let Ok([own, others]) = <[Tensor; 2]>::try_from(products)
        {
            return Ok((self.finish(own)?, other.finish(others)?));
        }
        if self.weight.len() > 1 {
            let (own, others) = rayon::join(|| self.forward(x), || other.forward(x));
            return Ok((own?, others?));
        }
        Ok((self.forward(x)?, other.forward(x)?))
    }

    fn finish(&self, product: Tensor) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

/// In how many bands a matrix is cut. The kernels have threads of their own, which wait for each other at every
/// product: quick on an idle machine, but where other programs run too, everything waits for the thread that does
/// not get its turn. With `CANDLE_NUM_THREADS=1` they have none; then rayon shares the bands out, and a thread
/// that is not running is not waited for.
fn bands() -> usize {
    if candle_core::utils::barrier_pool().n_workers() == 0 { 2 * rayon::current_num_threads() } else { 1 }
}

/// `x` times the transposed matrix whose rows are `bands`.
fn product(bands: &[QTensor], x: &Tensor) -> Result<Tensor> {
    match bands {
        [whole] => x.apply_op1_no_bwd(whole),
        bands => {
            let parts: Result<Vec<Tensor>> = bands.par_iter().map(|band| x.apply_op1_no_bwd(band)).collect();
            Tensor::cat(&parts?, 1)
        }
    }
}

impl Transformer {
    /// Reads the model that `file` describes. `stop` ends the loading early.
    pub(super) fn load(file: &WeightFile) -> std::result::Result<Self, ModelError> {
        let architecture = file.text("general.architecture").unwrap_or_default().to_owned();
        // llama's converter reorders the rows of query and key, so that neighbours rotate together.
        let interleaved = match architecture.as_str() {
            "qwen2" => false,
            "llama" => true,
            other => return Err(file.unusable(format_args!("its architecture is `{other}`"))),
        };
        let required = |key: &str| file.required(&format!("{architecture}.{key}"));
        let number = |key: &str| file.number(&format!("{architecture}.{key}"));
        let float = |key: &str| file.float(&format!("{architecture}.{key}"));

        let heads = required("attention.head_count")?;
        let kv_heads = number("attention.head_count_kv").unwrap_or(heads);
        let width = required("embedding_length")?;
        if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) || !width.is_multiple_of(heads) {
            return Err(file.unusable("the numbers of its attention heads do not fit"));
        }
        let head = number("attention.key_length").unwrap_or(width / heads);
        if number("rope.dimension_count").is_some_and(|rotated| rotated != head) || !head.is_multiple_of(2) {
            return Err(file.unusable("it rotates only a part of each head"));
        }
        if file.text(&format!("{architecture}.rope.scaling.type")).is_some_and(|kind| kind != "none") {
            return Err(file.unusable("it scales its positions"));
        }
        if number("expert_count").is_some_and(|count| count > 0) {
            return Err(file.unusable("it is a mixture of experts"));
        }

        let embedding = file.tensor("token_embd.weight")?;
        if embedding.shape().dims().get(1) != Some(&width) {
            return Err(file.unusable("its embedding has an unexpected shape"));
        }
        let sizes = Sizes {
            layers: required("block_count")?,
            heads,
            kv_heads,
            head,
            context: required("context_length")?,
        };
        let epsilon = float("attention.layer_norm_rms_epsilon").unwrap_or(1e-5);
        let base = float("rope.freq_base").unwrap_or(10_000.0);
        let mut frequencies: Vec<f32> =
            (0..head).step_by(2).map(|at| base.powf(at as f32 / head as f32).recip()).collect();
        if file.has_tensor("rope_freqs.weight") {
            let factors = file
                .vector("rope_freqs.weight")?
                .to_vec1::<f32>()
                .map_err(|error| file.unusable("its rotation factors cannot be read").with_source(error))?;
            frequencies.iter_mut().zip(factors).for_each(|(frequency, factor)| *frequency /= factor);
        }

        let layers = (0..sizes.layers)
            .map(|at| {
                let name = |part: &str| format!("blk.{at}.{part}");
                Ok(Layer {
                    attention_norm: file.vector(&name("attn_norm.weight"))?,
                    query: Linear::load(file, &name("attn_q"))?,
                    key: Linear::load(file, &name("attn_k"))?,
                    value: Linear::load(file, &name("attn_v"))?,
                    out: Linear::load(file, &name("attn_output"))?,
                    feed_norm: file.vector(&name("ffn_norm.weight"))?,
                    gate: Linear::load(file, &name("ffn_gate"))?,
                    up: Linear::load(file, &name("ffn_up"))?,
                    down: Linear::load(file, &name("ffn_down"))?,
                })
            })
            .collect::<std::result::Result<_, ModelError>>()?;

        Ok(Self {
            sizes,
            epsilon,
            rotation: Rotation { interleaved, frequencies },
            embedding,
            layers,
            norm: file.vector("output_norm.weight")?,
            // Small models read their words and write them with the same table.
            output: file.bands(
                if file.has_tensor("output.weight") { "output.weight" } else { "token_embd.weight" },
                bands(),
            )?,
        })
    }

    /// Brings the weights into the form in which the processor's kernels want them. They would do it
    /// themselves at the first token, one tensor after the other; here all cores help.
    pub(super) fn prepare(&self, threads: usize, stop: &AtomicBool) -> Result<()> {
        let weights: Vec<&QTensor> = self
            .layers
            .iter()
            .flat_map(|l| [&l.query, &l.key, &l.value, &l.out, &l.gate, &l.up, &l.down])
            .flat_map(|linear| &linear.weight)
            .collect();
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || -> Result<()> {
            while !stop.load(Ordering::Relaxed)
                && let Some(weight) = weights.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let columns = weight.shape().dims2()?.1;
                // Two rows, because some kernels keep another form for more than one.
                Tensor::zeros((2, columns), DType::F32, &Device::Cpu)?.apply_op1_no_bwd(*weight)?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
            let own = work();
            helpers.into_iter().fold(own, |done, helper| match helper.join() {
                Ok(helped) => done.and(helped),
                Err(_) => done.and(Err(candle_core::Error::Msg("a loading thread panicked".into()))),
            })
        })
    }

    /// Feeds `tokens` after what `cache` holds and gives the scores of the token that follows. `None` if
    /// `stop` was set meanwhile: what is in the cache by then is whole.
    pub(super) fn feed(
        &self,
        tokens: &[u32],
        cache: &mut KvCache,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<f32>>> {
        if self.output.len() > 1 {
            // From a thread of rayon's own, sharing the bands out is quick; from another, each product waits for
            // a thread to wake up.
            rayon::scope(|_| self.feed_here(tokens, cache, stop))
        } else {
            self.feed_here(tokens, cache, stop)
        }
    }

    fn feed_here(&self, tokens: &[u32], cache: &mut KvCache, stop: &AtomicBool) -> Result<Option<Vec<f32>>> {
        let mut last = None;
        for piece in tokens.chunks(PIECE) {
            cache.reserve(piece.len())?;
            let Some(x) = self.piece(piece, cache, stop)? else { return Ok(None) };
            cache.advance(piece);
            last = Some(x.narrow(0, piece.len() - 1, 1)?);
        }
        let Some(last) = last else { candle_core::bail!("no tokens to feed") };
        let last = rms_norm(&last.contiguous()?, &self.norm, self.epsilon)?;
        let scores = product(&self.output, &last)?;
        Ok(Some(scores.flatten_all()?.to_vec1()?))
    }

    fn piece(&self, tokens: &[u32], cache: &mut KvCache, stop: &AtomicBool) -> Result<Option<Tensor>> {
        let (cos, sin) = self.rotation.at(cache.len(), tokens.len())?;
        let mut x = self.embedding.embedding(&Tensor::new(tokens, &Device::Cpu)?)?;
        for (at, layer) in self.layers.iter().enumerate() {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let normed = rms_norm(&x, &layer.attention_norm, self.epsilon)?;
            x = (x + self.attend(layer, &normed, cache, at, (&cos, &sin))?)?;
            let normed = rms_norm(&x, &layer.feed_norm, self.epsilon)?;
            let (gate, up) = layer.gate.forward_both(&layer.up, &normed)?;
            gate.inplace_op2(&up, &SiluMul)?;
            x = (x + layer.down.forward(&gate)?)?;
        }
        Ok(Some(x))
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        cache: &KvCache,
        at: usize,
        (cos, sin): (&Tensor, &Tensor),
    ) -> Result<Tensor> {
        let Sizes { heads, kv_heads, head, .. } = self.sizes;
        let (count, past) = (x.dim(0)?, cache.len());
        let total = past + count;
        let (query, key) = layer.query.forward_both(&layer.key, x)?;
        let value = layer.value.forward(x)?;

        let by_head =
            |t: Tensor, heads: usize| t.reshape((1, count, heads, head))?.transpose(1, 2)?.contiguous();
        let rotate =
            |t: Tensor| if self.rotation.interleaved { rope_i(&t, cos, sin) } else { rope(&t, cos, sin) };
        let query = rotate(by_head(query, heads)?)?;
        let key = rotate(by_head(key, kv_heads)?)?.squeeze(0)?;
        let (keys, values) = cache.write(at, &key, &by_head(value, kv_heads)?.squeeze(0)?)?;

        // The query heads that share a key head stand together: they become rows of one matrix, and nothing
        // has to be repeated.
        let query = query.reshape((kv_heads, heads / kv_heads * count, head))?;
        let weights = query.matmul(&keys.narrow(1, 0, total)?.transpose(1, 2)?)?;
        weights.inplace_op1(&CausalSoftmax { scale: (head as f32).sqrt().recip(), past, count })?;
        let mixed = weights.matmul(&values.narrow(1, 0, total)?)?;
        let mixed = mixed.reshape((heads, count, head))?.transpose(0, 1)?.contiguous()?;
        layer.out.forward(&mixed.reshape((count, heads * head))?)
    }
}

impl Rotation {
    /// The cosines and sines of positions `from..from + count`.
    fn at(&self, from: usize, count: usize) -> Result<(Tensor, Tensor)> {
        let angles = (from..from + count)
            .flat_map(|position| self.frequencies.iter().map(move |frequency| position as f32 * frequency));
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        let shape = (count, self.frequencies.len());
        Ok((Tensor::from_vec(cos, shape, &Device::Cpu)?, Tensor::from_vec(sin, shape, &Device::Cpu)?))
    }
}

/// Scores to weights: scaled, with what comes after a token left out, each row summing to one.
struct CausalSoftmax {
    scale: f32,
    /// Tokens before the first row's.
    past: usize,
    /// Rows of each head.
    count: usize,
}

impl InplaceOp1 for CausalSoftmax {
    fn name(&self) -> &'static str {
        "causal-softmax"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let columns = layout.shape().dim(D::Minus1)?;
        for (row, scores) in whole(storage, layout)?.chunks_exact_mut(columns).enumerate() {
            let visible = (self.past + row % self.count + 1).min(columns);
            let (scores, hidden) = scores.split_at_mut(visible);
            let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for score in scores.iter_mut() {
                *score = exp((*score - highest) * self.scale);
            }
            let share = scores.iter().sum::<f32>().recip();
            scores.iter_mut().for_each(|score| *score *= share);
            hidden.fill(0.0);
        }
        Ok(())
    }
}

/// `gate ← silu(gate) · up`.
struct SiluMul;

impl InplaceOp2 for SiluMul {
    fn name(&self) -> &'static str {
        "silu-mul"
    }

    fn cpu_fwd(&self, gate: &mut CpuStorage, at: &Layout, up: &CpuStorage, up_at: &Layout) -> Result<()> {
        let Some((from, to)) = up_at.contiguous_offsets() else {
            candle_core::bail!("the input is not contiguous")
        };
        let Some(up) = up.as_slice::<f32>()?.get(from..to) else {
            candle_core::bail!("the input is too short")
        };
        for (gate, up) in whole(gate, at)?.iter_mut().zip(up) {
            *gate = *gate / (1.0 + exp(-*gate)) * up;
        }
        Ok(())
    }
}

fn whole<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let numbers = match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(numbers), Some((from, to))) => numbers.get_mut(from..to),
        _ => None,
    };
    match numbers {
        Some(numbers) => Ok(numbers),
        None => candle_core::bail!("expected contiguous f32 numbers"),
    }
}

/// `e^x` to seven digits, in a form that the compiler turns into vector instructions, which the standard
/// library's is not: two fifths of the work beside the matrices was there.
///
/// `e^x = 2^n · e^r` with `n` whole and `|r| ≤ ln 2 / 2`; `e^r` by its series.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding and subtracting 1.5 · 2²³ rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let series = 1.0
        + r * (1.0
            + r * (0.5 + r * (0.166_666_67 + r * (0.041_666_67 + r * (0.008_333_34 + r * 0.001_388_89)))));
    let power = f32::from_bits(((n as i32 + 127) as u32) << 23);
    series * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for step in -8_600..8_700 {
            let x = step as f32 / 100.0;
            let error = (exp(x) / x.exp() - 1.0).abs();
            assert!(error < 1e-6, "exp({x}) is off by {error}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn softmax_hides_what_comes_later() {
        // Two heads of two rows each, after one earlier token.
        let scores = Tensor::from_vec(vec![1f32; 12], (2, 2, 3), &Device::Cpu).unwrap();
        scores.inplace_op1(&CausalSoftmax { scale: 1.0, past: 1, count: 2 }).unwrap();
        let rows: Vec<f32> = scores.flatten_all().unwrap().to_vec1().unwrap();
        let third = 1.0 / 3.0;
        let expected = [0.5, 0.5, 0.0, third, third, third, 0.5, 0.5, 0.0, third, third, third];
        assert!(rows.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-6), "{rows:?}");
    }
}
