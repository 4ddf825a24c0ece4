//! The documents of DeleteObjects: the request with the objects to delete, and the response with their results.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use pos3_core::{DeleteKey, Key};

use crate::client::Answer;
use crate::error::{Failure, Refusal};
use crate::etag;
use crate::xml::{self, Step, XmlError};

/// The result of each key.
pub(super) type Answers = HashMap<String, Result<(), Failure>>;

/// Whether a request contains the ETags of the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conditions {
    Sent,
    Unsent,
}

/// Returns true if XML 1.0 allows every character of the key. It forbids some characters even as references, and Ceph
/// then responds with 400 and moto with 500.
pub(super) fn fits_xml(key: &Key) -> bool {
    !key.as_str()
        .contains(|c| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
}

/// Returns the document of the request. Line breaks and similar characters in keys become references, which XML
/// preserves.
pub(super) fn document(keys: &[&DeleteKey], conditions: Conditions) -> String {
    let size: usize = keys.iter().map(|asked| asked.key.as_str().len() + 100).sum();
    let mut document = String::with_capacity(size + 120);
    document.push_str("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for asked in keys {
        document.push_str("<Object><Key>");
        xml::escape_into(&mut document, asked.key.as_str());
        document.push_str("</Key>");
        if let (Some(etag), Conditions::Sent) = (etag_of(asked), conditions) {
            document.push_str("<ETag>");
            xml::escape_into(&mut document, &etag);
            document.push_str("</ETag>");
        }
        document.push_str("</Object>");
    }
    document.push_str("</Delete>");
    document
}

/// Returns the ETag that the object must still have, as it is sent.
pub(super) fn etag_of(asked: &DeleteKey) -> Option<std::borrow::Cow<'_, str>> {
    asked.unless_changed.as_ref()?.fingerprint.as_ref().map(etag::quoted)
}

/// The result that is being read.
#[derive(Default)]
struct Record {
    keys: Vec<String>,
    code: String,
    message: String,
    has_error: bool,
}

impl Record {
    /// Returns the key and its result. Returns `None` if it is not the result of exactly one key, or if a delete that
    /// succeeded has an error.
    fn read(self, is_deleted: bool) -> Option<(String, Result<(), Failure>)> {
        let [key] = <[String; 1]>::try_from(self.keys).ok()?;
        match (is_deleted, self.has_error) {
            (true, true) => None,
            (true, false) => Some((key, Ok(()))),
            (false, _) => {
                let refusal = Refusal::of_key(self.code, self.message);
                Some((key, Err(Failure::Refused(Box::new(refusal)))))
            }
        }
    }
}

/// Parses the results of the keys in the response. A key with two different results has none.
///
/// # Errors
///
/// Fails if a result does not belong to exactly one key, or if a key is both deleted and refused in one result.
pub(super) fn answers(answer: &Answer) -> Result<Answers, Failure> {
    let mut answers = Answers::new();
    let mut record = Record::default();
    let [mut expected, mut is_contradictory] = [false; 2];
    answer.walk(|depth, step| match (depth, step) {
        (1, Step::Open(name)) => expected = name == b"DeleteResult",
        (2, Step::Open(_)) => record = Record::default(),
        (3, Step::Open(b"Code" | b"Error")) => record.has_error = true,
        (3, Step::Close(b"Key", text)) => record.keys.push(std::mem::take(text).into_owned()),
        (3, Step::Close(b"Code", text)) => record.code = std::mem::take(text).into_owned(),
        (3, Step::Close(b"Message", text)) => record.message = std::mem::take(text).into_owned(),
        (2, Step::Close(name @ (b"Deleted" | b"Error"), _)) => {
            let result = std::mem::take(&mut record).read(name == b"Deleted");
            match result {
                Some((key, answer)) => add(&mut answers, key, answer),
                None => is_contradictory = true,
            }
        }
        _ => {}
    })?;
    match (expected, is_contradictory) {
        (true, false) => Ok(answers),
        (true, true) => Err(contradictory("the response has a result that is not that of one key")),
        (false, _) => Err(answer.not_a_result(XmlError::Unexpected)),
    }
}

