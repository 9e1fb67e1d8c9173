//! Who asks.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::InvalidId;

/// The longest name of a tenant or a user, in bytes.
const MAX_LENGTH: usize = 128;
const RULE: &str = "1 to 128 bytes without control characters";

/// Who asks: a user of a tenant. Every row that is stored for somebody carries it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Names")]
#[non_exhaustive]
pub struct Principal {
    /// The tenant: those who share an installation see nothing of one another across it.
    pub tenant: Arc<str>,
    /// The user, whose name is unique within the tenant.
    pub user: Arc<str>,
}

impl Principal {
    /// A user of a tenant.
    ///
    /// # Errors
    /// If a name is empty, longer than 128 bytes, or has control characters.
    pub fn new(tenant: impl AsRef<str>, user: impl AsRef<str>) -> Result<Self, InvalidId> {
        let valid = |name: &str| {
            let fits = !name.is_empty() && name.len() <= MAX_LENGTH && !name.chars().any(char::is_control);
            if fits { Ok(Arc::from(name)) } else { Err(InvalidId::new(name, RULE)) }
        };
        Ok(Self { tenant: valid(tenant.as_ref())?, user: valid(user.as_ref())? })
    }

    /// The one user of a machine that knows no users: `local` of the tenant `local`.
    pub fn local() -> Self {
        Self { tenant: "local".into(), user: "local".into() }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.user)
    }
}

/// A principal as it is read, before it is known to be valid.
#[derive(Deserialize)]
struct Names {
    tenant: String,
    user: String,
}

impl TryFrom<Names> for Principal {
    type Error = InvalidId;

    fn try_from(names: Names) -> Result<Self, InvalidId> {
        Self::new(names.tenant, names.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_break_a_line_or_a_table_are_refused() {
        for name in ["", "a\nb", "\u{7f}", "a\0", &"x".repeat(129)] {
            assert!(Principal::new(name, "ann").is_err(), "{name:?}");
            let error = Principal::new("acme", name).unwrap_err();
            assert!(error.to_string().ends_with("use 1 to 128 bytes without control characters"), "{error}");
        }
        assert_eq!(Principal::new("acme", "ann@example.com").unwrap().to_string(), "acme/ann@example.com");
    }

    #[test]
    fn a_principal_is_an_object_in_json_and_checked_when_read() {
        let json = r#"{"tenant":"local","user":"local"}"#;
        assert_eq!(serde_json::to_string(&Principal::local()).unwrap(), json);
        assert_eq!(serde_json::from_str::<Principal>(json).unwrap(), Principal::local());
        assert!(serde_json::from_str::<Principal>(r#"{"tenant":"","user":"ann"}"#).is_err());
    }
}
