//! The processes of this system, as far as `/proc` shows them: [`SystemProcess`].

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

/// A process of this system. Systems without `/proc` show none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemProcess {
    /// Its ID.
    pub id: u32,
    /// The ID of its parent.
    pub parent: u32,
    /// The ID of its process group.
    pub group: u32,
    /// When it started, in ticks since the start of the system. Another process can have the same ID later, but not the
    /// same start.
    pub start: u64,
    /// Whether it has ended, and only its parent has not noticed yet.
    pub has_ended: bool,
}

impl SystemProcess {
    /// Returns `None` for a process that no longer exists or that is not visible.
    pub fn find(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name of the program, in parentheses, may contain anything. The state, the parent and the group follow.
        let (_, after_name) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = after_name.split(' ').collect();
        Some(Self {
            id,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
            has_ended: matches!(*fields.first()?, "Z" | "X"),
        })
    }

    /// Returns all visible processes, or `None` on systems without `/proc`.
    pub fn all() -> Option<Vec<Self>> {
        let ids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Some(ids.filter_map(Self::find).collect())
    }

    /// Returns the value of a variable in the environment with which the process was started, if it is set and readable.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        let variables = fs::read(format!("/proc/{}/environ", self.id)).ok()?;
        let value_of = |variable: &[u8]| Some(variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
        variables.split(|byte| *byte == 0).find_map(value_of).map(OsString::from_vec)
    }
}
