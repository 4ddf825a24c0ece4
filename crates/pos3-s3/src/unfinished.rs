//! Lists and aborts multipart uploads that were started and neither completed nor aborted.
//!
//! Object listings do not show such uploads, but their parts are billed. Without this module they would stay forever.

use std::borrow::Cow;
use std::collections::HashSet;

use futures::{StreamExt, stream};
use pos3_core::{Key, Operation, Result, StoreError, Unfinished};

use crate::bucket::{Bucket, check_key};
use crate::client::Answer;
use crate::client::retry::Attempts;
use crate::error::Failure;
use crate::list::echo;
use crate::list::progress::Progress;
use crate::operation::S3Operation;
use crate::time::parse_rfc3339;
use crate::uri::decode_listed;
use crate::xml::{Step, XmlError};

/// The error code for an upload that does not exist. Some servers send `NoSuchKey` instead.
const NO_SUCH_UPLOAD: &str = "NoSuchUpload";

/// One page of uploads.
#[derive(Debug, Default, PartialEq)]
struct Page {
    uploads: Vec<(Key, Unfinished)>,
    next: Option<Marker>,
}

/// The upload after which a page starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Marker {
    key: String,
    id: String,
}

impl Bucket {
    /// Returns all open uploads below a prefix, including those of other programs, each once. If a server also lists
    /// uploads from outside the prefix, they are ignored with a warning.
    pub(crate) async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        let listed = self.list_uploads(prefix).await.map_err(|failure| self.unlisted(prefix, failure))?;
        let count = listed.len();
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|(key, _)| key.as_str().starts_with(prefix));
        if !elsewhere.is_empty() {
            self.client.warn(&format!(
                "the server listed {} of {count} unfinished uploads from outside the requested prefix: they are ignored",
                elsewhere.len()
            ));
        }
        let mut known = HashSet::new();
        Ok(here.into_iter().filter(|(key, upload)| known.insert((key.clone(), upload.id.clone()))).collect())
    }

    async fn list_uploads(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>, Failure> {
        let mut uploads = Vec::new();
        let mut marker = Marker::default();
        let mut progress = Progress::default();
        loop {
            let page = self.uploads_after(prefix, &marker).await?;
            if let Some(next) = &page.next {
                progress.turn(page.uploads.iter().map(|(key, upload)| (key, &upload.id)), next)?;
            }
            uploads.extend(page.uploads);
            match page.next {
                None => return Ok(uploads),
                Some(next) => marker = next,
            }
        }
    }

    fn unlisted(&self, prefix: &str, failure: Failure) -> StoreError {
        let error = self.client.error(Operation::ListUploads, None, &self.name, failure);
        if prefix.is_empty() { error } else { error.with_key(&Key::from(prefix)) }
    }

    async fn uploads_after(&self, prefix: &str, marker: &Marker) -> Result<Page, Failure> {
        let mut query = vec![("encoding-type", "url")];
        query.extend((!marker.key.is_empty()).then_some(("key-marker", marker.key.as_str())));
        query.extend((!prefix.is_empty()).then_some(("prefix", prefix)));
        query.extend((!marker.id.is_empty()).then_some(("upload-id-marker", marker.id.as_str())));
        query.push(("uploads", ""));
        let request = self.request(S3Operation::ListMultipartUploads, &query)?;
        self.exchange(&request, |answer| page(answer, &self.name, prefix)).await
    }

    /// Aborts uploads and returns the results in the same order.
    pub(crate) async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        let aborts: Vec<_> = puts.iter().map(|(key, put)| self.abandon_one(key, &put.id)).collect();
        stream::iter(aborts).buffered(self.client.config().fan_out).collect().await
    }

    async fn abandon_one(&self, key: &Key, id: &str) -> Result<()> {
        check_key(Operation::Abort, key)?;
        let aborted = match self.request_abort(key, id, &mut self.client.attempts()).await {
            // Such a response may be wrong, and the upload would be billed further.
            Err(failure) if failure.is_unclear() || is_unknown(&failure) => {
                self.confirm_aborted(key, id, failure).await
            }
            aborted => aborted,
        };
        aborted.map_err(|failure| self.error(Operation::Abort, key, failure))
    }

    /// Aborts one upload of this process. If the server does not know the upload, that is a success.
    pub(crate) async fn abort(&self, key: &Key, id: &str, attempts: &mut Attempts) -> Result<(), Failure> {
        match self.request_abort(key, id, attempts).await {
            Err(Failure::Refused(refusal)) if refusal.code == NO_SUCH_UPLOAD => Ok(()),
            Err(failure) if failure.is_unclear() => self.confirm_aborted(key, id, failure).await,
            aborted => aborted,
        }
    }

    /// Lists the uploads at a key after this failure of an abort, and returns the failure if the upload is among them.
    /// Without a list, only the right code shows that there is no upload.
    async fn confirm_aborted(&self, key: &Key, id: &str, failure: Failure) -> Result<(), Failure> {
        let is_aborted = match self.list_uploads(key.as_str()).await {
            Ok(open) => !open.iter().any(|(at, put)| at == key && put.id == id),
            Err(_) => failure.refusal().is_some_and(|refusal| refusal.code == NO_SUCH_UPLOAD),
        };
        if is_aborted { Ok(()) } else { Err(failure) }
    }

    async fn request_abort(&self, key: &Key, id: &str, attempts: &mut Attempts) -> Result<(), Failure> {
        let request = self.object_request(S3Operation::AbortMultipartUpload, key, &[("uploadId", id)])?;
        self.exchange_counting(&request, attempts, Answer::without_result).await
    }
}

