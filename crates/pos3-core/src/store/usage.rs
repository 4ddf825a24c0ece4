//! The requests sent to a store so far, which determine the bill.

use std::collections::BTreeMap;
use std::fmt;

/// Requests by kind, such as `PutObject: 12`. Every attempt counts, including retries, because the server bills each
/// one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage(BTreeMap<&'static str, u64>);

impl Usage {
    /// Returns the number of requests of one kind.
    pub fn get(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or_default()
    }

    /// Returns the number of all requests.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Returns the kinds and their counts, sorted by name, without unused kinds.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(kind, count)| (*kind, *count))
    }

    /// Counts requests of one kind.
    pub fn add(&mut self, kind: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    /// Returns the requests since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Usage) -> Usage {
        self.iter().map(|(kind, count)| (kind, count.saturating_sub(earlier.get(kind)))).collect()
    }

    /// Returns the sum of both.
    #[must_use]
    pub fn plus(mut self, other: &Usage) -> Usage {
        other.iter().for_each(|(kind, count)| self.add(kind, count));
        self
    }
}

impl FromIterator<(&'static str, u64)> for Usage {
    fn from_iter<I: IntoIterator<Item = (&'static str, u64)>>(counts: I) -> Self {
        let mut usage = Usage::default();
        counts.into_iter().for_each(|(kind, count)| usage.add(kind, count));
        usage
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, (kind, count)) in self.iter().enumerate() {
            write!(f, "{}{count} {kind}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
