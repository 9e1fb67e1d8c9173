//! A file of weights, mapped into memory.
//!
//! The quantised blocks are used where the file system has them: they are not copied, and the system may
//! drop their pages when memory is short and read them again.

use std::fs::File;
use std::io::Cursor;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::k_quants::{self, GgmlType};
use candle_core::quantized::{GgmlDType, QStorage, QTensor, QuantizedType};
use candle_core::{CpuStorage, Device, Tensor};
use martlet_core::ModelFailureKind;
use memmap2::Mmap;

use crate::error::ModelError;

/// The kernels work on so many rows at once.
const BAND: usize = 16;

/// A GGUF file: its metadata and its tensors.
pub(super) struct WeightFile {
    map: Arc<Mmap>,
    content: Content,
    path: String,
}

impl WeightFile {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let shown = path.display().to_string();
        let file = File::open(path).map_err(|error| {
            ModelError::new(
                ModelFailureKind::Local,
                format!("cannot open the weights {shown}: {error}; check the path and its permissions"),
            )
            .with_source(error)
        })?;
        #[expect(
            unsafe_code,
            reason = "a mapping of a file is unsafe because the file may change underneath"
        )]
        // SAFETY: the weights are written under another name and renamed when they are complete; nothing
        // writes to the file after that.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| {
            ModelError::new(
                ModelFailureKind::Local,
                format!("cannot map the weights {shown} into memory: {error}"),
            )
            .with_source(error)
        })?;
        let content = Content::read(&mut Cursor::new(&map[..])).map_err(|error| {
            ModelError::new(
                ModelFailureKind::Local,
                format!("{shown} is not a GGUF file that this engine can read; use a GGUF of a qwen2 or llama model"),
            )
            .with_source(error)
        })?;
        Ok(Self { map: Arc::new(map), content, path: shown })
    }

    /// A failure of this file: `what` says what is wrong with it.
    pub(super) fn unusable(&self, what: impl std::fmt::Display) -> ModelError {
        ModelError::new(
            ModelFailureKind::Local,
            format!(
                "the embedded engine cannot run {}: {what}; use a GGUF of a qwen2 or llama model with a ChatML \
                 template, or serve this one with Ollama or llama.cpp",
                self.path
            ),
        )
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(|value| value.to_string().ok()).map(String::as_str)
    }

    pub(super) fn number(&self, key: &str) -> Option<usize> {
        match self.value(key)? {
            Value::I32(number) => usize::try_from(*number).ok(),
            Value::I64(number) => usize::try_from(*number).ok(),
            value => value.to_u64().ok().and_then(|number| usize::try_from(number).ok()),
        }
    }

    pub(super) fn required(&self, key: &str) -> Result<usize, ModelError> {
        self.number(key).ok_or_else(|| self.unusable(format_args!("it does not say `{key}`")))
    }

    pub(super) fn float(&self, key: &str) -> Option<f32> {
        self.value(key).and_then(|value| value.to_f32().ok())
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.value(key).and_then(|value| value.to_bool().ok()).unwrap_or(false)
    }

    pub(super) fn array(&self, key: &str) -> Result<&[Value], ModelError> {
        self.value(key)
            .and_then(|value| value.to_vec().ok())
            .map(Vec::as_slice)
            .ok_or_else(|| self.unusable(format_args!("it has no list `{key}`")))
    }

    pub(super) fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// A quantised tensor, read where it is mapped.
    pub(super) fn tensor(&self, name: &str) -> Result<QTensor, ModelError> {
        let mut whole = self.bands(name, 1)?;
        whole.pop().ok_or_else(|| self.unusable(format_args!("tensor `{name}` is empty")))
    }

    /// A quantised matrix in at most `count` bands of rows, each read where it is mapped. Where the rows do not
    /// divide as the kernels need it, there are fewer bands.
    pub(super) fn bands(&self, name: &str, count: usize) -> Result<Vec<QTensor>, ModelError> {
        let info = self
            .content
            .tensor_infos
            .get(name)
            .ok_or_else(|| self.unusable(format_args!("it has no tensor `{name}`")))?;
        let (elements, block) = (info.shape.elem_count(), info.ggml_dtype.block_size());
        let length = (elements / block)
            .checked_mul(info.ggml_dtype.type_size())
            .filter(|_| elements.is_multiple_of(block))
            .ok_or_else(|| self.unusable(format_args!("tensor `{name}` has an odd size")))?;
        let start = self
            .content
            .tensor_data_offset
            .checked_add(info.offset)
            .and_then(|start| usize::try_from(start).ok())
            .filter(|start| start.checked_add(length).is_some_and(|end| end <= self.map.len()))
            .ok_or_else(|| self.unusable(format_args!("it ends before tensor `{name}`: it is cut off")))?;
        let part = |start: usize, length: usize, shape: &[usize]| {
            let storage = mapped(&self.map, start, length, info.ggml_dtype).ok_or_else(|| {
                self.unusable(format_args!("tensor `{name}` has an unsupported type or place"))
            })?;
            QTensor::new(QStorage::Cpu(storage), shape).map_err(|error| {
                self.unusable(format_args!("tensor `{name}` is malformed")).with_source(error)
            })
        };
        let &[rows, columns] = info.shape.dims() else {
            return Ok(vec![part(start, length, info.shape.dims())?]);
        };
        if count < 2 || rows == 0 || !columns.is_multiple_of(block) {
            return Ok(vec![part(start, length, &[rows, columns])?]);
        }
        let band = rows.div_ceil(count).next_multiple_of(BAND);
        let row = length / rows;
        (0..rows)
            .step_by(band)
            .map(|first| {
                let rows = band.min(rows - first);
                part(start + first * row, rows * row, &[rows, columns])
            })
            .collect()
    }

    /// A small tensor (a norm, a bias) as plain numbers.
    pub(super) fn vector(&self, name: &str) -> Result<Tensor, ModelError> {
        self.tensor(name)?
            .dequantize(&Device::Cpu)
            .map_err(|error| self.unusable(format_args!("tensor `{name}` cannot be read")).with_source(error))
    }

    /// Tells the system that the mapped pages are not needed at the moment: they stay in its file cache and
    /// come back when they are touched.
    pub(super) fn release_pages(&self) {
        #[cfg(unix)]
        {
            #[expect(unsafe_code, reason = "dropping the pages of a private mapping would lose writes to it")]
            // SAFETY: the mapping is read-only, so a dropped page is read again from the file.
            let result = unsafe { self.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
            if let Err(error) = result {
                tracing::debug!(%error, "the pages of the weights could not be released");
            }
        }
    }
}

