//! An access key and its secret. No output shows them.

use std::fmt;

use pos3_s3::Credentials;

/// An access key with its secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) key_id: String,
    pub(crate) secret_key: String,
    /// The session token of temporary credentials.
    pub(crate) token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl From<Keys> for Credentials {
    fn from(keys: Keys) -> Self {
        Self::fixed(keys.key_id, keys.secret_key, keys.token)
    }
}
