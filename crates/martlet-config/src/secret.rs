//! Keys: said where they are, read when they are needed, printed never.

use std::fmt;
use std::path::{Path, PathBuf};

use martlet::model::ApiKey;
use serde::{Deserialize, Deserializer, de};

/// Where a key is. Neither `Debug` nor anything else prints one.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secret {
    /// In a variable of the environment: `env:NAME`.
    Variable(String),
    /// In a file: `file:PATH`.
    File(PathBuf),
    /// Written here.
    Literal(ApiKey),
}

impl Secret {
    fn read(text: &str) -> Result<Self, &'static str> {
        if let Some(name) = text.strip_prefix("env:") {
            return match name.trim() {
                "" => Err("`env:` names no variable: write env:NAME"),
                name => Ok(Self::Variable(name.to_owned())),
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            return match path.trim() {
                "" => Err("`file:` names no file: write file:PATH"),
                path => Ok(Self::File(PathBuf::from(path))),
            };
        }
        match text.trim() {
            "" => Err("it is empty: write env:NAME or file:PATH, or leave it out"),
            text => Ok(Self::Literal(ApiKey::new(text))),
        }
    }

    /// The key. A file's path is relative to `directory`.
    ///
    /// # Errors
    /// In words: the variable is not set, the file cannot be read.
    pub(crate) fn open(
        &self,
        directory: Option<&Path>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ApiKey, String> {
        match self {
            Self::Literal(key) => Ok(key.clone()),
            Self::Variable(name) => match variable(name) {
                Some(key) if !key.trim().is_empty() => Ok(key.into()),
                _ => Err(format!("the variable {name} is not set: set it to the key")),
            },
            Self::File(path) => {
                let path = directory.map_or_else(|| path.clone(), |directory| directory.join(path));
                let shown = crate::origin::shown(&path);
                match std::fs::read_to_string(&path) {
                    Ok(key) if !key.trim().is_empty() => Ok(key.into()),
                    Ok(_) => Err(format!("{} is empty: write the key into it", shown.display())),
                    Err(error) => Err(format!("cannot read {}: {error}", shown.display())),
                }
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Literal(_) => f.write_str("Secret(…)"),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).map_err(de::Error::custom)
    }
}
