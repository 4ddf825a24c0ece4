//! Parses one page of a listing from XML.
//!
//! A truncated page is an error, and so is a page that has a successor but does not say where it starts. If such a page
//! were treated as the last one, all keys after it would look deleted. A page that contradicts itself or its request is
//! an error too.

use std::borrow::Cow;

use pos3_core::{Availability, Entry, Key, Protection, printable};

use crate::archive::{self, Restored};
use crate::error::{Failure, Refusal};
use crate::etag;
use crate::list::{ListQuery, echo};
use crate::time::parse_rfc3339;
use crate::uri::decode_listed;
use crate::xml::{self, Step, XmlError};

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
    Refusal,
    #[default]
    Unknown,
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
                    b"Error" => Root::Refusal,
                    _ => Root::Unknown,
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
pub(crate) fn parse(document: &[u8], asked: &Asked<'_>) -> Result<Page, Failure> {
    let mut reader = Reader::default();
    xml::walk(document, |depth, step| reader.step(depth, step))
        .map_err(|error| Failure::of_document(document, error))?;
    match reader.root {
        Root::Listing => {}
        Root::Refusal => {
            let refusal = Refusal::new(http::StatusCode::OK, &http::HeaderMap::new(), document);
            return Err(Failure::Refused(Box::new(refusal)));
        }
        Root::Unknown => return Err(Failure::of_document(document, XmlError::Unexpected)),
    }
    reader.echoed.check(asked)?;
    reader.check_count()?;
    let next = reader.next()?;
    Ok(Page { entries: reader.entries(asked.query)?, next })
}

#[cfg(test)]
mod tests {
    use pos3_core::{Digest, ErrorKind, Fingerprint, Kind};

    use super::*;

    const HEAD: &str =
        r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#;

    fn query(prefix: &str, shallow: bool) -> ListQuery {
        ListQuery { prefix: prefix.to_owned(), start_after: None, shallow, most: None }
    }

    fn answer(asked: &Asked<'_>, inner: &str) -> Result<Page, Failure> {
        parse(format!("{HEAD}{inner}</ListBucketResult>").as_bytes(), asked)
    }

    fn page_of(query: &ListQuery, inner: &str) -> Result<Page, Failure> {
        answer(&Asked { bucket: "b", query, token: None }, inner)
    }

    fn page(inner: &str) -> Result<Page, Failure> {
        page_of(&query("", false), &format!("<Name>b</Name><Prefix></Prefix>{inner}"))
    }

    fn object(key: &str) -> String {
        format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")
    }

    fn keys(page: &Page) -> Vec<&str> {
        page.entries.iter().map(|entry| entry.key.as_str()).collect()
    }

    #[test]
    fn a_page_that_says_in_two_ways_where_it_goes_on_is_an_error() {
        let last = "<IsTruncated>false</IsTruncated>";
        let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>";
        let other = "<NextContinuationToken>y</NextContinuationToken>";
        for inner in [format!("{more}{last}"), format!("{last}{more}"), format!("{more}{other}")] {
            let found = page(&inner);
            assert!(matches!(found, Err(Failure::Contradictory(_))), "{inner}: {found:?}");
        }
        assert!(page(&format!("{last}{last}")).is_ok() && page(&format!("{more}{more}")).is_ok());
    }

    #[test]
    fn an_etag_that_cannot_belong_to_the_size_is_no_digest() {
        let sized = |etag: &str, size: u64| {
            let record = format!("<Contents><Key>k</Key><Size>{size}</Size><ETag>{etag}</ETag></Contents>");
            page(&format!("<IsTruncated>false</IsTruncated>{record}")).unwrap().entries[0].digest.is_some()
        };
        let (empty, other) = ("d41d8cd98f00b204e9800998ecf8427e", "0f".repeat(16));
        assert!(!sized(empty, 1) && sized(empty, 0), "the MD5 of nothing");
        assert!(!sized(&other, 0) && sized(&other, 1));
        assert!(!sized(&"0".repeat(32), 1) && !sized(&format!("{}-2", "0".repeat(32)), 9), "no content has it");
        assert!(!sized(&format!("{other}-3"), 2) && sized(&format!("{other}-3"), 3), "a part has a byte");
        assert!(!sized(&format!("{other}-1"), (5 << 30) + 1) && sized(&format!("{other}-1"), 5 << 30), "5 GiB");
        assert!(sized(&format!("{other}-1"), 0) && !sized(&format!("{other}-2"), 0));
    }

