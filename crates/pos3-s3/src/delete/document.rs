//! The documents of DeleteObjects: the request with the objects to delete, and the response with their results.

use std::collections::HashMap;

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

/// Parses the results of the keys in the response.
pub(super) fn answers(answer: &Answer) -> Result<Answers, Failure> {
    let mut answers = Answers::new();
    let [mut key, mut code, mut message] = [const { String::new() }; 3];
    let mut expected = false;
    answer.walk(|depth, step| match (depth, step) {
        (1, Step::Open(name)) => expected = name == b"DeleteResult",
        (3, Step::Close(b"Key", text)) => key = std::mem::take(text).into_owned(),
        (3, Step::Close(b"Code", text)) => code = std::mem::take(text).into_owned(),
        (3, Step::Close(b"Message", text)) => message = std::mem::take(text).into_owned(),
        (2, Step::Close(b"Deleted", _)) => {
            answers.insert(std::mem::take(&mut key), Ok(()));
        }
        (2, Step::Close(b"Error", _)) => {
            let refusal = Refusal::of_key(std::mem::take(&mut code), std::mem::take(&mut message));
            answers.insert(std::mem::take(&mut key), Err(Failure::Refused(Box::new(refusal))));
        }
        _ => {}
    })?;
    if expected { Ok(answers) } else { Err(answer.not_a_result(XmlError::Unexpected)) }
}

#[cfg(test)]
mod tests {
    use pos3_core::{Entry, ErrorKind, Fingerprint};

    use super::*;

    fn read(body: &'static str) -> Result<Answers, Failure> {
        answers(&Answer::of(body))
    }

    #[test]
    fn keys_and_etags_survive_the_document() {
        let seen = Entry::file("a&b", 1).with_fingerprint(Fingerprint::from("t"));
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
    fn no_answer_is_no_success() {
        for body in ["", "<DeleteResult>", "<other></other>", "<DeleteResult><Deleted><Key>a</Key></Deleted>"] {
            assert!(matches!(read(body), Err(Failure::Garbled(_))), "{body}");
        }
        let failure = read("<Error><Code>InternalError</Code></Error>").unwrap_err();
        assert!(failure.refusal().is_some_and(Refusal::is_temporary));
    }
}
