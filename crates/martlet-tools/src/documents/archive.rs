//! What unfolds from a ZIP archive, as spreadsheets are.

use std::io::{self, Cursor, Read as _};

use zip::ZipArchive;

/// The most bytes that an archive may unfold to.
const MAX_UNPACKED: u64 = 128 * 1024 * 1024;
/// The most files in it.
const MAX_FILES: usize = 4_096;

/// Unfolds all of an archive once, without keeping it: what its directory says of sizes may be wrong.
///
/// # Errors
/// It is damaged, or a bomb.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let damaged = |error: &dyn std::fmt::Display| format!("the file is damaged ({error})");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    if archive.len() > MAX_FILES {
        return Err("the file holds too many parts to be read".to_owned());
    }
    let mut left = MAX_UNPACKED;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| damaged(&error))?;
        let unpacked =
            io::copy(&mut entry.take(left + 1), &mut io::sink()).map_err(|error| damaged(&error))?;
        left = left.checked_sub(unpacked).ok_or_else(|| {
            format!("the file unfolds to more than {} MiB, which is too large to be read", MAX_UNPACKED >> 20)
        })?;
    }
    Ok(())
}

/// The text of a part of an archive that was checked.
pub(super) fn part(bytes: &[u8], name: &str) -> Option<String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut text = String::new();
    archive.by_name(name).ok()?.take(MAX_UNPACKED).read_to_string(&mut text).ok()?;
    Some(text)
}
