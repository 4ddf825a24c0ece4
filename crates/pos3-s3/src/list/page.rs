//! Parses one page of a listing from XML.
//!
//! A truncated page is an error, and so is a page that has a successor but does not say where it starts. If such a page
//! were treated as the last one, all keys after it would look deleted. A page that contradicts itself or its request is
//! an error too.

use std::borrow::Cow;

use pos3_core::{Availability, Entry, Key, Protection, printable};

use crate::archive::{self, Restored};
use crate::client::Answer;
use crate::error::Failure;
use crate::etag;
use crate::list::{ListQuery, echo};
use crate::time::parse_rfc3339;
use crate::uri::decode_listed;
use crate::xml::{Step, XmlError};

/// The request for a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'q> {
    pub(crate) bucket: &'q str,
    pub(crate) query: &'q ListQuery,
    /// Where the page starts. The first page has no token.
    pub(crate) token: Option<&'q str>,
}

/// A page that has been checked.
#[derive(Debug, PartialEq)]
pub(crate) struct Page {
    /// Objects and directories, in byte order of their keys if the server sends them in that order.
    pub(crate) entries: Vec<Entry>,
    /// Where the next page starts, if there is one.
    pub(crate) next: Option<String>,
}

impl Page {
    /// Returns true if the page reports an archived object.
    pub(crate) fn has_archived(&self) -> bool {
        self.entries.iter().any(|entry| entry.availability == Availability::Archived)
    }
}

/// The facts about one object. The key is not decoded yet, because the encoding may only be given at the end of the
/// page.
#[derive(Default)]
struct Record<'x> {
    key: Cow<'x, str>,
    modified: Cow<'x, str>,
    etag: Cow<'x, str>,
    class: Cow<'x, str>,
    restored: Restored,
    size: Option<u64>,
}

#[derive(Default)]
struct Reader<'x> {
    root: Root,
    inside: Inside,
    record: Record<'x>,
    records: Vec<Record<'x>>,
    directories: Vec<Cow<'x, str>>,
    encoding: Cow<'x, str>,
    truncated: Cow<'x, str>,
    token: Cow<'x, str>,
    /// The page has two contradicting values for whether or where the listing continues.
    contradicted: bool,
    key_count: Cow<'x, str>,
    echoed: Echoed<'x>,
}

/// The values that repeat the request. Servers leave out some of them.
#[derive(Default)]
struct Echoed<'x> {
    bucket: Option<Cow<'x, str>>,
    prefix: Option<Cow<'x, str>>,
    delimiter: Option<Cow<'x, str>>,
    token: Option<Cow<'x, str>>,
    start_after: Option<Cow<'x, str>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Root {
    Listing,
    #[default]
    Other,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Inside {
    Object,
    Directory,
    #[default]
    Other,
}

impl<'x> Reader<'x> {
    fn step(&mut self, depth: usize, step: Step<'_, 'x>) {
        match (depth, step) {
            (1, Step::Open(name)) => {
                self.root = match name {
                    b"ListBucketResult" => Root::Listing,
                    _ => Root::Other,
                }
            }
            (2, Step::Open(name)) => {
                self.inside = match name {
                    b"Contents" => Inside::Object,
                    b"CommonPrefixes" => Inside::Directory,
                    _ => Inside::Other,
                }
            }
            (2, Step::Close(name, text)) => self.close_child(name, text),
            (3, Step::Close(name, text)) => self.close_fact(name, text),
            // Only a restored copy that exists now has an expiry date.
            (4, Step::Close(b"RestoreExpiryDate", _)) if self.inside == Inside::Object => {
                self.record.restored = Restored::Yes;
            }
            _ => {}
        }
    }

    fn close_child(&mut self, name: &[u8], text: &mut Cow<'x, str>) {
        match name {
            b"Contents" => self.records.push(std::mem::take(&mut self.record)),
            b"EncodingType" => self.encoding = std::mem::take(text),
            b"IsTruncated" => self.contradicted |= echo::told_twice(&mut self.truncated, text),
            b"NextContinuationToken" => self.contradicted |= echo::told_twice(&mut self.token, text),
            b"KeyCount" => self.key_count = std::mem::take(text),
            b"Name" => self.echoed.bucket = Some(std::mem::take(text)),
            b"Prefix" => self.echoed.prefix = Some(std::mem::take(text)),
            b"Delimiter" => self.echoed.delimiter = Some(std::mem::take(text)),
            b"ContinuationToken" => self.echoed.token = Some(std::mem::take(text)),
            b"StartAfter" => self.echoed.start_after = Some(std::mem::take(text)),
            _ => {}
        }
    }

    fn close_fact(&mut self, name: &[u8], text: &mut Cow<'x, str>) {
        match (self.inside, name) {
            (Inside::Object, b"Key") => self.record.key = std::mem::take(text),
            (Inside::Object, b"LastModified") => self.record.modified = std::mem::take(text),
            (Inside::Object, b"ETag") => self.record.etag = std::mem::take(text),
            (Inside::Object, b"StorageClass") => self.record.class = std::mem::take(text),
            (Inside::Object, b"Size") => self.record.size = text.trim().parse().ok(),
            (Inside::Directory, b"Prefix") => self.directories.push(std::mem::take(text)),
            _ => {}
        }
    }

    fn next(&self) -> Result<Option<String>, Failure> {
        if self.contradicted {
            return Err(contradictory("the listing has contradicting values for its next page"));
        }
        match self.truncated.trim() {
            "false" if self.token.is_empty() => Ok(None),
            "false" => Err(contradictory("the last page of the listing has a next token")),
            "true" if !self.token.is_empty() => Ok(Some(self.token.clone().into_owned())),
            "true" => Err(contradictory("the listing has more pages but no next token")),
            _ => Err(contradictory("the listing does not state whether it has more pages")),
        }
    }

