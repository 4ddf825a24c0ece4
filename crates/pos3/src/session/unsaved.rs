//! Marks local paths that may have output which is stored nowhere else.
//!
//! A session marks the local path of an output before the program can write to it, and removes the mark once everything
//! there is stored. The mark belongs to the path: a download of any location to this path, or to one above or below it,
//! must not overwrite that output. So the marks are not part of the sync state, which belongs to a pair of locations
//! and can be lost. Each session has its own mark, because another session may end first.

mod active;
mod compared;
mod directory;
mod mark_file;
mod names;
mod nested;
mod others;
mod past;
mod places;
mod system;
mod unrecorded;
mod warnings;
mod writing;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use pos3_core::{Event, Key};
use rustix::io::{FdFlags, fcntl_setfd};

use super::error::{SessionError, unusable};
use super::inner::Inner;
use super::mark::Mark;
use super::registration::Registration;
use super::site::{Site, Sites};
use super::unknown;
use crate::location::Location;
use crate::state::ends_with_the_process;
use active::active;
pub(super) use active::{Active, Position};
use compared::{Now, ended, staying};
use directory::{Found, Which};
use mark_file::{Recorded, SETTLED, encode_writers};
use names::{Names, Part};
use nested::Nested;
use others::{Asking, earlier};
use places::{Place, found, look, places};
use system::{Process, System, VARIABLE, with_session};
pub(super) use unrecorded::{Marks, OtherMark};
use warnings::{of_elsewhere, of_unreadable, of_what_stays};

/// The parts of a directory that have unsaved output.
#[derive(Clone, Debug)]
pub(super) struct Unsaved {
    /// Whether all of it may have unsaved output.
    everything: bool,
    /// The relative keys of paths that may have unsaved output.
    below: Arc<Vec<Key>>,
    unreadable: Arc<Vec<PathBuf>>,
    /// The marks that sessions left there which had already ended.
    ended: Arc<Vec<PathBuf>>,
    /// The outputs of sessions that have not ended.
    active: Arc<Vec<Active>>,
    /// Whether another session runs there, which needs them as past marks.
    is_shared: bool,
    /// Why other marks of ended sessions stay.
    staying: Arc<Vec<String>>,
    path: PathBuf,
    /// Where the path leads.
    site: Arc<Option<Site>>,
    /// The marks of cache roots in the directory.
    nested: Arc<Nested>,
}

impl Unsaved {
    /// Returns true if no mark has been found. There may be marks below the directory.
    pub(super) fn is_none_known(&self) -> bool {
        !self.everything && self.below.is_empty()
    }

    /// Returns true if the file with this key may be unsaved output.
    pub(super) fn covers(&self, key: &Key) -> bool {
        let is_inside = |root: &Key| key == root || key.is_inside(root.as_str());
        self.everything || self.below.iter().any(is_inside) || self.nested.covers(key)
    }

    /// Returns the outputs of sessions that have not ended.
    pub(super) fn active(&self) -> &[Active] {
        &self.active
    }

    /// Removes the marks of sessions that had already ended, because everything in the directory equals stored objects. A
    /// session that has ended since then may have left output after the directory was listed. If the path leads to another
    /// place now, it is not certain what was listed.
    pub(super) fn clear(&self) {
        if still_leads_to(&self.path, self.site.as_ref().as_ref()) {
            past::release(&self.ended, self.is_shared);
        }
    }

    /// Returns a warning for each mark that cannot be read.
    pub(super) fn warnings(&self) -> Vec<String> {
        let nested = self.nested.unreadable();
        self.unreadable.iter().chain(&nested).map(|mark| of_unreadable(mark)).collect()
    }

    /// Returns warnings about the marks of ended sessions that stay, whatever is stored.
    pub(super) fn warnings_of_what_stays(&self) -> Vec<String> {
        self.staying.to_vec()
    }
}

/// Marks the local path of an output, unless this session has done so. If that fails, the session warns and continues. The
/// marks of ended sessions stay until [`replace_earlier`].
pub(super) fn mark(inner: &Inner, registration: &Registration) {
    let local = Location::Local(registration.local.clone());
    let mut mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    if mark.is_some() || ends_with_the_process(&registration.location, &local).is_some() {
        return;
    }
    let names = Names::of(registration, &registration.local);
    let site = Sites::default().of(&registration.local);
    let recorded = Recorded {
        site: site.clone(),
        session: Process::find(std::process::id()),
        system: System::this(),
        id: inner.id.clone(),
        writers: Vec::new(),
    };
    let had_others = is_marked(inner, &names);
    let mut made = Mark { site, had_others, ..Mark::default() };
    for place in places(inner, &names) {
        match place.and_then(|place| place.mark(&recorded)) {
            Ok((file, lock)) => {
                made.files.push(file);
                made.locks.push(lock);
            }
            Err(error) => warn(
                inner,
                registration,
                &format!(
                    "'{}' cannot be marked as unsaved output, so a later download may overwrite what this session does \
                     not upload: {error}",
                    registration.local.display()
                ),
            ),
        }
    }
    if !made.files.is_empty() {
        let (found, mut now) = (found(inner, &names), Now::default());
        made.find_ended(&found, &names, &registration.local);
        let past = look(inner, &names, Which::Past);
        let earlier = earlier(&found, &names, &mut now).into_iter().chain(earlier(&past, &names, &mut now));
        let _marked_before = registration.earlier_marks.set(earlier.collect());
        *mark = Some(made);
    }
}

