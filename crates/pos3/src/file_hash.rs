//! The hash of one local file: [`file_hash`].
//!
//! It reads as an upload does. So a file that changes meanwhile has no hash, instead of the hash of a mixture.

use std::io;
use std::path::{Path, PathBuf};

use md5::Md5;
use pos3_core::{ErrorKind, GetOptions, Key, Operation, RemoteStore, StoreError, hash_body, run_blocking};
use pos3_local::LocalStore;
use sha2::{Digest, Sha256};

/// A hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileHash {
    /// MD5, which S3 returns as the ETag of an object that was uploaded by one request. It does not protect against
    /// content that was made to have the same hash.
    #[default]
    Md5,
    /// SHA-256.
    Sha256,
}

/// Returns the hash of a file in hexadecimal digits. The file is read in pieces. A symbolic link is followed.
///
/// ```
/// use pos3::{FileHash, file_hash};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("greeting");
/// std::fs::write(&path, "hello world")?;
/// assert_eq!(file_hash(&path, FileHash::Md5).await?, "5eb63bbbe01eeed093cb22bb8f5acdc3");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Returns an error if the file cannot be read, is not a regular file or has a name that is not UTF-8, or if it changes
/// while it is read.
pub async fn file_hash(path: impl AsRef<Path>, hash: FileHash) -> Result<String, StoreError> {
    let path = path.as_ref().to_owned();
    let (directory, key) = run_blocking(move || located(&path)).await?;
    let content = LocalStore::new(directory)?.get(&key, GetOptions::default()).await?.body;
    Ok(match hash {
        FileHash::Md5 => hex(&hash_body(content, Md5::new(), |md5, chunk| md5.update(chunk)).await?.finalize()),
        FileHash::Sha256 => hex(&hash_body(content, Sha256::new(), |sha, chunk| sha.update(chunk)).await?.finalize()),
    })
}

/// Returns the directory of a file, without symbolic links, and the name of the file in it.
fn located(path: &Path) -> Result<(PathBuf, Key), StoreError> {
    let unreadable =
        |kind| StoreError::new(kind, Operation::Read).with_key(&Key::from(path.to_string_lossy().into_owned()));
    let resolved = path.canonicalize().map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Other,
        };
        unreadable(kind).with_source(error)
    })?;
    let (Some(directory), Some(name)) = (resolved.parent(), resolved.file_name()) else {
        return Err(unreadable(ErrorKind::NotFound).with_message("it is a directory, not a file"));
    };
    let name = name.to_str();
    let name = name.ok_or_else(|| unreadable(ErrorKind::Unsupported).with_message("its name is not valid UTF-8"))?;
    Ok((directory.to_owned(), Key::from(name)))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_hash_of_a_file_is_that_of_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let large = vec![b'a'; 1_000_000];
        for (content, md5, sha256) in [
            (
                &b""[..],
                "d41d8cd98f00b204e9800998ecf8427e",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                b"abc",
                "900150983cd24fb0d6963f7d28e17f72",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                &large,
                "7707d6ae4e027c70eea2a935c2296f21",
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
            ),
        ] {
            fs::write(&path, content).unwrap();
            for path in [&path, &link] {
                assert_eq!(file_hash(path, FileHash::Md5).await.unwrap(), md5);
                assert_eq!(file_hash(path, FileHash::Sha256).await.unwrap(), sha256);
            }
        }
    }

    #[tokio::test]
    async fn only_a_regular_file_has_a_hash() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let odd = directory.path().join(std::ffi::OsStr::from_bytes(b"odd\xff"));
        fs::write(&odd, "x").unwrap();
        for (path, kind, why) in [
            (&fifo, ErrorKind::Unsupported, "FIFO"),
            (&directory.path().to_owned(), ErrorKind::NotFound, "it is a directory"),
            (&PathBuf::from("/"), ErrorKind::NotFound, "it is a directory"),
            (&PathBuf::from("/dev/zero"), ErrorKind::Unsupported, "character device"),
            (&directory.path().join("none"), ErrorKind::NotFound, "none"),
            (&odd, ErrorKind::Unsupported, "not valid UTF-8"),
        ] {
            let hash = tokio::time::timeout(Duration::from_secs(20), file_hash(path, FileHash::Md5));
            let error = hash.await.unwrap_or_else(|_| panic!("{} blocks", path.display())).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_that_changes_while_it_is_read_has_no_hash() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let mut file = File::create(&path).unwrap();
        file.write_all(&vec![1; 8 << 20]).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let done = done.clone();
            move || {
                while !done.load(Ordering::Acquire) {
                    file.write_all(b"more").unwrap();
                }
            }
        });
        let hash = file_hash(&path, FileHash::Sha256).await;
        done.store(true, Ordering::Release);
        writer.join().unwrap();
        assert_eq!(hash.unwrap_err().kind(), ErrorKind::Precondition);
        assert!(file_hash(&path, FileHash::Sha256).await.is_ok());
    }
}
