//! The valid names of buckets.
//!
//! If the server accepted names that S3 refuses, users would experiment with names that they can never use.

use std::net::Ipv4Addr;

/// The reason why a name is not valid for a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketNameError {
    name: String,
    why: &'static str,
}

/// Checks a name by the rules of S3 for general purpose buckets.
///
/// # Errors
///
/// Returns the rule that the name breaks.
pub fn check_bucket_name(name: &str) -> Result<(), BucketNameError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |position: Option<u8>| position.is_some_and(inner);
    let why = if !(3..=63).contains(&name.len()) {
        "it must have 3 to 63 characters"
    } else if !name.bytes().all(|byte| inner(byte) || byte == b'.' || byte == b'-') {
        "it may have lower-case letters, digits, '.' and '-' only"
    } else if !ends(name.bytes().next()) || !ends(name.bytes().last()) {
        "it must begin and end with a letter or a digit"
    } else if name.contains("..") {
        "it must not have two dots in a row"
    } else if name.parse::<Ipv4Addr>().is_ok() {
        "it must not look like an IP address"
    } else if ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| name.starts_with(prefix)) {
        "it begins with a prefix that S3 keeps for itself"
    } else if ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|suffix| name.ends_with(suffix)) {
        "it ends with a suffix that S3 keeps for itself"
    } else {
        return Ok(());
    };
    Err(BucketNameError { name: name.to_owned(), why })
}

impl std::fmt::Display for BucketNameError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "'{}' is not a bucket name: {}", self.name.escape_debug(), self.why)
    }
}

impl std::error::Error for BucketNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_s3_refuses_are_refused() {
        let longest = "a".repeat(63);
        for good in ["abc", "my-bucket.1", "1.2.3", "a--b", longest.as_str()] {
            assert_eq!(check_bucket_name(good), Ok(()), "{good}");
        }
        let too_long = "a".repeat(64);
        for (bad, why) in [
            ("", "3 to 63"),
            ("b", "3 to 63"),
            (too_long.as_str(), "3 to 63"),
            ("Data", "lower-case"),
            ("my_bucket", "lower-case"),
            ("a/b", "lower-case"),
            ("-ab", "begin and end"),
            ("ab.", "begin and end"),
            ("a..b", "two dots"),
            ("192.168.5.4", "IP address"),
            ("xn--abc", "prefix"),
            ("abc-s3alias", "suffix"),
        ] {
            let error = check_bucket_name(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