/// Finds the marks at the path of an output that its upload makes redundant. Must be called before the last upload lists
/// the output. A process that wrote for a killed session may have ended since the output was marked.
pub(super) fn find_ended(inner: &Inner, registration: &Registration) {
    let names = Names::of(registration, &registration.local);
    let mut mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(mark) = &mut *mark {
        mark.find_ended(&found(inner, &names), &names, &registration.local);
    }
}

impl Mark {
    /// Records which of these marks are left by ended sessions, and why the others stay.
    fn find_ended(&mut self, found: &[Found], names: &Names, local: &Path) {
        let mut now = Now::default();
        self.left = ended(found, names, &mut now);
        self.warnings = of_what_stays(&staying(found, names, &mut now), local);
    }
}

/// Removes the mark of an output whose path was not returned to the program.
pub(super) fn unmark(registration: &Registration) {
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner).take();
    mark.iter().flat_map(|mark| &mark.files).for_each(|file| directory::remove(file));
}

/// Releases the marks of ended sessions that the mark of an output makes redundant.
pub(super) fn replace_earlier(inner: &Inner, registration: &Registration) {
    let names = Names::of(registration, &registration.local);
    let is_shared = past::is_shared(&found(inner, &names), &inner.id, &names);
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    let is_marked = |place: &Place| mark.iter().flat_map(|mark| &mark.files).any(|file| place.has(file));
    for place in places(inner, &names).into_iter().flatten().filter(is_marked) {
        past::release(&place.redundant(), is_shared);
    }
    if !is_shared {
        past::remove(&look(inner, &names, Which::Past), &names);
    }
}

/// Sets whether processes that are started from now on inherit the locks of a mark. As long as such a process runs, it may
/// write output, so its mark must not be treated as that of an ended session.
pub(super) fn inherited(registration: &Registration, by_children: bool) {
    let flags = if by_children { FdFlags::empty() } else { FdFlags::CLOEXEC };
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    for lock in mark.iter().flat_map(|mark| &mark.locks) {
        // If this fails, the mark of a killed session can be removed while its program still runs.
        let _not_inherited = fcntl_setfd(lock, flags);
    }
}

/// Returns the environment variable by which processes that write for a session are known, with its value. It has the
/// IDs of outer sessions, too: this process may be part of the program of another session.
pub(super) fn variable(inner: &Inner) -> (&'static str, OsString) {
    (VARIABLE, with_session(std::env::var_os(VARIABLE).as_deref(), &inner.id))
}

/// Records processes that write to an output in its mark. If that fails, the session warns and continues.
pub(super) fn record(inner: &Inner, registration: &Registration, processes: &[u32]) {
    let lines = encode_writers(&processes.iter().filter_map(|id| Process::find(*id)).collect::<Vec<_>>());
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    for mut lock in mark.iter().flat_map(|mark| &mark.locks) {
        if let Err(error) = lock.write_all(&lines) {
            let local = registration.local.display();
            warn(
                inner,
                registration,
                &format!(
                    "'{local}': the mark of its output cannot record which processes may still write there: {error}"
                ),
            );
        }
    }
}

/// Records in the mark of an output that the session has succeeded. If that fails, other sessions delete less.
pub(super) fn settle(registration: &Registration) {
    let line = encode_writers(&[SETTLED]);
    let mut mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mark) = &mut *mark else { return };
    mark.is_settled = true;
    for mut lock in &mark.locks {
        let _not_recorded = lock.write_all(&line);
    }
}

/// Returns which other session may still write to an output, or has failed while this session ran, so that a missing file
/// may be written again. Must be called after the output was listed: a session that begins later has removed nothing that is
/// missing in the listing.
pub(super) fn others(inner: &Inner, registration: &Registration) -> Option<String> {
    let names = Names::of(registration, &registration.local);
    let mut found = found(inner, &names);
    // A mark that becomes a past one meanwhile is found twice.
    found.extend(look(inner, &names, Which::Past));
    let earlier = registration.earlier_marks.get().map(Vec::as_slice).unwrap_or_default();
    Asking { id: &inner.id, names: &names, earlier }.others(&found, &mut Now::default())
}

