//! `read_file`: what is in the files of a run.

use martlet_tools::{Files, Part, ReadFile, ToolContext, ToolFailure, ToolFailureKind, Toolbox};
use serde_json::{Value, json};

macro_rules! fixture {
    ($name:literal) => {
        Part::file($name, "application/octet-stream", &include_bytes!(concat!("fixtures/", $name))[..])
    };
}

async fn read_with(cx: ToolContext, parts: &[Part], arguments: Value) -> Result<String, ToolFailure> {
    let tools = Toolbox::new().with(ReadFile::new()).unwrap();
    let cx = cx.with_files(Files::of(parts));
    let output = tools.call("read_file", arguments.as_object().unwrap().clone(), &cx).await?;
    Ok(output.to_text())
}

async fn read(parts: &[Part], arguments: Value) -> Result<String, ToolFailure> {
    read_with(ToolContext::trial(), parts, arguments).await
}

#[tokio::test]
async fn texts_are_read_in_their_encoding_and_in_pieces() {
    let long: String = (1..=2_000).map(|row| format!("{row};name {row};{}\n", row * 2)).collect();
    let parts = [
        Part::file("a.txt", "text/plain", &b"caf\xe9 au lait"[..]),
        Part::file("sales.csv", "text/csv", format!("id;name;twice\n{long}").into_bytes()),
        Part::file("a.txt", "text/plain", &b"cr\xe8me"[..]),
        Part::file("data.json", "application/json", &b"{\"a\": 1}"[..]),
        Part::image("image/png", &b"x"[..]),
    ];
    assert_eq!(
        read(&parts, json!({"name": "a.txt"})).await.unwrap(),
        "crème",
        "the last one of a name counts"
    );
    assert_eq!(read(&parts, json!({"name": "DATA.json"})).await.unwrap(), "{\"a\": 1}");
    let rows = read(&parts, json!({"name": "sales.csv", "start": 2_000})).await.unwrap();
    assert_eq!(rows, "1999,name 1999,3998\n2000,name 2000,4000\n\n[these are the rows 2000 to 2001 of 2001]");
    let two = read(&parts, json!({"name": "sales.csv", "count": 2})).await.unwrap();
    assert_eq!(
        two,
        "id,name,twice\n1,name 1,2\n\n[these are the rows 1 to 2 of 2001; to read on, use start=3]"
    );
    // A model is shown what it can be shown whole; a program is given all of it.
    let shown = read_with(ToolContext::trial().with_shown_chars(1_000), &parts, json!({"name": "sales.csv"}))
        .await
        .unwrap();
    assert!(shown.chars().count() < 1_000 && shown.contains("to read on, use start="), "{shown}");
    let whole = read(&parts, json!({"name": "sales.csv"})).await.unwrap();
    assert!(whole.ends_with("2000,name 2000,4000"), "{}", whole.len());
}

