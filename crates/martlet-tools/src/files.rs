//! The files that go with a run.

use std::sync::Arc;

use martlet_core::message::Source;
use martlet_core::{Blob, Part};

/// A file that goes with a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct File {
    /// Its name, without a path.
    pub name: Arc<str>,
    /// Its media type, as whoever brought it says.
    pub media_type: Arc<str>,
    /// What is in it.
    pub data: Blob,
}

/// The files that go with a run: those of its task, and those of what was said before. Cheap to clone.
///
/// They are part of the run, so that they are there again when it is resumed.
#[derive(Debug, Clone, Default)]
pub struct Files(Arc<[File]>);

impl Files {
    /// The files among the parts of a conversation, the oldest first. Of files of the same name, the last one counts.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Self {
        let mut files: Vec<File> = Vec::new();
        for part in parts {
            let Part::File { name, media_type, source: Source::Data { data } } = part else { continue };
            files.retain(|file| file.name != *name);
            files.push(File { name: name.clone(), media_type: media_type.clone(), data: data.clone() });
        }
        Self(files.into())
    }

    /// The file of that name.
    pub fn get(&self, name: &str) -> Option<&File> {
        self.0.iter().find(|file| &*file.name == name).or_else(|| {
            // Models repeat names as they would write them.
            let mut alike = self.0.iter().filter(|file| file.name.eq_ignore_ascii_case(name.trim()));
            alike.next().filter(|_| alike.next().is_none())
        })
    }

    /// All files.
    pub fn iter(&self) -> impl Iterator<Item = &File> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