/// Returns true if an earlier session may have left unsaved output at the path of a registration.
pub(super) fn may_have_earlier_output(inner: &Inner, registration: &Registration) -> bool {
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    match &*mark {
        Some(mark) => mark.had_others,
        None => is_marked(inner, &Names::of(registration, &registration.local)),
    }
}

/// Returns an error if there is a directory at a path, where one file is expected, and another session that has not ended may have created
/// it. Otherwise, it may be removed if it is empty.
pub(super) fn unless_in_use(inner: &Inner, registration: &Registration, path: &Path) -> Result<(), SessionError> {
    const IN_USE: &str = "it is a directory that another session may be using, and one file is expected there";
    if !path.is_dir() {
        return Ok(());
    }
    let names = Names::of(registration, path);
    let is_of_others = |found: &Found| found.recorded.as_ref().is_none_or(|recorded| recorded.id != inner.id);
    let others: Vec<_> = found(inner, &names).into_iter().filter(is_of_others).collect();
    let is_in_use = !active(&others, &names, &mut Now::default()).is_empty();
    if is_in_use { Err(unusable(path, IN_USE)) } else { Ok(()) }
}

/// Returns true if there is a mark that concerns a path with these names.
fn is_marked(inner: &Inner, names: &Names) -> bool {
    let mut now = Now::default();
    found(inner, names).iter().any(|found| found.paths.is_none() || now.concerns(found, names))
}

/// Returns warnings about the marks that ended sessions had left when an output was marked, and that stay.
pub(super) fn warnings_of_earlier_marks(registration: &Registration) -> Vec<String> {
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    mark.as_ref().map(|mark| mark.warnings.clone()).unwrap_or_default()
}

/// Releases the mark of an output whose upload has stored everything, unless excluded files are not known to be stored, or
/// the path has led to another place meanwhile.
pub(super) async fn saved(inner: &Arc<Inner>, registration: &Arc<Registration>) {
    if registration.kind.may_exclude() && !unknown::are_none(registration).await {
        return;
    }
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mark) = mark else { return };
    if let Some(warning) = inner.blocking(registration, move |inner, of| release(inner, of, &mark)).await {
        warn(inner, registration, &warning);
    }
}

/// Releases the mark of a session, and those that earlier sessions had left. Returns a warning if the path leads elsewhere.
fn release(inner: &Inner, registration: &Registration, mark: &Mark) -> Option<String> {
    let Mark { files, left, site, is_settled, .. } = mark;
    let local = &registration.local;
    if !still_leads_to(local, site.as_ref()) {
        return of_elsewhere(files.first().map(|mark| (&**local, &**mark)), files.len());
    }
    let names = Names::of(registration, local);
    let is_shared = past::is_shared(&found(inner, &names), &inner.id, &names);
    past::release(left, is_shared);
    // What the program of a session removed that has succeeded stays removed.
    past::release(files, is_shared && !is_settled);
    None
}

/// Returns which parts of a path may have unsaved output. A mark that cannot be read may be of any path.
pub(super) fn below(inner: &Inner, registration: &Registration, path: &Path) -> Unsaved {
    let names = Names::of(registration, path);
    let (found, mut now) = (found(inner, &names), Now::default());
    let is_shared = past::is_shared(&found, &inner.id, &names);
    let ended = Arc::new(ended(&found, &names, &mut now));
    let active = Arc::new(active(&found, &names, &mut now));
    let staying = Arc::new(of_what_stays(&staying(&found, &names, &mut now), path));
    let site = Arc::new(now.sites.of(path));
    let mut unreadable = Vec::new();
    // Many marks can have the same path, which is compared once.
    let mut roots = BTreeSet::new();
    for Found { file, paths, .. } in found {
        match paths {
            Some(paths) => roots.extend(paths),
            None => unreadable.push(file),
        }
    }
    let (mut everything, mut below) = (!unreadable.is_empty(), Vec::new());
    for root in roots {
        match names.part(&root, &mut now.links) {
            Part::None => {}
            Part::Below(key) => below.push(key),
            Part::Everything => everything = true,
        }
    }
    let (below, unreadable) = (Arc::new(below), Arc::new(unreadable));
    Unsaved {
        everything,
        below,
        unreadable,
        ended,
        active,
        is_shared,
        staying,
        path: path.to_owned(),
        site,
        nested: Arc::new(Nested::new(names)),
    }
}

/// Returns true if a path has the same site as before, as far as this is known.
fn still_leads_to(path: &Path, then: Option<&Site>) -> bool {
    then.is_none_or(|then| Sites::default().has(path, then))
}

fn warn(inner: &Inner, registration: &Registration, warning: &str) {
    if inner.is_news(warning) {
        tracing::warn!("{warning}");
        inner.tell(Some(registration), &Event::Warning(warning));
    }
}