/// The blocks of type `T` in a mapped file.
struct Mapped<T> {
    map: Arc<Mmap>,
    start: usize,
    count: usize,
    blocks: PhantomData<fn() -> T>,
}

fn mapped(map: &Arc<Mmap>, start: usize, length: usize, kind: GgmlDType) -> Option<Box<dyn QuantizedType>> {
    fn of<T: GgmlType + 'static>(
        map: &Arc<Mmap>,
        start: usize,
        length: usize,
    ) -> Option<Box<dyn QuantizedType>> {
        let bytes = map.get(start..start.checked_add(length)?)?;
        let whole = length.is_multiple_of(size_of::<T>()) && bytes.as_ptr().cast::<T>().is_aligned();
        whole.then(|| {
            Box::new(Mapped::<T> {
                map: Arc::clone(map),
                start,
                count: length / size_of::<T>(),
                blocks: PhantomData,
            }) as Box<dyn QuantizedType>
        })
    }
    match kind {
        GgmlDType::F32 => of::<f32>(map, start, length),
        GgmlDType::F16 => of::<half::f16>(map, start, length),
        GgmlDType::BF16 => of::<half::bf16>(map, start, length),
        GgmlDType::Q4_0 => of::<k_quants::BlockQ4_0>(map, start, length),
        GgmlDType::Q4_1 => of::<k_quants::BlockQ4_1>(map, start, length),
        GgmlDType::Q5_0 => of::<k_quants::BlockQ5_0>(map, start, length),
        GgmlDType::Q5_1 => of::<k_quants::BlockQ5_1>(map, start, length),
        GgmlDType::Q8_0 => of::<k_quants::BlockQ8_0>(map, start, length),
        GgmlDType::Q2K => of::<k_quants::BlockQ2K>(map, start, length),
        GgmlDType::Q3K => of::<k_quants::BlockQ3K>(map, start, length),
        GgmlDType::Q4K => of::<k_quants::BlockQ4K>(map, start, length),
        GgmlDType::Q5K => of::<k_quants::BlockQ5K>(map, start, length),
        GgmlDType::Q6K => of::<k_quants::BlockQ6K>(map, start, length),
        // These two hold activations; no file stores weights in them.
        GgmlDType::Q8_1 | GgmlDType::Q8K => None,
    }
}

