//! Looks up objects right before they are deleted.
//!
//! Amazon supports conditional deletes, but many servers ignore the condition, and their responses do not show it. So
//! pos3 looks up the keys right before each request. One page of a listing contains up to a thousand keys. A single key
//! is looked up by a HEAD request and a listing, because a cache may answer the HEAD request with an old state.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use futures::{StreamExt, stream};
use pos3_core::{DeleteKey, Entry, ErrorKind, Key, Seen};

use crate::bucket::Bucket;
use crate::crosscheck::CrossCheck;
use crate::error::Failure;

/// The number of keys that a page must contain to be cheaper than lookups of single keys, each of which needs a listing
/// of its own.
const WORTH_A_PAGE: usize = 2;

/// The current state of a key.
#[derive(Debug)]
pub(super) enum Standing {
    /// The object has not changed.
    AsSeen,
    /// There is another object, or the same one was written again.
    Changed,
    /// There is no object.
    Gone,
    /// The key could not be looked up.
    Unknown(Failure),
}

/// How keys are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// By pages of a listing, if that is cheaper. Without permission to list, a HEAD request decides.
    Together,
    /// One by one, after the server has reported an object as changed: a page may be older than the state that the server
    /// compares with. Without a listing that confirms it, no HEAD request contradicts the server.
    Singly,
}

/// The keys to look up, in byte order, with their known objects.
type Wanted<'k> = BTreeMap<&'k str, (&'k Key, &'k Seen)>;

/// The current state of each key.
pub(super) type Standings<'k> = HashMap<&'k str, Standing>;

impl Bucket {
    /// Looks up every key that has a condition.
    ///
    /// # Errors
    ///
    /// Fails if the listing failed in a way that would also fail for single keys.
    pub(super) async fn look<'k>(&self, keys: &[&'k DeleteKey], look: Look) -> Result<Standings<'k>, Failure> {
        let mut wanted: Wanted<'_> = keys
            .iter()
            .filter_map(|asked| Some((asked.key.as_str(), (&asked.key, asked.unless_changed.as_ref()?))))
            .collect();
        let mut standings = Standings::new();
        if look == Look::Together {
            self.look_by_pages(&mut wanted, &mut standings).await?;
        }
        let looks: Vec<_> = wanted.into_values().map(|(key, seen)| self.look_singly(key, seen, look)).collect();
        standings.extend(stream::iter(looks).buffer_unordered(self.client.config().fan_out).collect::<Vec<_>>().await);
        Ok(standings)
    }

    /// Looks up keys by pages of a listing. Afterwards, `wanted` contains the keys that no page contained.
    async fn look_by_pages<'k>(&self, wanted: &mut Wanted<'k>, standings: &mut Standings<'k>) -> Result<(), Failure> {
        let (Some(first), Some(last)) = (wanted.keys().next(), wanted.keys().next_back()) else { return Ok(()) };
        let prefix = common_directory(first, last).to_owned();
        let mut next = Some(*first);
        while let Some(start) = next {
            let start = predecessor(start).filter(|start| start.starts_with(&prefix));
            let page = self.page_after(&prefix, start.map(Key::from), 2 * wanted.len() + 8).await;
            let page = match page {
                Err(failure) if is_of_listings(&failure) => return Ok(()),
                page => page?,
            };
            let found_before = standings.len();
            for entry in &page {
                if let Some((&key, (_, seen))) = wanted.get_key_value(entry.key.as_str()) {
                    let standing = if seen.is(entry) { Standing::AsSeen } else { Standing::Changed };
                    let is_changed = matches!(standing, Standing::Changed);
                    standings
                        .entry(key)
                        .and_modify(|known| {
                            if is_changed {
                                *known = Standing::Changed;
                            }
                        })
                        .or_insert(standing);
                }
            }
            wanted.retain(|key, _| !standings.contains_key(key));
            let is_worth_more = standings.len() - found_before >= WORTH_A_PAGE;
            let after = page.last().filter(|_| is_worth_more).map(|entry| entry.key.as_str());
            next = after.and_then(|after| {
                let rest = (Bound::Excluded(after), Bound::Unbounded);
                wanted.range::<str, _>(rest).next().map(|(&key, _)| key)
            });
        }
        Ok(())
    }

    async fn look_singly<'k>(&self, key: &'k Key, seen: &'k Seen, look: Look) -> (&'k str, Standing) {
        (key.as_str(), self.look_at_key(key, seen, look).await)
    }

    /// Looks up one key: by a HEAD request and a listing, or by a listing alone if HEAD requests are denied.
    pub(super) async fn look_at_key(&self, key: &Key, seen: &Seen, look: Look) -> Standing {
        let (found, check) = match self.find(key).await {
            Ok(found) => found,
            Err(failure) => return Standing::Unknown(failure),
        };
        match (found, check) {
            (Some(found), _) if !seen.is(&found) => Standing::Changed,
            (_, CrossCheck::Contradicted(_)) => Standing::Changed,
            (Some(_), CrossCheck::Confirmed) => Standing::AsSeen,
            (Some(_), CrossCheck::Refused(_)) if look == Look::Together => Standing::AsSeen,
            (None, CrossCheck::Confirmed) => Standing::Gone,
            (_, CrossCheck::Refused(failure)) => Standing::Unknown(failure),
        }
    }

    /// Returns true if both a HEAD request and a listing show that there is no object at a key.
    pub(super) async fn is_gone(&self, key: &Key) -> Result<bool, Failure> {
        match self.find(key).await? {
            (None, CrossCheck::Refused(failure)) => Err(failure),
            (found, check) => Ok(found.is_none() && matches!(check, CrossCheck::Confirmed)),
        }
    }

    /// Returns what a HEAD request finds at a key, and whether a listing confirms it. If HEAD requests are denied, the
    /// listing alone decides.
    async fn find(&self, key: &Key) -> Result<(Option<Entry>, CrossCheck), Failure> {
        let found = match self.head(key).await {
            Ok(found) => Some(found),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) if error.kind() == ErrorKind::Denied => {
                let listed = self.listed(key).await.map_err(|_| Failure::from(error))?;
                return Ok((listed, CrossCheck::Confirmed));
            }
            Err(error) => return Err(error.into()),
        };
        let check = self.cross_check(key, found.as_ref()).await?;
        Ok((found, check))
    }
}

