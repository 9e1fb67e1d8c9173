//! Saved sessions: the interpreter's own dump in an envelope that tells a whole one from a damaged one.
//!
//! The interpreter trusts what it loads: bytes that are not its own may make it abort. The envelope is what
//! stands between it and a truncated row or a file of another program.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bumped when the layout of the envelope or the meaning of its record changes.
const FORMAT: u16 = 1;
const MAGIC: &[u8; 8] = b"MARTLET\x01";
/// Magic, format, the interpreter's dump version, kind, record length, dump length, checksum.
const HEADER: usize = 8 + 2 + 2 + 1 + 4 + 8 + 4;

/// What was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A session between two programs.
    Session,
    /// A program that waits.
    Program,
}

/// Why bytes are not a saved session that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotError(String);

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SnapshotError {}

/// Puts our record and the interpreter's dump into one envelope.
pub(crate) fn seal(kind: Kind, record: &impl Serialize, dump: &[u8]) -> Result<Vec<u8>, SnapshotError> {
    let record = serde_json::to_vec(record).map_err(|error| SnapshotError(error.to_string()))?;
    let record_len =
        u32::try_from(record.len()).map_err(|_| SnapshotError("the record is too large".into()))?;
    let mut bytes = Vec::with_capacity(HEADER + record.len() + dump.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&monty::DUMP_VERSION.to_le_bytes());
    bytes.push(kind.tag());
    bytes.extend_from_slice(&record_len.to_le_bytes());
    bytes.extend_from_slice(&(dump.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&checksum(&record, dump).to_le_bytes());
    bytes.extend_from_slice(&record);
    bytes.extend_from_slice(dump);
    Ok(bytes)
}

/// Checks the envelope without reading what is in it.
pub(crate) fn check(kind: Kind, bytes: &[u8]) -> Result<(), SnapshotError> {
    split(kind, bytes).map(|_| ())
}

/// Takes the record and the interpreter's dump out of the envelope.
pub(crate) fn unseal<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<(T, &[u8]), SnapshotError> {
    let (record, dump) = split(kind, bytes)?;
    let record = serde_json::from_slice(record)
        .map_err(|error| SnapshotError(format!("its record cannot be read: {error}")))?;
    Ok((record, dump))
}

fn split(kind: Kind, bytes: &[u8]) -> Result<(&[u8], &[u8]), SnapshotError> {
    let fault = |what: &str| SnapshotError(what.to_owned());
    let (header, body) = bytes
        .split_at_checked(HEADER)
        .filter(|(header, _)| header.starts_with(MAGIC))
        .ok_or_else(|| fault("it is not a saved Python session"))?;
    let mut fields = header.get(MAGIC.len()..).unwrap_or_default();
    let format = u16::from_le_bytes(take(&mut fields));
    if format != FORMAT {
        return Err(SnapshotError(format!("its format is {format}, this version reads {FORMAT}")));
    }
    let dump_version = u16::from_le_bytes(take(&mut fields));
    let readable = monty::MIN_SUPPORTED_DUMP_VERSION..=monty::DUMP_VERSION;
    if !readable.contains(&dump_version) {
        return Err(SnapshotError(format!(
            "an interpreter with dump format {dump_version} wrote it, this one reads {} to {}",
            readable.start(),
            readable.end()
        )));
    }
    let [tag] = take(&mut fields);
    let record_len = u32::from_le_bytes(take(&mut fields)) as usize;
    let dump_len = u64::from_le_bytes(take(&mut fields));
    let expected = u32::from_le_bytes(take(&mut fields));
    if body.len() as u64 != (record_len as u64).saturating_add(dump_len) {
        return Err(SnapshotError(format!(
            "{} bytes are there of {}",
            body.len(),
            (record_len as u64).saturating_add(dump_len)
        )));
    }
    let (record, dump) = body.split_at_checked(record_len).ok_or_else(|| fault("it is cut off"))?;
    if checksum(record, dump) != expected {
        return Err(fault("its checksum is wrong"));
    }
    if tag != kind.tag() {
        return Err(fault("it was saved in another state than it is restored to"));
    }
    Ok((record, dump))
}

fn checksum(record: &[u8], dump: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(record);
    hasher.update(dump);
    hasher.finalize()
}

/// The next `N` bytes; zeros where there are none, which [`split`] rules out by the length of the header.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    match bytes.split_first_chunk::<N>() {
        Some((chunk, rest)) => {
            *bytes = rest;
            *chunk
        }
        None => [0; N],
    }
}

impl Kind {
    fn tag(self) -> u8 {
        match self {
            Self::Session => 0,
            Self::Program => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_sealed() {
        let sealed = seal(Kind::Session, &"record", b"dump").unwrap();
        let (record, dump) = unseal::<String>(Kind::Session, &sealed).unwrap();
        assert_eq!((record.as_str(), dump), ("record", &b"dump"[..]));
    }

    #[test]
    fn refuses_every_damaged_byte_and_every_truncation() {
        let sealed = seal(Kind::Program, &"record", b"dump").unwrap();
        for position in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[position] ^= 0x10;
            // The dump version has a small range of readable values; the interpreter checks its own header.
            if !(10..12).contains(&position) {
                assert!(check(Kind::Program, &damaged).is_err(), "byte {position}");
            }
            assert!(check(Kind::Program, &sealed[..position]).is_err(), "length {position}");
        }
        assert!(check(Kind::Session, &sealed).is_err());
    }
}
