//! Writes content so that it appears complete or not at all.
//!
//! Content is written to a partial file in the directory of the target, under a name that no listing shows, and renamed
//! when it is complete. If a write fails or is cancelled, nothing remains, unless there is a journal by which a later
//! put can resume.

mod copy;
mod fill;
mod large;
mod partial;
mod place;
mod ranges;
mod resume;

use std::sync::Arc;

use pos3_core::{Content, Entry, Expect, Key, Kind, Operation, PutOptions, Result, Stored, UnsafeKey};
use rustix::fd::AsFd;
use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use crate::blocking::{Waited, blocking};
use crate::error::{changed, failed, unfit};
use crate::facts;
use crate::head::directory_entry;
use crate::options::Symlinks;
use crate::path::{self, PathError};
use crate::root::Root;
use crate::sweep::sweep;
use place::Place;

pub(crate) use copy::{Source, copy, rename};

/// The largest content that is read into memory and written in one step.
const SMALL: u64 = 1 << 20;

/// Stores `content` under `key`. If it is the content of a local file, `origin`, the kernel copies it.
pub(crate) async fn put(
    root: Arc<Root>,
    key: Key,
    content: Content,
    origin: Option<Source>,
    options: PutOptions,
) -> Result<Stored> {
    key.check_path().map_err(|rule| unfit(Operation::Write, &key, rule))?;
    sweep(&root);
    if key.is_marker() {
        return Ok(Stored::new(put_marker(root, key, content.size(), options).await?));
    }
    if let Some(source) = origin {
        let copied = copy::put_from_file(source, root, key, content.size(), options).await?;
        content.count(copied.size);
        return Ok(Stored::new(copied).with_verified(true));
    }
    if content.size() <= SMALL {
        put_small(root, key, content, options).await
    } else {
        large::put(root, key, content, options).await
    }
}

async fn put_small(root: Arc<Root>, key: Key, content: Content, options: PutOptions) -> Result<Stored> {
    let _reservation = options.budget.reserve(content.size()).await;
    let bytes = content.read_to_bytes(0..content.size()).await?;
    content.compare_whole(&bytes).await?;
    let entry = blocking(Operation::Write, move |waited| {
        let place = Place::open(&root, key, &options)?;
        let partial = place.make_partial()?;
        partial
            .write_at(0, std::slice::from_ref(&bytes))
            .map_err(|errno| failed(Operation::Write, place.key(), errno))?;
        place.put(&partial, bytes.len() as u64, waited)
    })
    .await?;
    Ok(Stored::new(entry).with_verified(content.is_checked()))
}

/// Creates a directory. An existing directory is not an error.
async fn put_marker(root: Arc<Root>, key: Key, size: u64, options: PutOptions) -> Result<Entry> {
    if size > 0 {
        return Err(unfit(Operation::Write, &key, UnsafeKey::MarkerWithContent));
    }
    blocking(Operation::Write, move |waited| make_directory(&root, &key, &options, waited)).await
}

fn make_directory(root: &Root, key: &Key, options: &PutOptions, waited: &Waited) -> Result<Entry> {
    let path = key.as_str().trim_end_matches('/');
    waited.check()?;
    let opened = root.open_to_write(Operation::Write)?;
    if matches!(options.expect, Expect::Unchanged(_)) {
        match path::open(opened.as_fd(), path, path::STEP, Symlinks::Skip) {
            Err(PathError::System(Errno::NOENT)) => return Err(changed(Operation::Write, key)),
            found => drop(found.map_err(|error| error.writing(Operation::Write, key))?),
        }
    }
    path::open_or_make(opened.as_fd(), path).map_err(|error| error.writing(Operation::Write, key))?;
    let directory = path::open(opened.as_fd(), path, path::LIST, Symlinks::Skip)
        .map_err(|error| error.writing(Operation::Write, key))?;
    let named = |errno| failed(Operation::Write, key, errno);
    let entry = directory_entry(directory.as_fd(), key).map_err(named)?;
    let stamp = options.modified.and_then(facts::timespec);
    if let (Some(stamp), Kind::Marker) = (stamp, &entry.kind) {
        rustix::fs::futimens(&directory, &modification(stamp)).map_err(named)?;
        return directory_entry(directory.as_fd(), key).map_err(named);
    }
    Ok(entry)
}

/// Returns timestamps that set the modification time and keep the access time.
fn modification(stamp: Timespec) -> Timestamps {
    Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ }, last_modification: stamp }
}
