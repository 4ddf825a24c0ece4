//! Reads settings files. A larger file, or a device that never ends, is an error instead of filling the memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The size limit in bytes.
const LARGEST: u64 = 16 << 20;

/// Reads a settings file.
///
/// # Errors
///
/// Returns an error if the file cannot be read or is larger than 16 MiB.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than 16 MiB"));
    }
    Ok(content)
}

/// Reads a settings file as text.
///
/// # Errors
///
/// Returns the errors of [`read_small`], and an error if the file is not UTF-8.
pub fn read_small_text(path: &Path) -> io::Result<String> {
    let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not valid UTF-8");
    String::from_utf8(read_small(path)?).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_that_never_ends_is_an_error() {
        let error = read_small_text(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 16 MiB");
        assert_eq!(read_small(Path::new("/dev/null")).unwrap(), b"");
    }
}