    #[test]
    fn a_page_keeps_every_fact() {
        let page = page(
            "<IsTruncated>true</IsTruncated><Contents><Key>a&amp;b</Key><LastModified>2026-11-21T09:00:00.500Z</LastModified>\
             <ETag>&quot;0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f-3&quot;</ETag><Size>12</Size><Owner><ID>Key</ID></Owner>\
             <StorageClass>STANDARD</StorageClass></Contents><NextContinuationToken>t+/=</NextContinuationToken>",
        )
        .unwrap();
        assert_eq!(page.next.as_deref(), Some("t+/="));
        let entry = &page.entries[0];
        assert_eq!((entry.key.as_str(), entry.size, &entry.kind), ("a&b", 12, &Kind::File));
        assert_eq!(entry.fingerprint, Some(Fingerprint::from("0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f-3")));
        assert_eq!(entry.digest, Some(Digest::Md5OfParts { digest: [15; 16], parts: 3 }));
        assert_eq!(entry.modified, parse_rfc3339("2026-11-21T09:00:00.5Z"));
    }

    #[test]
    fn what_lies_in_an_archive_is_told_from_what_was_restored() {
        let archived = "<StorageClass>GLACIER</StorageClass>";
        let restored = "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>\
                        <RestoreExpiryDate>2026-12-21T00:00:00Z</RestoreExpiryDate></RestoreStatus>";
        let waiting = "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>";
        let object = |key, facts: &str| format!("<Contents><Key>{key}</Key><Size>1</Size>{facts}</Contents>");
        let page = page(&format!(
            "<IsTruncated>false</IsTruncated>{}{}{}{}",
            object("a", archived),
            object("b", &format!("{archived}{restored}")),
            object("c", &format!("{archived}{waiting}")),
            object("d", ""),
        ))
        .unwrap();
        use Availability::{Archived, Ready};
        let shown: Vec<_> = page.entries.iter().map(|entry| entry.availability).collect();
        assert_eq!((shown, page.has_archived()), (vec![Archived, Ready, Archived, Ready], true));
    }

    #[test]
    fn keys_are_decoded_only_if_the_server_says_so() {
        let listed = object("a%2Fb+c%0A");
        let plain = page(&format!("<IsTruncated>false</IsTruncated>{listed}")).unwrap();
        assert_eq!(keys(&plain), ["a%2Fb+c%0A"]);
        let encoded =
            page(&format!("<IsTruncated>false</IsTruncated>{listed}<EncodingType>url</EncodingType>")).unwrap();
        assert_eq!(keys(&encoded), ["a/b c\n"]);
    }

    #[test]
    fn a_key_that_is_no_text_is_protected() {
        let page = page(&format!("<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{}", object("a%FF")));
        assert_eq!(page.unwrap().entries[0].kind, Kind::Protected(Protection::NotUtf8));
    }

    #[test]
    fn markers_and_directories_stand_in_byte_order() {
        let inner = format!(
            "<IsTruncated>false</IsTruncated>{}{}{}<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>\
             <CommonPrefixes><Prefix>z/</Prefix></CommonPrefixes>",
            object("a-b"),
            object("a0"),
            object("m/"),
        );
        let page = page_of(&query("", true), &inner).unwrap();
        let shown: Vec<_> = page.entries.iter().map(|entry| (entry.key.as_str(), entry.kind.clone())).collect();
        let file = Kind::File;
        assert_eq!(
            shown,
            [
                ("a-b", file.clone()),
                ("a/", Kind::Directory),
                ("a0", file),
                ("m/", Kind::Marker),
                ("z/", Kind::Directory)
            ]
        );
    }

    #[test]
    fn a_page_that_cannot_be_trusted_is_an_error() {
        for inner in [
            "",
            "<IsTruncated>true</IsTruncated>",
            "<IsTruncated>maybe</IsTruncated>",
            "<IsTruncated>false</IsTruncated><Contents><Key></Key><Size>1</Size></Contents>",
            "<IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>",
            "<IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>-1</Size></Contents>",
        ] {
            assert!(matches!(page(inner), Err(Failure::Contradictory(_))), "{inner}");
        }
        for inner in [
            "<Contents><Key>a</Key><Key>b</Key><Size>1</Size></Contents>",
            "<Contents><Key>a</Key><Size>1</Size><Size>2</Size></Contents>",
            "<Contents><Key>a</Key><Size>1</Size><ETag>x</ETag><ETag>y</ETag></Contents>",
            "<Error><Code>InternalError</Code></Error>",
        ] {
            let inner = format!("<IsTruncated>false</IsTruncated>{inner}");
            assert!(matches!(page(&inner), Err(Failure::Contradictory(_))), "{inner}");
        }
        let whole = format!("{HEAD}<IsTruncated>false</IsTruncated>{}</ListBucketResult>", object("a"));
        let query = query("", false);
        let asked = Asked { bucket: "b", query: &query, token: None };
        for cut in 0..whole.len() {
            assert!(parse(&whole.as_bytes()[..cut], &asked).is_err(), "cut at {cut}");
        }
        for page in [&b"<html><body>please log in</body></html>"[..], b"\n<!DOCTYPE html><p>Sign in<br>"] {
            assert!(matches!(parse(page, &asked), Err(Failure::Contradictory(_))));
        }
    }

