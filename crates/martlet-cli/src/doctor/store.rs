//! The store of a server: where it is, and whether it can be used.

use std::path::Path;

use martlet::store::{FileSystem, Store};
use martlet_config::Config;

use super::{Finding, State, broken};
use crate::args::DoctorArgs;
use crate::data;

pub(super) async fn examine(args: &DoctorArgs, config: &Config) -> Vec<Finding> {
    let folder = match data::folder(args.data.data.as_deref(), config) {
        Ok(folder) => folder,
        Err(failure) => return vec![broken("store", failure)],
    };
    let mut findings = vec![store(&folder, args.deep).await];
    findings.extend(FileSystem::of(&folder).map(|system| disk(&folder, &system)));
    findings
}

async fn store(folder: &Path, deep: bool) -> Finding {
    let finding = |state, detail| Finding { check: "store", state, detail };
    let place = folder.display();
    if !folder.join("martlet.db").is_file() {
        return finding(State::Ok, format!("none in {place}: `martlet serve` makes one"));
    }
    let store = match Store::open_read_only(folder) {
        Ok(store) => store,
        Err(error) => return finding(State::Broken, error.to_string()),
    };
    let about = format!("{place}, version {}, {}", store.version(), megabytes(folder));
    if !deep {
        return finding(State::Ok, format!("{about}; `martlet doctor --deep` reads all of it"));
    }
    match store.check().await {
        Ok(problems) => match problems.split_first() {
            None => finding(State::Ok, format!("{about}; all of it is as it was written")),
            Some((first, rest)) => {
                let more = match rest.len() {
                    0 => String::new(),
                    count => format!(" (and {count} more)"),
                };
                let advice = "stop the server, keep a copy of the folder, and restore a backup";
                finding(State::Broken, format!("{about}: {first}{more}; {advice}"))
            }
        },
        Err(error) => finding(State::Broken, error.to_string()),
    }
}

/// What the files of the store take.
fn megabytes(folder: &Path) -> String {
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |about| about.len());
    let bytes = size("martlet.db") + size("martlet.db-wal");
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

fn disk(folder: &Path, system: &FileSystem) -> Finding {
    let (state, detail) = match system.is_network {
        true => (
            State::Note,
            format!(
                "{} is on a network file system ({}), where a store can be damaged: choose a folder on a disk of this \
                 machine with --data",
                folder.display(),
                system.kind
            ),
        ),
        false => (State::Ok, format!("{} is on {}", folder.display(), system.kind)),
    };
    Finding { check: "disk", state, detail }
}
