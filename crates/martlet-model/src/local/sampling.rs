//! Which token comes next.

use std::hash::{BuildHasher, RandomState};

use martlet_core::{ModelFailureKind, ModelOptions};

use crate::error::ModelError;

/// Chooses tokens by the request's options.
pub(super) struct Sampler {
    temperature: f32,
    top_p: f32,
    top_k: usize,
    repeat_penalty: f32,
    state: u64,
}

/// How many tokens back a repetition counts.
const REPEAT_WINDOW: usize = 64;

impl Sampler {
    /// Without a temperature the most likely token is taken: small models need it.
    pub(super) fn new(options: &ModelOptions) -> Result<Self, ModelError> {
        let mut sampler = Self {
            temperature: options.temperature.unwrap_or(0.0),
            top_p: options.top_p.unwrap_or(1.0),
            top_k: usize::MAX,
            repeat_penalty: 1.0,
            state: options.seed.unwrap_or_else(|| RandomState::new().hash_one(0u8)),
        };
        let refused = |message: String| Err(ModelError::new(ModelFailureKind::Request, message));
        if !(0.0..=10.0).contains(&sampler.temperature) {
            return refused(format!("the temperature {} is not between 0 and 10", sampler.temperature));
        }
        if !(sampler.top_p > 0.0 && sampler.top_p <= 1.0) {
            return refused(format!("`top_p` {} is not above 0 and at most 1", sampler.top_p));
        }
        for (name, value) in &options.extra {
            match (name.as_str(), value.as_f64()) {
                ("top_k", Some(count)) if count >= 1.0 => sampler.top_k = count as usize,
                ("repeat_penalty", Some(factor)) if (1.0..=10.0).contains(&factor) => {
                    sampler.repeat_penalty = factor as f32;
                }
                ("top_k" | "repeat_penalty", _) => {
                    return refused(format!("the option `{name}` must be a number from 1 on"));
                }
                _ => {
                    return refused(format!(
                        "the embedded model has no option `{name}`; beside the common ones it knows `top_k` and \
                         `repeat_penalty`"
                    ));
                }
            }
        }
        Ok(sampler)
    }

    /// Chooses from `scores`, one for each token; `text` is what was written before.
    pub(super) fn choose(&mut self, scores: &mut [f32], text: &[u32]) -> u32 {
        if self.repeat_penalty != 1.0 {
            let mut recent: Vec<u32> = text.iter().rev().take(REPEAT_WINDOW).copied().collect();
            recent.sort_unstable();
            recent.dedup();
            for token in recent {
                if let Some(score) = scores.get_mut(token as usize) {
                    *score = if *score > 0.0 {
                        *score / self.repeat_penalty
                    } else {
                        *score * self.repeat_penalty
                    };
                }
            }
        }
        let best = highest(scores);
        if self.temperature < 1e-3 || self.top_k == 1 {
            return best;
        }
        let top = scores.get(best as usize).copied().unwrap_or(0.0);
        // What is 30 times e below the best has no share that could be drawn.
        let mut candidates: Vec<(u32, f32)> = (0u32..)
            .zip(scores.iter())
            .map(|(token, score)| (token, (score - top) / self.temperature))
            .filter(|(_, distance)| *distance > -30.0)
            .map(|(token, distance)| (token, distance.exp()))
            .collect();
        candidates.sort_unstable_by(|(one, p), (other, q)| q.total_cmp(p).then(one.cmp(other)));
        candidates.truncate(self.top_k);
        let all: f32 = candidates.iter().map(|(_, share)| share).sum();
        let mut seen = 0.0;
        let kept = candidates.iter().take_while(|(_, share)| {
            let wanted = seen < self.top_p * all;
            seen += share;
            wanted
        });
        let kept: Vec<(u32, f32)> = kept.copied().collect();
        let mut left = self.random() * kept.iter().map(|(_, share)| share).sum::<f32>();
        for (token, share) in &kept {
            left -= share;
            if left <= 0.0 {
                return *token;
            }
        }
        best
    }

    /// A number in 0..1, by SplitMix64.
    fn random(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}

fn highest(scores: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, score) in (0u32..).zip(scores) {
        if *score > best.1 {
            best = (token, *score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(temperature: f32, top_p: Option<f32>, seed: u64) -> ModelOptions {
        ModelOptions { temperature: Some(temperature), top_p, seed: Some(seed), ..ModelOptions::default() }
    }

    fn draws(options: &ModelOptions, scores: &[f32]) -> Vec<u32> {
        let mut sampler = Sampler::new(options).unwrap();
        (0..2_000).map(|_| sampler.choose(&mut scores.to_vec(), &[])).collect()
    }

    #[test]
    fn cold_is_the_most_likely() {
        assert!(draws(&options(0.0, None, 1), &[0.1, 3.0, 2.9]).iter().all(|token| *token == 1));
    }

    #[test]
    fn warm_follows_the_shares() {
        let drawn = draws(&options(1.0, None, 1), &[0.0, 3f32.ln(), f32::NEG_INFINITY]);
        let ones = drawn.iter().filter(|token| **token == 1).count();
        assert!((1_400..1_600).contains(&ones), "{ones}");
        assert!(!drawn.contains(&2));
    }

    #[test]
    fn top_p_leaves_the_tail_out() {
        let drawn = draws(&options(1.0, Some(0.6), 1), &[0.0, 3f32.ln(), -1.0]);
        assert!(drawn.iter().all(|token| *token == 1));
    }

    #[test]
    fn a_seed_repeats_itself() {
        let scores = [0.3, 0.2, 0.1];
        assert_eq!(draws(&options(1.0, None, 7), &scores), draws(&options(1.0, None, 7), &scores));
        assert_ne!(draws(&options(1.0, None, 7), &scores), draws(&options(1.0, None, 8), &scores));
    }

    #[test]
    fn repetition_can_be_made_less_likely() {
        let mut extra = serde_json::Map::new();
        extra.insert("repeat_penalty".to_owned(), 2.0.into());
        let options = ModelOptions { extra, ..ModelOptions::default() };
        let mut sampler = Sampler::new(&options).unwrap();
        assert_eq!(sampler.choose(&mut [3.0, 2.0], &[]), 0);
        assert_eq!(sampler.choose(&mut [3.0, 2.0], &[0]), 1);
    }

    #[test]
    fn impossible_options_are_refused() {
        assert!(Sampler::new(&options(-1.0, None, 0)).is_err());
        assert!(Sampler::new(&options(1.0, Some(0.0), 0)).is_err());
        let mut extra = serde_json::Map::new();
        extra.insert("mirostat".to_owned(), 2.into());
        let error = Sampler::new(&ModelOptions { extra, ..ModelOptions::default() }).err().unwrap();
        assert!(error.to_string().contains("mirostat"));
    }
}