/// Adds the result of a key. Two results that differ are no evidence that the key was deleted.
fn add(answers: &mut Answers, key: String, answer: Result<(), Failure>) {
    match answers.entry(key) {
        Entry::Vacant(place) => drop(place.insert(answer)),
        Entry::Occupied(mut place) if place.get().is_ok() != answer.is_ok() => {
            *place.get_mut() = Err(contradictory("the response has two different results of the key"));
        }
        Entry::Occupied(_) => {}
    }
}

fn contradictory(why: &str) -> Failure {
    Failure::Contradictory(why.to_owned())
}

#[cfg(test)]
mod tests {
    use pos3_core::{ErrorKind, Fingerprint};

    use super::*;

    fn read(body: &'static str) -> Result<Answers, Failure> {
        answers(&Answer::of(body))
    }

    #[test]
    fn keys_and_etags_survive_the_document() {
        let seen = pos3_core::Entry::file("a&b", 1).with_fingerprint(Fingerprint::from("t"));
        let keys = [DeleteKey::new("a&b".into()).unless_changed(&seen), DeleteKey::new("line\nbreak\r".into())];
        let keys: Vec<&DeleteKey> = keys.iter().collect();
        let (head, rest) = (
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&amp;b</Key>",
            "</Object><Object><Key>line&#10;break&#13;</Key></Object></Delete>",
        );
        assert_eq!(document(&keys, Conditions::Unsent), format!("{head}{rest}"));
        let etag = "<ETag>&quot;t&quot;</ETag>";
        assert_eq!(document(&keys, Conditions::Sent), format!("{head}{etag}{rest}"));
    }

    #[test]
    fn each_key_has_its_own_answer() {
        let answers = read(
            "<DeleteResult><Deleted><Key>logs/SlowDown</Key></Deleted><Error><Key>b&#10;</Key><Code>AccessDenied</Code>\
             <Message>no</Message></Error></DeleteResult>",
        )
        .unwrap();
        assert!(answers["logs/SlowDown"].is_ok());
        let refusal = answers["b\n"].as_ref().unwrap_err().refusal().map(Refusal::kind);
        assert_eq!(refusal, Some(ErrorKind::Denied));
    }

    #[test]
    fn two_different_results_of_a_key_are_no_success() {
        let (deleted, refused) =
            ("<Deleted><Key>a</Key></Deleted>", "<Error><Key>a</Key><Code>AccessDenied</Code></Error>");
        for results in [[deleted, refused], [refused, deleted], [deleted, deleted]] {
            let body = format!("<DeleteResult>{}</DeleteResult>", results.concat());
            let answers = answers(&Answer::of(body)).unwrap();
            assert_eq!(answers["a"].is_ok(), results == [deleted; 2], "{results:?}");
        }
    }

    #[test]
    fn a_result_that_is_not_that_of_one_key_is_an_error() {
        for result in [
            "<Error><Code>InternalError</Code></Error>",
            "<Deleted></Deleted>",
            "<Deleted><Key>b</Key><Key>c</Key></Deleted>",
            "<Deleted><Key>b</Key><Code>AccessDenied</Code></Deleted>",
            "<Deleted><Key>b</Key><Error><Code>AccessDenied</Code></Error></Deleted>",
        ] {
            let body = format!("<DeleteResult><Deleted><Key>a</Key></Deleted>{result}</DeleteResult>");
            assert!(matches!(answers(&Answer::of(body)), Err(Failure::Contradictory(_))), "{result}");
        }
    }

    #[test]
    fn no_answer_is_no_success() {
        for body in ["", "<DeleteResult>", "<other></other>", "<DeleteResult><Deleted><Key>a</Key></Deleted>"] {
            assert!(matches!(read(body), Err(Failure::Garbled(_))), "{body}");
        }
        let failure = read("<Error><Code>InternalError</Code></Error>").unwrap_err();
        assert!(failure.refusal().is_some_and(Refusal::is_temporary));
    }
}
