//! Finding the layers, laying them on top of each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{ConfigError, Problem};
use crate::file;
use crate::origin::Origin;
use crate::settings::Settings;
use crate::tree::Node;
use crate::variables;

/// The name of a project's file.
pub const FILE_NAME: &str = "martlet.toml";

/// Where settings come from, the weakest first: the machine's file, the user's file, the project's file, variables.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Sources {
    /// The files, the weakest first.
    pub files: Vec<Source>,
    /// The variables of the environment.
    pub variables: Vec<(String, String)>,
}

/// A file that is read if it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Whether somebody named it, so that it has to be there.
    pub required: bool,
}

impl Source {
    /// A file that is read if it is there.
    pub fn optional(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), required: false }
    }

    /// A file that has to be there.
    pub fn required(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), required: true }
    }
}

impl Sources {
    /// The places of this machine: `/etc/martlet/config.toml`, `$XDG_CONFIG_HOME/martlet/config.toml`, `martlet.toml`,
    /// and the variables that begin with `MARTLET_`. `file` takes the place of `martlet.toml`; otherwise the variable
    /// `MARTLET_CONFIG` may name it.
    ///
    /// `martlet.toml` is looked for in the current directory and, inside of a Git repository, in the directories above
    /// up to the repository's root. Further up it is not looked for: there, others may write.
    pub fn of_process(file: Option<&Path>) -> Self {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let mut files = Vec::new();
        if cfg!(unix) {
            files.push(Source::optional("/etc/martlet/config.toml"));
        }
        let user = variable("XDG_CONFIG_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| variable("APPDATA").filter(|_| cfg!(windows)))
            .or_else(|| variable("HOME").map(|home| home.join(".config")));
        files.extend(user.map(|directory| Source::optional(directory.join("martlet").join("config.toml"))));
        let here = std::env::current_dir().unwrap_or_default();
        let named = file.map(Path::to_owned).or_else(|| variable("MARTLET_CONFIG"));
        files.push(match named {
            Some(path) => Source::required(here.join(path)),
            None => Source::optional(project_file(&here)),
        });
        // A name or a value that is not UTF-8 is none of ours.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { files, variables: std::env::vars_os().filter_map(text).collect() }
    }
}

/// The project's file: here, or above as far as the repository goes; where it would be if there is none.
fn project_file(here: &Path) -> PathBuf {
    let repository = here.ancestors().find(|directory| directory.join(".git").exists());
    let inside = here
        .ancestors()
        .take_while(|directory| repository.map_or(*directory == here, |root| directory.starts_with(root)));
    let mut places = inside.map(|directory| directory.join(FILE_NAME));
    places.find(|path| path.is_file()).unwrap_or_else(|| here.join(FILE_NAME))
}

/// A configuration: everything that is set, and where it comes from.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) settings: Settings,
    pub(crate) tree: Node,
    pub(crate) files: Vec<LoadedFile>,
}

/// A place where settings were looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedFile {
    /// The file.
    pub path: PathBuf,
    /// Whether there is one.
    pub found: bool,
}

impl Config {
    /// Reads all sources.
    ///
    /// # Errors
    /// Everything that is wrong with the files and variables in themselves: no TOML, unknown keys, wrong types. Names
    /// of models, agents and tools are looked at when they are needed, and by [`Builder::check`](crate::Builder::check).
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        let nowhere: Arc<Path> = Path::new(FILE_NAME).into();
        let mut tree = Node::table(Origin::File { path: nowhere, line: 1 });
        for source in &sources.files {
            let read = match file::read(&source.path) {
                Ok(None) if source.required => {
                    let shown = crate::origin::shown(&source.path);
                    let text = format!("there is no file {}: check the path", shown.display());
                    Err(Problem::new(text))
                }
                other => other,
            };
            let node = read.map_err(|problem| problems.push(problem)).ok().flatten();
            files.push(LoadedFile { path: source.path.clone(), found: node.is_some() });
            if let Some(node) = node {
                tree.overlay(node);
            }
        }
        variables::overlay(&mut tree, sources.variables.iter().cloned(), &mut problems);
        let (settings, wrong) = Settings::read(&tree);
        problems.extend(wrong);
        let config = Self { settings, tree, files };
        problems.extend(config.keys_in_files());
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::all(problems)) }
    }

    /// Everything that is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The files that were looked for, the weakest first.
    pub fn files(&self) -> &[LoadedFile] {
        &self.files
    }

    /// Where the value at a path of keys comes from: `["agents", "writer", "model"]`. A place in a list is a key, too.
    pub fn origin(&self, path: &[&str]) -> Option<&Origin> {
        self.tree.at(path).map(|node| &node.origin)
    }

    /// Where it comes from, in words for a message.
    pub(crate) fn place(&self, path: &[&str]) -> (String, Option<Origin>) {
        let origin = self.origin(path).cloned();
        let keys: Vec<&str> = path.iter().copied().filter(|key| key.parse::<usize>().is_err()).collect();
        let place = crate::decode::place(&keys);
        (origin.as_ref().map_or_else(|| place.clone(), |origin| format!("{place} ({origin})")), origin)
    }

    /// Something that is wrong with the value at a path.
    pub fn problem(&self, path: &[&str], text: impl std::fmt::Display) -> Problem {
        let (place, origin) = self.place(path);
        let problem = Problem::new(format!("{place}: {text}"));
        match origin {
            Some(origin) => problem.at(origin),
            None => problem,
        }
    }

    /// Keys of providers that stand in files, which people show each other.
    fn keys_in_files(&self) -> Vec<Problem> {
        let literal = self.settings.models.iter().filter(|(name, model)| {
            matches!(model.api_key, Some(crate::Secret::Literal(_)))
                && self.origin(&["models", name, "api_key"]).is_some_and(Origin::is_file)
        });
        let search = ["tools", "web_search", "key"];
        let literal_search = matches!(self.settings.tools.web_search.key, Some(crate::Secret::Literal(_)))
            && self.origin(&search).is_some_and(Origin::is_file);
        let advise = |path: &[&str]| {
            self.problem(
                path,
                "a key in a file is read by others sooner or later: write \"env:NAME\" with the variable that \
                 holds it, or \"file:PATH\"",
            )
        };
        literal
            .map(|(name, _)| advise(&["models", name, "api_key"]))
            .chain(literal_search.then(|| advise(&search)))
            .collect()
    }
}