/// Returns true if the reason why a listing failed may not apply to a single key.
fn is_of_listings(failure: &Failure) -> bool {
    match failure {
        Failure::Contradictory(_) | Failure::WebPage => true,
        Failure::Refused(refusal) => {
            matches!(refusal.kind(), ErrorKind::Denied | ErrorKind::Unsupported | ErrorKind::Other)
        }
        _ => false,
    }
}

/// Returns the directory that contains both keys.
fn common_directory<'k>(first: &'k str, last: &str) -> &'k str {
    let common = first.bytes().zip(last.bytes()).take_while(|(one, other)| one == other).count();
    let end = first.as_bytes()[..common].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    &first[..end]
}

/// Returns a text shortly before `key` in byte order, with hardly any keys between them. Returns `None` if there is
/// none.
fn predecessor(key: &str) -> Option<String> {
    let last = key.chars().next_back()?;
    let mut before = key[..key.len() - last.len_utf8()].to_owned();
    if last > ' ' {
        before.push(char::from_u32(u32::from(last) - 1).unwrap_or('\u{d7ff}'));
        before.push('~');
    }
    Some(before).filter(|before| !before.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_starts_right_before_a_key() {
        for (key, before) in [
            ("a/b1", Some("a/b0~")),
            ("a/", Some("a.~")),
            ("a", Some("`~")),
            ("a\u{e9}", Some("a\u{e8}~")),
            ("a\u{e000}", Some("a\u{d7ff}~")),
            ("a ", Some("a")),
            ("\n", None),
            ("", None),
        ] {
            assert_eq!(predecessor(key).as_deref(), before, "{key:?}");
            assert!(before.is_none_or(|before| before < key), "{key:?}");
        }
    }

    #[test]
    fn keys_are_listed_in_the_directory_that_they_share() {
        for (first, last, directory) in [
            ("a/b/1", "a/b/2", "a/b/"),
            ("a/b", "a/c", "a/"),
            ("a", "b", ""),
            ("a/x", "a/x", "a/"),
            ("\u{e9}", "\u{e8}", ""),
        ] {
            assert_eq!(common_directory(first, last), directory);
        }
    }
}
