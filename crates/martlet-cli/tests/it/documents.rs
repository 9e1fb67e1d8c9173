//! Documents are read by a process of their own, so that what a file makes a parser do ends with that process.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What the reader answers about a PDF file.
fn read(pdf: &[u8]) -> String {
    let mut reader = Command::new(env!("CARGO_BIN_EXE_martlet"))
        .arg("document-reader")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = reader.stdin.take().unwrap();
    stdin.write_all(b"{\"Pages\":{\"first\":1,\"count\":9,\"max_chars\":1000}}\n").unwrap();
    stdin.write_all(pdf).unwrap();
    drop(stdin);
    String::from_utf8(reader.wait_with_output().unwrap().stdout).unwrap()
}

/// A PDF file whose stream of objects names one long text `times` times: each time is a copy of it.
fn named_often(times: usize) -> Vec<u8> {
    let text = format!("({})", "a".repeat(600_000));
    let index = (0..times).fold(String::new(), |mut index, place| {
        write!(index, "{} 0 ", place + 10).unwrap();
        index
    });
    let mut file = b"%PDF-1.5\n".to_vec();
    let mut places = Vec::new();
    let mut object = |file: &mut Vec<u8>, body: &str| {
        places.push(file.len());
        write!(file, "{} 0 obj\n{body}\nendobj\n", places.len()).unwrap();
    };
    object(&mut file, "<< /Type /Catalog /Pages 2 0 R >>");
    object(&mut file, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
    object(&mut file, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 10 10] >>");
    let (first, length) = (index.len(), index.len() + text.len());
    let dictionary = format!("<< /Type /ObjStm /N {times} /First {first} /Length {length} >>");
    object(&mut file, &format!("{dictionary}\nstream\n{index}{text}\nendstream"));
    let start = file.len();
    places.push(start);
    let mut table = vec![0; 9];
    let mut entry = |kind: u8, place: usize, number: usize| {
        table.push(kind);
        table.extend(u32::try_from(place).unwrap().to_be_bytes());
        table.extend(u32::try_from(number).unwrap().to_be_bytes());
    };
    places.iter().for_each(|place| entry(1, *place, 0));
    (6..10).for_each(|_| entry(0, 0, 0));
    (0..times).for_each(|number| entry(2, 4, number));
    let (size, length) = (10 + times, table.len());
    let dictionary = format!("<< /Type /XRef /Size {size} /W [1 4 4] /Root 1 0 R /Length {length} >>");
    write!(file, "5 0 obj\n{dictionary}\nstream\n").unwrap();
    file.extend(table);
    write!(file, "\nendstream\nendobj\nstartxref\n{start}\n%%EOF\n").unwrap();
    file
}

#[test]
fn a_file_that_unfolds_without_end_costs_its_reader_alone() {
    // Read to its end it would take 36 GB.
    assert_eq!(read(&named_often(60_000)), "");
    let harmless = read(&named_often(2));
    assert!(harmless.contains("its pages are pictures"), "{harmless}");
    assert!(read(b"no PDF").contains("cannot be read"));
}
