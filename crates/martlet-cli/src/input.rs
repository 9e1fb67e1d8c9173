//! The task and what comes with it: arguments, standard input, files, images.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use martlet::core::Part;

use crate::args::RunArgs;
use crate::exit::Failure;

/// The most bytes of a text: more than any model reads.
const TEXT_BYTES: u64 = 1 << 20;
/// The most bytes of an image: more than any provider takes.
const IMAGE_BYTES: u64 = 20 << 20;

/// A task with what comes with it.
pub(crate) struct Input {
    pub(crate) task: String,
    pub(crate) parts: Vec<Part>,
}

/// Reads the task and what comes with it. Blocks while standard input is open and silent.
pub(crate) fn read(args: &RunArgs) -> Result<Input, Failure> {
    let mut parts = Vec::new();
    let task = match args.task.as_deref() {
        Some("-") => task_from_stdin()?,
        Some(task) if task.trim().is_empty() => return Err(no_task()),
        Some(task) => {
            if is_piped() {
                let context = stdin_text()?;
                if !context.trim().is_empty() {
                    // Not a file: a model would try to open what has a name.
                    parts.push(Part::text(format!("This comes with the task:\n\n{}", context.trim_end())));
                }
            }
            task.to_owned()
        }
        None if io::stdin().is_terminal() => return Err(no_task()),
        None => task_from_stdin()?,
    };
    for path in &args.files {
        parts.push(file(path)?);
    }
    for image in &args.images {
        parts.push(self::image(image)?);
    }
    Ok(Input { task, parts })
}

fn no_task() -> Failure {
    Failure::usage("there is no task: write it behind `martlet run`, or pipe it in")
}

fn task_from_stdin() -> Result<String, Failure> {
    let task = stdin_text()?;
    if task.trim().is_empty() { Err(no_task()) } else { Ok(task.trim_end().to_owned()) }
}

/// Whether somebody sends something: a pipe, a file or a socket, and not the terminal or `/dev/null`.
#[cfg(unix)]
fn is_piped() -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileTypeExt as _;
    let Ok(descriptor) = io::stdin().as_fd().try_clone_to_owned() else { return false };
    File::from(descriptor).metadata().is_ok_and(|meta| {
        let kind = meta.file_type();
        kind.is_fifo() || kind.is_socket() || kind.is_file()
    })
}

#[cfg(not(unix))]
fn is_piped() -> bool {
    !io::stdin().is_terminal()
}

/// What standard input holds.
pub(crate) fn stdin_text() -> Result<String, Failure> {
    let bytes = read_limited(io::stdin().lock(), TEXT_BYTES)
        .map_err(|error| Failure::host("cannot read standard input", error))?
        .ok_or_else(|| too_long("standard input", TEXT_BYTES))?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage("standard input is not UTF-8 text: convert it, or give images with --image")
    })
}

/// All bytes, or `None` if there are more than `limit`.
fn read_limited(reader: impl io::Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

fn too_long(what: &str, limit: u64) -> Failure {
    Failure::usage(format!("{what} is longer than {} MiB: send a part of it", limit >> 20))
}

fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let failed = |error: io::Error| {
        Failure::new(
            crate::exit::Exit::Usage,
            anyhow::Error::new(error)
                .context(format!("cannot read {shown}: check the path and whether you may read it")),
        )
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(Failure::usage(format!("{shown} is a directory: give files")));
    }
    read_limited(file, limit).map_err(failed)?.ok_or_else(|| too_long(&shown.to_string(), limit))
}

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(path, TEXT_BYTES)?)
        .map_err(|_| Failure::usage(format!("{} is not UTF-8 text: convert it", path.display())))
}

fn text_part(name: &str, media_type: &str, text: String) -> Part {
    Part::file(name, media_type, text.into_bytes())
}

fn file(path: &Path) -> Result<Part, Failure> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if let Some(media_type) = document_type(extension) {
        return Ok(Part::file(&*name, media_type, read_file(path, IMAGE_BYTES)?));
    }
    let bytes = read_file(path, TEXT_BYTES)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text_part(&name, media_type(extension), text)),
        Err(_) => Err(Failure::usage(format!(
            "{} is not UTF-8 text: convert it, or give it with --image if it is an image",
            path.display()
        ))),
    }
}

/// The media type of what is no text, and what agents read nevertheless.
fn document_type(extension: &str) -> Option<&'static str> {
    match extension.to_ascii_lowercase().as_str() {
        "pdf" => Some("application/pdf"),
        "xlsx" | "xlsm" => Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        "ods" => Some("application/vnd.oasis.opendocument.spreadsheet"),
        _ => None,
    }
}

fn media_type(extension: &str) -> &'static str {
    match extension.to_ascii_lowercase().as_str() {
        "csv" => "text/csv",
        "htm" | "html" => "text/html",
        "json" => "application/json",
        "md" => "text/markdown",
        "xml" => "application/xml",
        _ => "text/plain",
    }
}

fn image(source: &str) -> Result<Part, Failure> {
    if source.starts_with("http://") || source.starts_with("https://") {
        let path = source.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let media_type = match path.rsplit('.').next() {
            Some("jpg" | "jpeg") => "image/jpeg",
            Some("gif") => "image/gif",
            Some("webp") => "image/webp",
            _ => "image/png",
        };
        return Ok(Part::image_url(media_type, source));
    }
    let bytes = read_file(Path::new(source), IMAGE_BYTES)?;
    let media_type = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => {
            return Err(Failure::usage(format!(
                "{source} is no PNG, JPEG, GIF or WebP image: convert it, or give texts with --file"
            )));
        }
    };
    Ok(Part::image(media_type, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_limit_is_refused() {
        assert_eq!(read_limited(&b"abc"[..], 3).unwrap().unwrap(), b"abc");
        assert!(read_limited(&b"abcd"[..], 3).unwrap().is_none());
    }

    #[test]
    fn images_are_known_by_their_first_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("picture.txt");
        std::fs::write(&path, b"RIFF\0\0\0\0WEBPVP8 ").unwrap();
        let Part::Image { media_type, .. } = image(path.to_str().unwrap()).unwrap() else {
            panic!("no image")
        };
        assert_eq!(&*media_type, "image/webp");
        std::fs::write(&path, b"plain").unwrap();
        assert!(image(path.to_str().unwrap()).is_err());
    }
}