/// Returns true if the server does not know the upload, or its key.
fn is_unknown(failure: &Failure) -> bool {
    failure.refusal().is_some_and(|refusal| matches!(refusal.code.as_str(), NO_SUCH_UPLOAD | "NoSuchKey"))
}

/// Parses a page of uploads. Checks that it is about this bucket and prefix.
fn page(answer: &Answer, bucket: &str, prefix: &str) -> Result<Page, Failure> {
    let mut page = Page::default();
    let [mut truncated, mut next_key, mut next_id] = [const { Cow::Borrowed("") }; 3];
    let mut contradicted = false;
    let [mut key, mut id, mut since, mut encoding] = [const { String::new() }; 4];
    let [mut echoed_bucket, mut echoed_prefix] = [None, None];
    let mut listed = Vec::new();
    let mut expected = false;
    answer.walk(|depth, step| match (depth, step) {
        (1, Step::Open(name)) => expected = name == b"ListMultipartUploadsResult",
        (2, Step::Close(b"Bucket", text)) => echoed_bucket = Some(std::mem::take(text).into_owned()),
        (2, Step::Close(b"Prefix", text)) => echoed_prefix = Some(std::mem::take(text).into_owned()),
        (2, Step::Close(b"EncodingType", text)) => encoding = std::mem::take(text).into_owned(),
        (2, Step::Close(b"IsTruncated", text)) => contradicted |= echo::told_twice(&mut truncated, text),
        (2, Step::Close(b"NextKeyMarker", text)) => contradicted |= echo::told_twice(&mut next_key, text),
        (2, Step::Close(b"NextUploadIdMarker", text)) => contradicted |= echo::told_twice(&mut next_id, text),
        (2, Step::Close(b"Upload", _)) => {
            listed.push((std::mem::take(&mut key), std::mem::take(&mut id), std::mem::take(&mut since)));
        }
        (3, Step::Close(b"Key", text)) => key = std::mem::take(text).into_owned(),
        (3, Step::Close(b"UploadId", text)) => id = std::mem::take(text).into_owned(),
        (3, Step::Close(b"Initiated", text)) => since = std::mem::take(text).into_owned(),
        _ => {}
    })?;
    if !expected {
        return Err(answer.not_a_result(XmlError::Unexpected));
    }
    echo::check_bucket(echoed_bucket.as_deref(), bucket)?;
    echo::check_filled("prefix", echoed_prefix.as_deref(), prefix)?;
    let encoded = encoding.trim().eq_ignore_ascii_case("url");
    for (key, id, since) in listed {
        // A key that is not UTF-8 cannot be used in a request. pos3 never creates such an upload, so it is skipped.
        let Some(key) = decoded(&key, encoded) else { continue };
        let since = parse_rfc3339(since.trim());
        page.uploads.push((Key::from(key), Unfinished { id, since, state: Vec::new() }));
    }
    if contradicted {
        return Err(Failure::Contradictory("the list of uploads has contradicting values for its next page".into()));
    }
    page.next = match truncated.trim() {
        "true" => {
            let key = decoded(&next_key, encoded).filter(|key| !key.is_empty());
            let key =
                key.ok_or_else(|| Failure::Garbled("the list of uploads has more pages but no next marker".into()))?;
            Some(Marker { key, id: next_id.into_owned() })
        }
        // Some servers also send markers on the last page, which mean nothing there.
        "false" => None,
        _ => {
            let why = "the list of uploads does not state whether it has more pages";
            return Err(Failure::Contradictory(why.into()));
        }
    };
    Ok(page)
}

