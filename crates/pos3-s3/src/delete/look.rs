//! The look at objects right before they are deleted.
//!
//! Amazon deletes on a condition, but many servers ignore it, and no answer shows which. So pos3 asks right before each
//! request what is at its keys. A page of a listing tells that of up to a thousand keys at once.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use futures::{StreamExt, stream};
use pos3_core::{DeleteKey, ErrorKind, Key, Seen};

use super::PARALLEL_SINGLE;
use crate::bucket::Bucket;
use crate::error::Failure;

/// How many keys a page must find for another page to be worth its price. A page costs about as much as twelve HEADs.
const WORTH_A_PAGE: usize = 12;

/// What is at a key now.
#[derive(Debug)]
pub(super) enum Standing {
    /// The object, as it was seen.
    AsSeen,
    /// Another object, or the same one written again.
    Changed,
    /// Nothing.
    Gone,
    /// The key could not be looked up.
    Unknown(Failure),
}

/// The keys that are to be looked at, in byte order, with what was seen there.
type Wanted<'k> = BTreeMap<&'k str, (&'k Key, &'k Seen)>;

/// What was found at each key.
pub(super) type Standings<'k> = HashMap<&'k str, Standing>;

impl Bucket {
    /// Looks at every key that is to be deleted on a condition.
    ///
    /// # Errors
    ///
    /// A listing that failed in such a way that looking at one key at a time would fail, too.
    pub(super) async fn look<'k>(&self, keys: &[&'k DeleteKey]) -> Result<Standings<'k>, Failure> {
        let mut wanted: Wanted<'_> = keys
            .iter()
            .filter_map(|asked| Some((asked.key.as_str(), (&asked.key, asked.unless_changed.as_ref()?))))
            .collect();
        let mut standings = Standings::new();
        self.look_by_pages(&mut wanted, &mut standings).await?;
        let looks: Vec<_> = wanted.into_values().map(|(key, seen)| self.look_singly(key, seen)).collect();
        standings.extend(stream::iter(looks).buffer_unordered(PARALLEL_SINGLE).collect::<Vec<_>>().await);
        Ok(standings)
    }

    /// Looks at keys by pages of a listing, and leaves in `wanted` those that no page contained.
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

    async fn look_singly<'k>(&self, key: &'k Key, seen: &'k Seen) -> (&'k str, Standing) {
        (key.as_str(), self.look_at_key(key, seen).await)
    }

    /// Looks at one key: by a HEAD, or by a listing where only that is allowed.
    pub(super) async fn look_at_key(&self, key: &Key, seen: &Seen) -> Standing {
        let found = match self.head(key).await {
            Ok(found) => Some(found),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) if error.kind() == ErrorKind::Denied => {
                let name = key.as_str();
                let start = predecessor(name).filter(|start| start.starts_with(directory(name)));
                match self.page_after(directory(name), start.map(Key::from), 1).await {
                    Ok(page) => page.into_iter().find(|entry| entry.key == *key),
                    Err(_) => return Standing::Unknown(error.into()),
                }
            }
            Err(error) => return Standing::Unknown(error.into()),
        };
        match found {
            Some(found) if seen.is(&found) => Standing::AsSeen,
            Some(_) => Standing::Changed,
            None => Standing::Gone,
        }
    }
}

/// Returns true if a listing failed for a reason that need not concern a single key.
fn is_of_listings(failure: &Failure) -> bool {
    match failure {
        Failure::Contradictory(_) => true,
        Failure::Refused(refusal) => {
            matches!(refusal.kind(), ErrorKind::Denied | ErrorKind::Unsupported | ErrorKind::Other)
        }
        _ => false,
    }
}

/// Returns the directory that both keys lie in.
fn common_directory<'k>(first: &'k str, last: &str) -> &'k str {
    let common = first.bytes().zip(last.bytes()).take_while(|(one, other)| one == other).count();
    let end = first.as_bytes()[..common].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    &first[..end]
}

fn directory(key: &str) -> &str {
    &key[..key.rfind('/').map_or(0, |slash| slash + 1)]
}

/// Returns a text right before `key` in byte order, with hardly a key between them; nothing if there is none.
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
