use pos3_core::{Digest, ErrorKind, Fingerprint, Kind};

use super::*;
use crate::error::Refusal;

const HEAD: &str =
    r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#;

fn query(prefix: &str, shallow: bool) -> ListQuery {
    ListQuery { prefix: prefix.to_owned(), start_after: None, shallow, page_size: None }
}

fn answer(asked: &Asked<'_>, inner: &str) -> Result<Page, Failure> {
    parse(&Answer::of(format!("{HEAD}{inner}</ListBucketResult>")), asked)
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
    let encoded = page(&format!("<IsTruncated>false</IsTruncated>{listed}<EncodingType>url</EncodingType>")).unwrap();
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
        [("a-b", file.clone()), ("a/", Kind::Directory), ("a0", file), ("m/", Kind::Marker), ("z/", Kind::Directory)]
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
        assert!(parse(&Answer::of(whole[..cut].to_owned()), &asked).is_err(), "cut at {cut}");
    }
    for page in ["<html><body>please log in</body></html>", "\n<!DOCTYPE html><p>Sign in<br>"] {
        assert!(matches!(parse(&Answer::of(page), &asked), Err(Failure::WebPage)));
    }
}

#[test]
fn an_error_in_a_success_is_a_refusal() {
    let query = query("", false);
    let asked = Asked { bucket: "b", query: &query, token: None };
    let failure = parse(&Answer::of("<Error><Code>SlowDown</Code></Error>"), &asked).unwrap_err();
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