fn decoded(name: &str, encoded: bool) -> Option<String> {
    if encoded { decode_listed(name).map(std::borrow::Cow::into_owned) } else { Some(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inner: &str) -> Result<Page, Failure> {
        let body = format!("<ListMultipartUploadsResult>{inner}</ListMultipartUploadsResult>");
        page(&Answer::of(body), "b", "a/")
    }

    #[test]
    fn a_page_names_exact_keys_and_where_it_goes_on() {
        let page = read(
            "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>a%2Fb+c</NextKeyMarker>\
             <NextUploadIdMarker>id+1</NextUploadIdMarker><Upload><Key>a%2Fb+c</Key><UploadId>id+1</UploadId>\
             <Owner><ID>Key</ID></Owner><Initiated>2026-11-21T09:00:00.000Z</Initiated></Upload>",
        )
        .unwrap();
        let (key, upload) = &page.uploads[0];
        assert_eq!((key.as_str(), upload.id.as_str()), ("a/b c", "id+1"));
        assert_eq!(upload.since, parse_rfc3339("2026-11-21T09:00:00Z"));
        assert_eq!(page.next, Some(Marker { key: "a/b c".into(), id: "id+1".into() }));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        assert!(read("<IsTruncated>true</IsTruncated>").is_err(), "it does not say where it goes on");
        let twice =
            read("<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><IsTruncated>false</IsTruncated>");
        assert!(matches!(twice, Err(Failure::Contradictory(_))), "{twice:?}");
        for unstated in
            ["", "<IsTruncated/>", "<NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>x</NextUploadIdMarker>"]
        {
            assert!(matches!(read(unstated), Err(Failure::Contradictory(_))), "{unstated}");
        }
        assert_eq!(read("<IsTruncated>false</IsTruncated>").unwrap(), Page::default());
        assert!(read("<IsTruncated>false</IsTruncated><Bucket>b</Bucket><Prefix>a%2F</Prefix>").is_ok());
        for other in ["<Bucket>another</Bucket>", "<Prefix>z/</Prefix>"] {
            let found = read(&format!("<IsTruncated>false</IsTruncated>{other}"));
            assert!(matches!(found, Err(Failure::Contradictory(_))), "{other}");
        }
        for body in ["", "<ListMultipartUploadsResult>", "<html></html>", "<Error><Code>AccessDenied</Code></Error>"] {
            assert!(super::page(&Answer::of(body), "b", "a/").is_err(), "{body}");
        }
    }
}
