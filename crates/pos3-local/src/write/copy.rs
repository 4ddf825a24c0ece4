//! Copies files inside the kernel, which shares their blocks if the file system supports it.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use pos3_core::{Entry, Expect, Fingerprint, Key, Operation, PutOptions, Result};
use rustix::fd::AsFd;
use rustix::fs::AtFlags;

use super::make_directory;
use super::place::Place;
use crate::blocking::{Waited, blocking};
use crate::error::{changed, failed, io_failed};
use crate::path;
use crate::read::{OpenFile, verify};
use crate::root::Root;

/// The number of bytes copied between two checks whether the copy was cancelled.
const STRIDE: u64 = 16 << 20;

/// The file to copy from, and its expected entry.
pub(crate) struct Source {
    pub(crate) root: Arc<Root>,
    pub(crate) key: Key,
    pub(crate) seen: Option<Fingerprint>,
}

/// Copies a file that must match its expected entry and the announced size.
pub(super) async fn put_from_file(
    source: Source,
    root: Arc<Root>,
    key: Key,
    size: u64,
    options: PutOptions,
) -> Result<Entry> {
    blocking(Operation::Write, move |waited| {
        let place = Place::open(&root, key, &options)?;
        let file = open(&source)?;
        if file.entry().size != size {
            return Err(changed(Operation::Read, &source.key));
        }
        copy_into(file, &place, waited)
    })
    .await
}

/// Copies a file or an empty directory inside one root.
pub(crate) async fn copy(root: Arc<Root>, from: Key, to: Key) -> Result<Entry> {
    blocking(Operation::Copy, move |waited| {
        let options = PutOptions::default();
        to.check_path().map_err(|rule| crate::error::unfit(Operation::Copy, &to, rule))?;
        match (from.is_marker(), to.is_marker()) {
            (true, true) => {
                crate::head::head(&root, &from, Operation::Copy)?;
                make_directory(&root, &to, &options, waited)
            }
            (false, false) => {
                let file = open(&Source { root: root.clone(), key: from, seen: None })?;
                copy_into(file, &Place::open(&root, to, &options)?, waited)
            }
            (false, true) => Err(crate::error::unfit(Operation::Copy, &to, pos3_core::UnsafeKey::MarkerWithContent)),
            (true, false) => {
                crate::head::head(&root, &from, Operation::Copy)?;
                let place = Place::open(&root, to, &options)?;
                place.put(&place.make_partial()?, 0, waited)
            }
        }
    })
    .await
}

/// Renames a file inside one root to a free name. Across file systems, it copies the file.
pub(crate) async fn rename(root: Arc<Root>, from: Key, to: Key) -> Result<Entry> {
    blocking(Operation::Write, move |waited| {
        to.check_path().map_err(|rule| crate::error::unfit(Operation::Write, &to, rule))?;
        let file = open(&Source { root: root.clone(), key: from.clone(), seen: None })?;
        let modified = file.entry().modified;
        let options = PutOptions::default().with_expect(Expect::Absent).with_modified(modified);
        let place = Place::open(&root, to, &options)?;
        let (parent, name) = path::split(from.as_str());
        let opened = root.open_to_write(Operation::Write)?;
        let directory =
            path::open_or_make(opened.as_fd(), parent).map_err(|error| error.writing(Operation::Write, &from))?;
        if let Some(renamed) = place.take(&directory, name)? {
            return Ok(renamed);
        }
        let copied = copy_into(file, &place, waited)?;
        rustix::fs::unlinkat(&directory, name, AtFlags::empty())
            .map_err(|errno| failed(Operation::Write, &from, errno))?;
        Ok(copied)
    })
    .await
}

fn open(source: &Source) -> Result<OpenFile> {
    OpenFile::open(&source.root, &source.key, source.seen.as_ref())
}

fn copy_into(source: OpenFile, place: &Place, waited: &Waited) -> Result<Entry> {
    let (file, entry) = source.into_parts();
    let source = File::from(file);
    let partial = place.make_partial()?;
    let mut copied = 0;
    while copied < entry.size {
        waited.check()?;
        let stride = io::copy(&mut (&source).take(STRIDE.min(entry.size - copied)), &mut partial.file());
        match stride.map_err(|error| io_failed(Operation::Write, place.key(), error))? {
            0 => return Err(changed(Operation::Read, &entry.key)),
            bytes => copied += bytes,
        }
    }
    verify(&source, &entry)?;
    place.put(&partial, entry.size, waited)
}
