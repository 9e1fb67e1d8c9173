//! What the model remembers of a text that it has read: the keys and values of each layer.

use candle_core::{DType, Device, Result, Tensor};

use super::transformer::Sizes;

/// Room is made for so many tokens at a time.
const STEP: usize = 256;

/// The keys and values of one text.
pub(super) struct KvCache {
    sizes: Sizes,
    /// Keys and values of each layer: key heads × room × head.
    layers: Vec<(Tensor, Tensor)>,
    room: usize,
    tokens: Vec<u32>,
}

impl KvCache {
    pub(super) fn new(sizes: Sizes) -> Self {
        Self { sizes, layers: Vec::new(), room: 0, tokens: Vec::new() }
    }

    /// How many tokens it holds.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.room * self.sizes.layers * self.sizes.kv_heads * self.sizes.head * 2 * size_of::<f32>()
    }

    /// Makes room for `more` tokens.
    pub(super) fn reserve(&mut self, more: usize) -> Result<()> {
        let needed = self.len() + more;
        if needed > self.room {
            *self = self.copied(self.len(), needed.next_multiple_of(STEP))?;
        }
        Ok(())
    }

    /// A copy of the first `kept` tokens.
    pub(super) fn prefix(&self, kept: usize) -> Result<Self> {
        self.copied(kept, (kept + 1).next_multiple_of(STEP))
    }

    fn copied(&self, kept: usize, room: usize) -> Result<Self> {
        let Sizes { kv_heads, head, layers, .. } = self.sizes;
        let copy = |old: Option<&Tensor>| -> Result<Tensor> {
            let new = Tensor::zeros((kv_heads, room, head), DType::F32, &Device::Cpu)?;
            if let Some(old) = old
                && kept > 0
            {
                new.slice_set(&old.narrow(1, 0, kept)?.contiguous()?, 1, 0)?;
            }
            Ok(new)
        };
        let layers = (0..layers)
            .map(|at| {
                let old = self.layers.get(at);
                Ok((copy(old.map(|(keys, _)| keys))?, copy(old.map(|(_, values)| values))?))
            })
            .collect::<Result<_>>()?;
        let tokens = self.tokens.iter().take(kept).copied().collect();
        Ok(Self { sizes: self.sizes, layers, room, tokens })
    }

    /// Forgets all but the first `kept` tokens.
    pub(super) fn truncate(&mut self, kept: usize) {
        self.tokens.truncate(kept);
    }

    /// Writes the next tokens' keys and values of layer `at`; they count once [`KvCache::advance`] is called.
    /// Gives the layer's whole tables.
    pub(super) fn write(&self, at: usize, keys: &Tensor, values: &Tensor) -> Result<(&Tensor, &Tensor)> {
        let Some((all_keys, all_values)) = self.layers.get(at) else {
            candle_core::bail!("no room in the cache")
        };
        all_keys.slice_set(keys, 1, self.len())?;
        all_values.slice_set(values, 1, self.len())?;
        Ok((all_keys, all_values))
    }

    pub(super) fn advance(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
    }

    fn shared_with(&self, prompt: &[u32]) -> usize {
        self.tokens.iter().zip(prompt).take_while(|(own, other)| own == other).count()
    }
}

/// The caches of the last conversations, the least recently used first.
pub(super) struct Caches {
    sizes: Sizes,
    idle: Vec<KvCache>,
    budget: usize,
}

impl Caches {
    /// Keeps idle caches up to `budget` bytes.
    pub(super) fn new(sizes: Sizes, budget: usize) -> Self {
        Self { sizes, idle: Vec::new(), budget }
    }

    /// A cache that holds the longest known beginning of `prompt`, but never all of it: the last token has to
    /// be read again, because its scores are not kept.
    pub(super) fn take(&mut self, prompt: &[u32]) -> Result<KvCache> {
        let best = self.idle.iter().enumerate().max_by_key(|(_, cache)| cache.shared_with(prompt));
        let Some((at, found)) = best else { return Ok(KvCache::new(self.sizes)) };
        let shared = found.shared_with(prompt).min(prompt.len().saturating_sub(1));
        if shared == 0 {
            return Ok(KvCache::new(self.sizes));
        }
        // The same conversation goes on where most of the text is shared; otherwise it is another one with the
        // same instructions, and the first one's cache is left to it.
        if shared * 4 >= found.len() * 3 {
            let mut cache = self.idle.remove(at);
            cache.truncate(shared);
            return Ok(cache);
        }
        found.prefix(shared)
    }

    /// Keeps `cache` for later.
    pub(super) fn put(&mut self, cache: KvCache) {
        if cache.len() > 0 {
            self.idle.push(cache);
        }
        while self.idle.len() > 1 && self.idle.iter().map(KvCache::bytes).sum::<usize>() > self.budget {
            self.idle.remove(0);
        }
    }

    pub(super) fn clear(&mut self) {
        self.idle.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { layers: 1, heads: 1, kv_heads: 1, head: 2, context: 4096 };

    fn cache(tokens: &[u32]) -> KvCache {
        let mut cache = KvCache::new(SIZES);
        cache.reserve(tokens.len()).unwrap();
        for token in tokens {
            let entry = Tensor::full(*token as f32, (1, 1, 2), &Device::Cpu).unwrap();
            cache.write(0, &entry, &entry).unwrap();
            cache.advance(&[*token]);
        }
        cache
    }

    fn held(cache: &KvCache) -> Vec<u32> {
        let keys: Vec<f32> = cache.layers[0].0.flatten_all().unwrap().to_vec1().unwrap();
        (0..cache.len()).map(|at| keys[at * 2] as u32).collect()
    }

    #[test]
    fn a_conversation_that_goes_on_takes_its_cache_back() {
        let mut caches = Caches::new(SIZES, usize::MAX);
        caches.put(cache(&[1, 2, 3, 4]));
        let taken = caches.take(&[1, 2, 3, 4, 5]).unwrap();
        assert_eq!(held(&taken), [1, 2, 3, 4]);
        assert!(caches.idle.is_empty());
    }

    #[test]
    fn the_last_token_is_always_read_again() {
        let mut caches = Caches::new(SIZES, usize::MAX);
        caches.put(cache(&[1, 2, 3, 4]));
        assert_eq!(held(&caches.take(&[1, 2, 3, 4]).unwrap()), [1, 2, 3]);
    }

    #[test]
    fn another_conversation_with_the_same_beginning_copies_it() {
        let mut caches = Caches::new(SIZES, usize::MAX);
        caches.put(cache(&[1, 2, 3, 4, 5, 6]));
        let taken = caches.take(&[1, 2, 7, 8]).unwrap();
        assert_eq!(held(&taken), [1, 2]);
        assert_eq!(caches.idle.len(), 1);
    }

    #[test]
    fn growing_keeps_what_is_there() {
        let mut grown = cache(&[1, 2, 3]);
        grown.reserve(STEP).unwrap();
        assert_eq!(held(&grown), [1, 2, 3]);
        assert_eq!(grown.room, 2 * STEP);
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut caches = Caches::new(SIZES, 2 * cache(&[1]).bytes());
        for token in 1..=3 {
            caches.put(cache(&[token, token]));
        }
        assert_eq!(caches.idle.len(), 2);
        assert_eq!(caches.take(&[1, 1, 1]).unwrap().len(), 0);
        assert_eq!(caches.take(&[3, 3, 3]).unwrap().len(), 2);
    }
}