#[tokio::test]
async fn what_cannot_be_read_is_said_with_what_to_do() {
    let parts = [
        Part::file("empty.txt", "text/plain", &b""[..]),
        Part::file("program", "application/octet-stream", &b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"[..]),
        Part::file("old.doc", "application/msword", &b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0"[..]),
        Part::file("a.csv", "text/csv", &b"a,b\n1,2\n"[..]),
    ];
    for (arguments, reason) in [
        (
            json!({"name": "missing.csv"}),
            "there is no file `missing.csv` with this task: `empty.txt`, `program`",
        ),
        (json!({"name": "empty.txt"}), "is empty"),
        (json!({"name": "program"}), "is no text, table or PDF file"),
        (json!({"name": "old.doc"}), "Office before 2007"),
        (json!({"name": "a.csv", "start": 3}), "there are 2 rows, so there is nothing from 3 on"),
    ] {
        let failure = read(&parts, arguments).await.unwrap_err();
        assert!(failure.message.contains(reason), "{failure}");
    }
    let none = read(&[], json!({"name": "x"})).await.unwrap_err();
    assert_eq!((none.kind, none.message.ends_with("there are none")), (ToolFailureKind::Arguments, true));
    assert!(read(&parts, json!({"name": "a.csv", "start": 0})).await.is_err());
}

#[cfg(feature = "documents")]
mod documents {
    use super::*;

    #[tokio::test]
    async fn spreadsheets_are_read_sheet_by_sheet() {
        let parts = [fixture!("book.xlsx"), fixture!("book.ods")];
        assert_eq!(
            read(&parts, json!({"name": "book.xlsx"})).await.unwrap(),
            "City,Amount,Day\n\"Paris, FR\",12.5,2023-03-15\n\nRome,7\n\n[this is the sheet `Sales`; there are also: Notes]"
        );
        assert_eq!(
            read(&parts, json!({"name": "book.xlsx", "sheet": "sales", "start": 2, "count": 1}))
                .await
                .unwrap(),
            "\"Paris, FR\",12.5,2023-03-15\n\n[these are the rows 2 to 2 of 4; to read on, use start=3]"
        );
        assert_eq!(
            read(&parts, json!({"name": "book.xlsx", "sheet": "Notes"})).await.unwrap(),
            "only a note"
        );
        assert_eq!(read(&parts, json!({"name": "book.ods"})).await.unwrap(), "Bird,Count\nSwift,3");
        assert_eq!(
            read(&[fixture!("book.xls")], json!({"name": "book.xls"})).await.unwrap(),
            "City,Amount,Day\n\"Paris, FR\",12.5,2023-03-15\n\nRome,7\n\n[this is the sheet `Sales`; there are also: Notes]"
        );
        let failure = read(&parts, json!({"name": "book.xlsx", "sheet": "Costs"})).await.unwrap_err();
        assert!(failure.message.contains("there are `Sales`, `Notes`"), "{failure}");
    }

    #[tokio::test]
    async fn pdf_files_are_read_page_by_page() {
        let parts = [fixture!("birds.pdf")];
        assert_eq!(
            read(&parts, json!({"name": "birds.pdf"})).await.unwrap(),
            "--- page 1 ---\nA swift sleeps on the wing.\n--- page 2 ---\nA martlet has no feet.\n--- page 3 ---\nThe end."
        );
        let second = read(&parts, json!({"name": "birds.pdf", "start": 2, "count": 1})).await.unwrap();
        assert_eq!(
            second,
            "--- page 2 ---\nA martlet has no feet.\n\n[… these are the pages 2 to 2 of 3; to read on, use start=3 …]"
        );
        assert!(
            read(&parts, json!({"name": "birds.pdf", "start": 4}))
                .await
                .unwrap_err()
                .message
                .contains("has 3 pages")
        );
    }

    #[tokio::test]
    async fn bombs_and_broken_files_do_no_harm() {
        let cut = |part: Part, name: &str| match part {
            Part::File { source: martlet_core::Source::Data { data }, .. } => {
                Part::file(name, "application/octet-stream", data.0.slice(..data.0.len() / 2))
            }
            other => other,
        };
        let parts = [
            fixture!("bomb.xlsx"),
            fixture!("bomb.ods"),
            fixture!("corners.xls"),
            fixture!("bomb.pdf"),
            fixture!("empty.pdf"),
            cut(fixture!("book.xlsx"), "cut.xlsx"),
            cut(fixture!("birds.pdf"), "cut.pdf"),
            Part::file(
                "nested.pdf",
                "application/pdf",
                [&b"%PDF-1.4\n1 0 obj\n"[..], &b"[".repeat(200_000)].concat(),
            ),
            Part::file("zip.docx", "application/zip", &b"PK\x03\x04rest"[..]),
        ];
        for (name, reason) in [
            ("bomb.xlsx", "unfolds to more than 128 MiB"),
            ("bomb.ods", "unfolds to more than"),
            ("corners.xls", "unfolds to more than"),
            ("empty.pdf", "holds no text"),
            ("cut.xlsx", "damaged"),
            ("nested.pdf", "cannot be read"),
            ("zip.docx", "ask for it as text, PDF, CSV or XLSX"),
        ] {
            let failure = read(&parts, json!({"name": name})).await.unwrap_err();
            assert!(failure.message.contains(reason), "{name}: {failure}");
        }
        // These may say what they have, but not more.
        for name in ["bomb.pdf", "cut.pdf"] {
            let read = read(&parts, json!({"name": name})).await;
            assert!(
                read.as_ref().map_or_else(|failure| failure.message.len(), String::len) < 2_000,
                "{read:?}"
            );
        }
        // Two cells in opposite corners are two cells.
        let corners = read(&[fixture!("corners.xlsx")], json!({"name": "corners.xlsx"})).await.unwrap();
        assert!(
            corners.starts_with("1\n") && corners.contains("of 1048576; to read on, use start=2"),
            "{corners}"
        );
    }
}
