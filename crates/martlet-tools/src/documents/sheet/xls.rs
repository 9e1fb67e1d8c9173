//! Spreadsheets of Excel before 2007: what they unfold to, found before they are read.
//!
//! Such a file is a little file system ("compound file", \[MS-CFB\]) with a stream of records ("BIFF", \[MS-XLS\]) in it.
//! Its tables of sectors can lead in circles, and two cells in opposite corners unfold to a table of millions.

/// Checks that no chain of sectors leads in a circle, and that the sheets have at most `limit` cells together, as the
/// reader will hold them.
///
/// # Errors
/// The file is damaged, holds macros, or is a bomb.
pub(super) fn check(bytes: &[u8], limit: usize) -> Result<(), String> {
    let damaged = || "the file is damaged".to_owned();
    let file = CompoundFile::read(bytes).ok_or_else(damaged)?;
    let mut workbook = None;
    for entry in &file.entries {
        // Whatever is there may be read.
        let content = file.content(entry).ok_or_else(damaged)?;
        match entry.name.as_str() {
            "workbook" | "book" => workbook = Some(content),
            "_vba_project_cur" | "vba" => {
                return Err("the file holds macros, and is not read: ask for it as XLSX or CSV".to_owned());
            }
            _ => {}
        }
    }
    let sheets = Sheets::of(&workbook.ok_or_else(damaged)?).ok_or_else(damaged)?;
    if sheets.count.saturating_mul(sheets.largest) > limit {
        return Err(format!(
            "the spreadsheet unfolds to more than {limit} cells, which is too many to be read"
        ));
    }
    Ok(())
}

/// The end of a chain of sectors; larger numbers mean no sector either.
const NO_SECTOR: u32 = 0xffff_fffa;

struct CompoundFile<'a> {
    bytes: &'a [u8],
    sector: usize,
    next: Vec<u32>,
    mini_next: Vec<u32>,
    /// Streams that are smaller lie in sectors of 64 bytes inside of the root's own.
    mini_below: u64,
    entries: Vec<Entry>,
}

struct Entry {
    /// In lower case.
    name: String,
    is_root: bool,
    is_stream: bool,
    start: u32,
    size: u64,
}

impl<'a> CompoundFile<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let shift = u16_at(bytes, 30)?;
        if !matches!(shift, 9 | 12) {
            return None;
        }
        let mut file = Self {
            bytes,
            sector: 1 << shift,
            next: Vec::new(),
            mini_next: Vec::new(),
            mini_below: u32_at(bytes, 56)?.into(),
            entries: Vec::new(),
        };
        let sectors = bytes.len() / file.sector;
        let mut tables: Vec<u32> = (0..109).filter_map(|place| u32_at(bytes, 76 + place * 4)).collect();
        let mut more = u32_at(bytes, 68)?;
        let per_sector = file.sector / 4;
        while more < NO_SECTOR {
            let list = file.words(more)?;
            let (&last, list) = list.split_last()?;
            tables.extend(list);
            more = last;
            if tables.len() > 109 + sectors.saturating_mul(per_sector) {
                return None;
            }
        }
        for table in tables.into_iter().filter(|&table| table < NO_SECTOR) {
            if file.next.len() > sectors + per_sector {
                return None;
            }
            let words = file.words(table)?;
            file.next.extend(words);
        }
        for sector in file.chain(u32_at(bytes, 60)?, &file.next)? {
            let words = file.words(sector)?;
            file.mini_next.extend(words);
        }
        let mut directory = Vec::new();
        for sector in file.chain(u32_at(bytes, 48)?, &file.next)? {
            directory.extend_from_slice(file.sector(sector)?);
        }
        for entry in directory.chunks_exact(128) {
            let kind = *entry.get(66)?;
            if kind == 0 {
                continue;
            }
            let length = usize::from(u16_at(entry, 64)?).saturating_sub(2).min(64);
            let name: Vec<u16> = (0..length / 2).filter_map(|place| u16_at(entry, place * 2)).collect();
            let high = if shift == 9 { 0 } else { u64::from(u32_at(entry, 124)?) };
            file.entries.push(Entry {
                name: String::from_utf16_lossy(&name).to_lowercase(),
                is_root: kind == 5,
                is_stream: kind == 2,
                start: u32_at(entry, 116)?,
                size: u64::from(u32_at(entry, 120)?) | (high << 32),
            });
        }
        Some(file)
    }

    fn sector(&self, number: u32) -> Option<&'a [u8]> {
        let start = (number as usize).checked_add(1)?.checked_mul(self.sector)?;
        self.bytes.get(start..)?.get(..self.sector.min(self.bytes.len().checked_sub(start)?))
    }

    fn words(&self, sector: u32) -> Option<Vec<u32>> {
        Some(self.sector(sector)?.chunks_exact(4).filter_map(|word| u32_at(word, 0)).collect())
    }

    /// The sectors from `start` on; `None` if they lead nowhere, or in a circle.
    fn chain(&self, start: u32, next: &[u32]) -> Option<Vec<u32>> {
        let mut chain = Vec::new();
        let mut sector = start;
        while sector < NO_SECTOR {
            if chain.len() > next.len() {
                return None;
            }
            chain.push(sector);
            sector = *next.get(sector as usize)?;
        }
        Some(chain)
    }

    /// What is in a stream; `None` if its sectors lead nowhere.
    fn content(&self, entry: &Entry) -> Option<Vec<u8>> {
        if !entry.is_root && !entry.is_stream || entry.size == 0 {
            return Some(Vec::new());
        }
        let is_mini = entry.is_stream && entry.size < self.mini_below;
        let mut content = Vec::new();
        if is_mini {
            let root = self.entries.iter().find(|entry| entry.is_root)?;
            let all = self.content(root)?;
            for sector in self.chain(entry.start, &self.mini_next)? {
                let start = (sector as usize).checked_mul(64)?;
                content.extend_from_slice(all.get(start..(start + 64).min(all.len()))?);
            }
        } else {
            for sector in self.chain(entry.start, &self.next)? {
                content.extend_from_slice(self.sector(sector)?);
            }
        }
        content.truncate(usize::try_from(entry.size).ok()?);
        Some(content)
    }
}