    /// Returns an error if the page does not have the number of keys that it states. Some servers do not count common
    /// prefixes, and a server that repeats a key may count it once.
    fn check_count(&self) -> Result<(), Failure> {
        let Ok(said) = self.key_count.trim().parse::<usize>() else { return Ok(()) };
        let (objects, directories) = (self.records.len(), self.directories.len());
        let repeated = self.records.windows(2).filter(|pair| pair[0].key == pair[1].key).count();
        if (objects - repeated..=objects + directories).contains(&said) {
            return Ok(());
        }
        let counted = objects + directories;
        Err(contradictory(format!("the page states {said} keys but contains {counted}")))
    }

    fn entries(self, query: &ListQuery) -> Result<Vec<Entry>, Failure> {
        let encoded = self.encoding.trim().eq_ignore_ascii_case("url");
        let objects = self.records.into_iter().map(|record| record.entry(encoded)).collect::<Result<Vec<_>, _>>()?;
        let directories =
            self.directories.iter().map(|name| directory(name, encoded)).collect::<Result<Vec<_>, _>>()?;
        match objects.iter().chain(&directories).find(|entry| query.shallow && is_deep(&entry.key, &query.prefix)) {
            Some(deep) => {
                Err(contradictory(format!("the listing contains '{}' although only one level was requested", deep.key)))
            }
            None if !query.shallow && !directories.is_empty() => {
                Err(contradictory("the listing contains common prefixes that were not requested"))
            }
            None => Ok(merge(objects, directories)),
        }
    }
}

impl Echoed<'_> {
    /// Returns an error if the page is the response to another request.
    fn check(&self, asked: &Asked<'_>) -> Result<(), Failure> {
        let query = asked.query;
        echo::check_bucket(self.bucket.as_deref(), asked.bucket)?;
        echo::check("prefix", self.prefix.as_deref(), &query.prefix)?;
        echo::check_filled("delimiter", self.delimiter.as_deref(), if query.shallow { "/" } else { "" })?;
        echo::check_filled("continuation token", self.token.as_deref(), asked.token.unwrap_or_default())?;
        match asked.token {
            None => {
                let start_after = query.start_after.as_ref().map_or("", Key::as_str);
                echo::check_filled("start", self.start_after.as_deref(), start_after)
            }
            // With a token, a server may repeat here the start that the token stands for.
            Some(_) => Ok(()),
        }
    }
}

impl Record<'_> {
    fn entry(&self, encoded: bool) -> Result<Entry, Failure> {
        let key = match decode(&self.key, encoded) {
            Ok(key) if !key.is_empty() => Key::from(&*key),
            Ok(_) => return Err(contradictory("the listing has an object without a key")),
            Err(shown) => return Ok(Entry::protected(shown, Protection::NotUtf8)),
        };
        let size = self.size.ok_or_else(|| contradictory(format!("the listing has no size for '{key}'")))?;
        let mut entry = if key.is_marker() { Entry::marker(key, size) } else { Entry::file(key, size) };
        entry.modified = parse_rfc3339(self.modified.trim());
        entry.fingerprint = etag::fingerprint(&self.etag);
        entry.digest = etag::digest(&self.etag).filter(|digest| etag::is_possible(digest, size));
        entry.availability = archive::availability(&self.class, self.restored);
        Ok(entry)
    }
}

/// Decodes a name. If it is not UTF-8, the error is a printable form of it.
fn decode(name: &str, encoded: bool) -> Result<Cow<'_, str>, String> {
    if !encoded {
        return Ok(Cow::Borrowed(name));
    }
    decode_listed(name).ok_or_else(|| percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned())
}

fn directory(name: &str, encoded: bool) -> Result<Entry, Failure> {
    match decode(name, encoded) {
        Ok(name) if name.ends_with('/') => Ok(Entry::directory(&*name)),
        Ok(name) => Err(contradictory(format!("the listing contains the common prefix '{}'", printable(&name)))),
        Err(shown) => Ok(Entry::protected(shown, Protection::NotUtf8)),
    }
}

/// Returns true if a key is more than one level below the prefix.
fn is_deep(key: &Key, prefix: &str) -> bool {
    let below = key.as_str().strip_prefix(prefix).unwrap_or_default();
    below.strip_suffix('/').unwrap_or(below).contains('/')
}

/// Merges the objects and the directories of the page, which are each in byte order.
fn merge(objects: Vec<Entry>, directories: Vec<Entry>) -> Vec<Entry> {
    if directories.is_empty() {
        return objects;
    }
    let mut merged = Vec::with_capacity(objects.len() + directories.len());
    let mut objects = objects.into_iter().peekable();
    for directory in directories {
        while let Some(object) = objects.next_if(|object| object.key < directory.key) {
            merged.push(object);
        }
        merged.push(directory);
    }
    merged.extend(objects);
    merged
}

fn contradictory(why: impl Into<String>) -> Failure {
    Failure::Contradictory(why.into())
}

/// Parses a page.
///
/// # Errors
///
/// Returns an error if the page is truncated, contradicts its request or itself, or is an `<Error>` instead of a page.
pub(crate) fn parse(answer: &Answer, asked: &Asked<'_>) -> Result<Page, Failure> {
    let mut reader = Reader::default();
    answer.walk(|depth, step| reader.step(depth, step))?;
    match reader.root {
        Root::Listing => {}
        Root::Other => return Err(answer.not_a_result(XmlError::Unexpected)),
    }
    reader.echoed.check(asked)?;
    reader.check_count()?;
    let next = reader.next()?;
    Ok(Page { entries: reader.entries(asked.query)?, next })
}

#[cfg(test)]
mod tests;
