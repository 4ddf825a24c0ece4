//! Reads content that is never torn: after the last byte, the file must be the same as when it was opened.
//!
//! A file can be rewritten between two reads. So pos3 takes its fingerprint before the first byte and after the last.
//! If the content changed in between, the read ends with an error instead of the last piece. If a file has just
//! changed, pos3 waits until a further change would be visible (see [`tick`](crate::tick)).
//!
//! All ranges of one content are read through one open file. So they belong to one file, even if another file has been
//! renamed to its name meanwhile. A file that is read as a whole is closed after its last byte.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use pos3_core::{
    ByteStream, Download, Entry, ErrorKind, Fingerprint, GetOptions, Key, Kind, Operation, Result, StoreError,
};
use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use crate::blocking::blocking;
use crate::error::{changed, failed, unfit};
use crate::facts;
use crate::head;
use crate::path;
use crate::root::Root;

/// The largest content that is read in the same step as opening the file.
const SMALL: u64 = 256 << 10;

/// The size of one read of a large range.
const CHUNK: u64 = 256 << 10;

/// The number of chunks that are read ahead, including the current one.
const CHUNKS_AHEAD: usize = 2;

/// The number of attempts to read a file that keeps changing.
const LOOKS: usize = 5;

/// An open file, and its entry when it was opened.
pub(crate) struct OpenFile {
    file: OwnedFd,
    key: Key,
    entry: Entry,
}

/// The result of the first disk access.
enum Begun {
    Whole(Entry, Bytes),
    Large(Arc<OpenFile>, Range<u64>),
}

/// Opens `key` and reads it, or a range of it.
pub(crate) async fn get(root: Arc<Root>, key: Key, options: GetOptions) -> Result<Download> {
    match blocking(Operation::Read, move |_| open_and_read(&root, &key, options)).await? {
        Begun::Whole(entry, bytes) => Ok(checked(entry, stream::once(async { Ok(bytes) }).boxed())),
        Begun::Large(file, range) => Ok(checked(file.entry.clone(), stream_of(file, range))),
    }
}

/// Marks content from the disk as verified, because it did not cross a network.
fn checked(entry: Entry, body: ByteStream) -> Download {
    Download::new(entry, body).with_checked(true)
}

fn open_and_read(root: &Root, key: &Key, options: GetOptions) -> Result<Begun> {
    if key.is_marker() {
        return read_marker(root, key, &options);
    }
    let file = open(root, key, &options)?;
    let range = options.range.unwrap_or(0..file.entry.size);
    if range.start > range.end || range.end > file.entry.size {
        return Err(outside(key, &range, file.entry.size));
    }
    if range.end - range.start > SMALL {
        return Ok(Begun::Large(file, range));
    }
    let bytes = file.read_at(&range)?;
    file.verify()?;
    Ok(Begun::Whole(file.entry.clone(), bytes))
}

/// Returns the file that an earlier range was read from, or opens it. Keeps it open if further ranges may follow.
fn open(root: &Root, key: &Key, options: &GetOptions) -> Result<Arc<OpenFile>> {
    if let Some(file) = options.opened.get::<OpenFile>().filter(|file| file.is(key, options.if_match.as_ref())) {
        file.verify()?;
        return Ok(file);
    }
    let file = Arc::new(OpenFile::open(root, key, options.if_match.as_ref())?);
    if options.range.is_some() {
        options.opened.keep(file.clone());
    }
    Ok(file)
}

/// Opens the regular file at `key`, as it is.
pub(crate) fn regular_file(root: &Root, key: &Key) -> Result<File> {
    let file = open_path(root, key)?;
    let _is_regular = look(&file, key, None)?;
    Ok(file.into())
}

/// Opens whatever is at `key`. A link is followed only if the store follows links.
fn open_path(root: &Root, key: &Key) -> Result<OwnedFd> {
    key.check_path().map_err(|rule| unfit(Operation::Read, key, rule))?;
    let opened = root.open(Operation::Read)?;
    path::open(opened.as_fd(), key.as_str(), path::READ, root.symlinks())
        .map_err(|error| error.reading(Operation::Read, key))
}

/// A directory has no content of its own.
fn read_marker(root: &Root, key: &Key, options: &GetOptions) -> Result<Begun> {
    let entry = head::head(root, key, Operation::Read)?;
    if entry.fingerprint.is_none() && !matches!(entry.kind, Kind::Directory) {
        return Err(StoreError::new(ErrorKind::Unsupported, Operation::Read)
            .with_key(key)
            .with_message("it is a symbolic link, which is not followed"));
    }
    match &options.range {
        Some(range) if range.start != 0 || range.end != 0 => Err(outside(key, range, 0)),
        _ => Ok(Begun::Whole(entry, Bytes::new())),
    }
}

fn outside(key: &Key, range: &Range<u64>, size: u64) -> StoreError {
    StoreError::new(ErrorKind::Integrity, Operation::Read)
        .with_key(key)
        .with_message(format!("bytes {} to {} were requested, but it has only {size}", range.start, range.end))
}