impl<T: GgmlType> Mapped<T> {
    fn blocks(&self) -> &[T] {
        #[expect(unsafe_code, reason = "the blocks are read in place")]
        // SAFETY: `mapped` checked that the bytes are there, whole and aligned, and gives as `T` only numbers
        // and `repr(C)` structs of numbers, for which every bit pattern is a value. The mapping is read-only
        // and lives as long as `self`.
        unsafe {
            std::slice::from_raw_parts(self.as_ptr().cast::<T>(), self.count)
        }
    }

    fn bytes(&self) -> usize {
        self.count * size_of::<T>()
    }

    fn as_ptr(&self) -> *const u8 {
        self.map.get(self.start..).map_or(std::ptr::NonNull::<T>::dangling().as_ptr().cast(), <[u8]>::as_ptr)
    }
}

impl<T: GgmlType> QuantizedType for Mapped<T> {
    fn dtype(&self) -> GgmlDType {
        T::DTYPE
    }

    fn matmul_t(
        &self,
        sizes: (usize, usize, usize),
        left: &[f32],
        result: &mut [f32],
    ) -> candle_core::Result<()> {
        k_quants::matmul(sizes, left, self.blocks(), result)
    }

    fn matmul_t_f16(
        &self,
        sizes: (usize, usize, usize),
        left: &[half::f16],
        result: &mut [half::f16],
    ) -> candle_core::Result<()> {
        k_quants::matmul_f16(sizes, left, self.blocks(), result)
    }

    fn embedding(&self, ids: &[u32], rows: usize, hidden: usize) -> candle_core::Result<CpuStorage> {
        let row_blocks = hidden / T::BLCK_SIZE;
        let mut looked_up = vec![0f32; ids.len() * hidden];
        for (row, id) in looked_up.chunks_exact_mut(hidden).zip(ids) {
            let first = *id as usize * row_blocks;
            match self.blocks().get(first..first + row_blocks) {
                Some(blocks) => T::to_float(blocks, row),
                None => candle_core::bail!("token {id} is not one of the {rows} of the embedding"),
            }
        }
        Ok(CpuStorage::F32(looked_up))
    }

    fn dequantize(&self, elements: usize) -> candle_core::Result<CpuStorage> {
        let mut numbers = vec![0f32; elements];
        T::to_float(self.blocks(), &mut numbers);
        Ok(CpuStorage::F32(numbers))
    }

    fn storage_size_in_bytes(&self) -> usize {
        self.bytes()
    }

    fn as_ptr(&self) -> *const u8 {
        Mapped::as_ptr(self)
    }

    fn block_size(&self) -> usize {
        T::BLCK_SIZE
    }

    // The trait also describes tensors that are being quantised. A mapped file is only read, and nothing in
    // this crate quantises.
    fn from_float(&mut self, _numbers: &[f32]) {
        debug_assert!(false, "a mapped tensor is read-only");
    }

    fn from_float_imatrix(&mut self, _numbers: &[f32], _weights: &[f32], _row: usize) {
        debug_assert!(false, "a mapped tensor is read-only");
    }

    fn size(&self) -> usize {
        self.bytes()
    }
}
