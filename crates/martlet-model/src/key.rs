//! A provider's key, which cannot be printed.

use std::fmt;

/// A provider's key. It has no `Display` and no `Serialize`, and its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key; white space around it, which comes easily with a variable or a file, is removed.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    /// The key itself, for the one who sends it to its service.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self::new(key)
    }
}

/// Replaces every one of `secrets` in `text`. Very short ones are left: they would blot out ordinary words.
pub(crate) fn redact<'a>(text: String, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = text;
    for secret in secrets {
        if secret.len() >= 6 && text.contains(secret) {
            text = text.replace(secret, "[secret]");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_printed() {
        let key = ApiKey::new(" sk-very-secret\n");
        assert_eq!(key.expose(), "sk-very-secret");
        assert!(!format!("{key:?}").contains("secret"));
    }

    #[test]
    fn it_is_taken_out_of_texts() {
        let text = redact("bad key sk-very-secret!".into(), ["sk-very-secret", "key"]);
        assert_eq!(text, "bad key [secret]!");
    }
}