/// What the sheets of a workbook unfold to.
#[derive(Default)]
struct Sheets {
    count: usize,
    /// The cells of the largest one, from its first used row and column to the last.
    largest: usize,
}

impl Sheets {
    fn of(stream: &[u8]) -> Option<Self> {
        let mut sheets = Self::default();
        let mut beginnings = Vec::new();
        let mut named = Vec::new();
        let mut used: Option<[usize; 4]> = None;
        let mut at = 0;
        while let (Some(kind), Some(length)) = (u16_at(stream, at), u16_at(stream, at + 2)) {
            let data = stream.get(at + 4..at + 4 + usize::from(length))?;
            match kind {
                // The beginning of the workbook's own records, or of a sheet.
                0x0009 | 0x0209 | 0x0409 | 0x0809 => {
                    sheets.add(used.take());
                    beginnings.push(at);
                }
                0x0085 => named.push(u32_at(data, 0)? as usize),
                // Cells: formulas, numbers, texts, truths, and several numbers in a row.
                0x0006 | 0x0203 | 0x0204 | 0x0205 | 0x00d6 | 0x00fd | 0x027e | 0x00bd => {
                    let (row, column) = (u16_at(data, 0)?.into(), u16_at(data, 2)?.into());
                    let last = if kind == 0x00bd {
                        u16_at(data, data.len().checked_sub(2)?)?.into()
                    } else {
                        column
                    };
                    used = Some(match used {
                        None => [row, row, column, last.max(column)],
                        Some([top, bottom, left, right]) => {
                            [top.min(row), bottom.max(row), left.min(column), right.max(last).max(column)]
                        }
                    });
                }
                _ => {}
            }
            at += 4 + usize::from(length);
        }
        sheets.add(used);
        sheets.count = named.len();
        // A sheet that begins in the middle of a record would be read as something else than was counted here.
        named.iter().all(|place| beginnings.contains(place)).then_some(sheets)
    }

    fn add(&mut self, used: Option<[usize; 4]>) {
        let cells = used.map_or(0, |[top, bottom, left, right]| (bottom - top + 1) * (right - left + 1));
        self.largest = self.largest.max(cells);
    }
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    let bytes = bytes.get(place..place.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    let bytes = bytes.get(place..place.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::check;

    const BOOK: &[u8] = include_bytes!("../../../tests/it/fixtures/book.xls");
    const CORNERS: &[u8] = include_bytes!("../../../tests/it/fixtures/corners.xls");

    #[test]
    fn sheets_are_counted_as_they_will_be_held() {
        assert_eq!(check(BOOK, 24), Ok(()), "two sheets, the larger one of four rows and three columns");
        assert!(check(BOOK, 23).unwrap_err().contains("more than 23 cells"));
        assert!(check(CORNERS, 5_000_000).unwrap_err().contains("more than 5000000 cells"));
    }

    #[test]
    fn no_damage_makes_it_run_on() {
        for cut in 0..BOOK.len() {
            let _ = check(&BOOK[..cut], 1_000);
        }
        // Each word of the header and of the tables, pointing back to where it came from.
        for place in (0..BOOK.len()).step_by(4) {
            for value in [0, 1, 2, u32::MAX, 0xffff_fff9] {
                let mut bytes = BOOK.to_vec();
                if let Some(word) = bytes.get_mut(place..place + 4) {
                    word.copy_from_slice(&u32::to_le_bytes(value));
                }
                let _ = check(&bytes, 1_000);
            }
        }
    }
}