impl OpenFile {
    /// Opens the regular file at `key`, if it still has the expected fingerprint.
    pub(crate) fn open(root: &Root, key: &Key, if_match: Option<&Fingerprint>) -> Result<Self> {
        let file = open_path(root, key)?;
        let stat = at_rest(root, &file, key, if_match)?;
        let opened = Self { file, key: key.clone(), entry: facts::file(key.clone(), &stat) };
        opened.refuse_hidden_content()?;
        Ok(opened)
    }

    /// Rejects a file that has content although the system reports a size of 0, as in `/proc`. Its real size is
    /// unknown, so truncated content could not be detected.
    fn refuse_hidden_content(&self) -> Result<()> {
        if self.entry.size > 0 {
            return Ok(());
        }
        match rustix::io::pread(&self.file, &mut [0_u8; 1][..], 0) {
            Ok(0) | Err(Errno::INTR) => self.verify(),
            Ok(_) | Err(Errno::AGAIN) => {
                // An ordinary file may have grown meanwhile.
                self.verify()?;
                Err(StoreError::new(ErrorKind::Unsupported, Operation::Read)
                    .with_key(&self.key)
                    .with_message("it has content although the file system reports a size of 0"))
            }
            Err(errno) => Err(failed(Operation::Read, &self.key, errno)),
        }
    }

    /// Returns true if this is `key` in the expected state.
    fn is(&self, key: &Key, if_match: Option<&Fingerprint>) -> bool {
        self.key == *key && (if_match.is_none() || if_match == self.entry.fingerprint.as_ref())
    }

    /// Returns the entry of the file when it was opened.
    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Returns the open file, to copy from it.
    pub(crate) fn into_parts(self) -> (OwnedFd, Entry) {
        (self.file, self.entry)
    }

    /// Fails if the file has changed since it was opened.
    fn verify(&self) -> Result<()> {
        verify(&self.file, &self.entry)
    }

    /// Reads exactly this range.
    fn read_at(&self, range: &Range<u64>) -> Result<Bytes> {
        let size = usize::try_from(range.end - range.start).map_err(|_| outside(&self.key, range, self.entry.size))?;
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            let offset = range.start + bytes.len() as u64;
            match rustix::io::pread(&self.file, spare_capacity(&mut bytes), offset) {
                Ok(0) => return Err(changed(Operation::Read, &self.key)),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(Operation::Read, &self.key, errno)),
            }
        }
        bytes.truncate(size);
        Ok(bytes.into())
    }
}

/// Returns the range in chunks, which are read slightly ahead. The last one follows only if the file has not changed.
fn stream_of(file: Arc<OpenFile>, range: Range<u64>) -> ByteStream {
    let verified = file.clone();
    let chunks = (range.start..range.end).step_by(CHUNK as usize).map(move |start| {
        let (file, chunk) = (file.clone(), start..range.end.min(start + CHUNK));
        async move {
            let is_last = chunk.end == range.end;
            Ok((blocking(Operation::Read, move |_| file.read_at(&chunk)).await?, is_last))
        }
    });
    stream::iter(chunks)
        .buffered(CHUNKS_AHEAD)
        .and_then(move |(bytes, is_last)| {
            let file = verified.clone();
            async move {
                if is_last {
                    blocking(Operation::Read, move |_| file.verify()).await?;
                }
                Ok(bytes)
            }
        })
        .boxed()
}

/// Returns the metadata of a regular file once any later change would be visible in its fingerprint.
fn at_rest(root: &Root, file: &OwnedFd, key: &Key, if_match: Option<&Fingerprint>) -> Result<Stat> {
    let mut stat = look(file, key, if_match)?;
    for _ in 0..LOOKS {
        let Some(wait) = root.clocks().until_over(&stat, (SystemTime::now(), Instant::now())) else { return Ok(stat) };
        thread::sleep(wait);
        let again = look(file, key, if_match)?;
        if facts::fingerprint(&again) == facts::fingerprint(&stat) {
            return Ok(again);
        }
        stat = again;
    }
    Err(changed(Operation::Read, key))
}

/// Returns the current metadata of a regular file, if it has the expected fingerprint.
fn look(file: &OwnedFd, key: &Key, if_match: Option<&Fingerprint>) -> Result<Stat> {
    let stat = rustix::fs::fstat(file).map_err(|errno| failed(Operation::Read, key, errno))?;
    match facts::file_type(&stat) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(head::is_directory(Operation::Read, key)),
        special => {
            return Err(StoreError::new(ErrorKind::Unsupported, Operation::Read)
                .with_key(key)
                .with_message(format!("it is a {}", facts::name(special))));
        }
    }
    if if_match.is_some_and(|expected| *expected != facts::fingerprint(&stat)) {
        return Err(changed(Operation::Read, key));
    }
    Ok(stat)
}

/// Fails if an open file no longer matches `entry`.
pub(crate) fn verify(file: impl AsFd, entry: &Entry) -> Result<()> {
    let stat = rustix::fs::fstat(file).map_err(|errno| failed(Operation::Read, &entry.key, errno))?;
    if entry.fingerprint != Some(facts::fingerprint(&stat)) {
        return Err(changed(Operation::Read, &entry.key));
    }
    Ok(())
}