    #[test]
    fn an_error_in_a_success_is_a_refusal() {
        let query = query("", false);
        let asked = Asked { bucket: "b", query: &query, token: None };
        let failure = parse(b"<Error><Code>SlowDown</Code></Error>", &asked).unwrap_err();
        assert_eq!(failure.refusal().map(Refusal::kind), Some(ErrorKind::Throttled));
    }

    #[test]
    fn what_contradicts_the_request_or_itself_is_an_error() {
        let end = "<IsTruncated>false</IsTruncated>";
        let deep = query("p/", false);
        let level = query("p/", true);
        let directory = "<CommonPrefixes><Prefix>p/d/</Prefix></CommonPrefixes>";
        for (query, inner) in [
            (&deep, format!("{end}<Name>other</Name>")),
            (&deep, format!("{end}<Prefix>q/</Prefix>")),
            (&deep, format!("{end}<Prefix></Prefix>")),
            (&deep, format!("{end}<Delimiter>/</Delimiter>")),
            (&deep, format!("{end}{directory}")),
            (&deep, format!("{end}<KeyCount>1000</KeyCount>{}", object("p/a"))),
            (&deep, format!("{end}<KeyCount>1</KeyCount>{}{}", object("p/a"), object("p/b"))),
            (&deep, format!("{end}<NextContinuationToken>t</NextContinuationToken>")),
            (&deep, format!("{end}<ContinuationToken>t</ContinuationToken>")),
            (&deep, format!("{end}<StartAfter>p/m</StartAfter>")),
            (&level, format!("{end}<Delimiter>-</Delimiter>")),
            (&level, format!("{end}{}", object("p/d/x"))),
            (&level, format!("{end}<CommonPrefixes><Prefix>p/d/e/</Prefix></CommonPrefixes>")),
            (&level, format!("{end}<CommonPrefixes><Prefix>p/d</Prefix></CommonPrefixes>")),
        ] {
            let found = page_of(query, &inner);
            assert!(matches!(&found, Err(Failure::Contradictory(_))), "{inner}: {found:?}");
        }
        let asked = Asked { bucket: "b", query: &deep, token: Some("mine") };
        let other = answer(&asked, &format!("{end}<ContinuationToken>another</ContinuationToken>"));
        assert!(matches!(other, Err(Failure::Contradictory(_))));
    }

    #[test]
    fn what_real_servers_leave_out_or_count_otherwise_is_no_contradiction() {
        let end = "<IsTruncated>false</IsTruncated>";
        let deep = query("p q/", false);
        let level = query("p/", true);
        let directory = "<CommonPrefixes><Prefix>p/d/</Prefix></CommonPrefixes>";
        for (query, inner) in [
            (&deep, end.to_owned()),
            (&deep, format!("{end}<Name></Name><Prefix>p+q%2F</Prefix><EncodingType>url</EncodingType>")),
            (&deep, format!("{end}<Prefix>p q/</Prefix><EncodingType>url</EncodingType>")),
            (&deep, format!("{end}<Prefix>p%20q/</Prefix><Delimiter></Delimiter><KeyCount></KeyCount>")),
            (&deep, format!("{end}<NextContinuationToken></NextContinuationToken><StartAfter/><ContinuationToken/>")),
            (&deep, format!("{end}<KeyCount>1</KeyCount>{}{}", object("p q/a"), object("p q/a"))),
            (&level, format!("{end}<KeyCount>1</KeyCount>{}{directory}", object("p/a"))),
            (&level, format!("{end}<KeyCount>2</KeyCount>{}{directory}", object("p/a"))),
            (&level, format!("{end}<Delimiter>%2F</Delimiter>{}{}", object("p/"), object("p/m/"))),
        ] {
            assert!(page_of(query, &inner).is_ok(), "{inner}: {:?}", page_of(query, &inner));
        }
        let asked = Asked { bucket: "b", query: &deep, token: Some("t+/=") };
        let later = format!("{end}<ContinuationToken>t+/=</ContinuationToken><StartAfter>p q/m</StartAfter>");
        assert!(answer(&asked, &later).is_ok());
    }
}
