//! Reads the XML of S3's responses as a sequence of opened and closed elements.
//!
//! A truncated response must never look like a shorter complete one, so a document is valid only if its root element is
//! closed. Keys may contain any character, so character references are resolved even if XML forbids the character.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// A step through a document. Names have no namespace prefix.
#[derive(Debug)]
pub(crate) enum Step<'s, 'x> {
    /// An element starts.
    Open(&'s [u8]),
    /// An element ends. The text is the text directly in it since the last tag.
    Close(&'s [u8], &'s mut Cow<'x, str>),
}

/// The reason why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("the response is not XML: {0}")]
    Malformed(#[from] quick_xml::Error),
    #[error("the response is not XML in UTF-8")]
    NotUtf8,
    #[error("the response has an unknown entity")]
    UnknownEntity,
    #[error("the response is truncated")]
    CutShort,
    #[error("the response continues after its end")]
    AfterEnd,
    #[error("the response is not the expected one")]
    Unexpected,
    #[error("the response contradicts itself: an element has more than one <{0}>")]
    Repeated(&'static str),
    #[error("the response contradicts itself: it is a result and contains an <Error>")]
    ErrorInside,
}

impl XmlError {
    /// Returns true if the document is complete, so that the same request would get the same response.
    pub(crate) fn is_contradiction(&self) -> bool {
        matches!(self, Self::Repeated(_) | Self::ErrorInside)
    }
}

/// The elements that identify or describe one thing. None of S3's responses has two of them with the same parent.
const UNIQUE: [&str; 8] =
    ["Key", "Size", "ETag", "LastModified", "PartNumber", "UploadId", "ChecksumCRC64NVME", "ChecksumType"];

/// Finds elements that contradict others: a second one of [`UNIQUE`] in the same parent, and an error in a result.
#[derive(Default)]
struct Siblings {
    /// For each open element, a bit for each of [`UNIQUE`] that was in it.
    open: Vec<u8>,
    root: Root,
}

/// Where a document may have errors.
#[derive(Clone, Copy, Default, PartialEq)]
enum Root {
    /// A result, which contains no error.
    Result,
    /// The results of several keys, which contain the errors of some.
    DeleteResult,
    #[default]
    Other,
}

impl Siblings {
    fn open(&mut self, name: &[u8]) -> Result<(), XmlError> {
        match self.open.len() {
            0 => {
                self.root = match name {
                    b"DeleteResult" => Root::DeleteResult,
                    name if name.ends_with(b"Result") => Root::Result,
                    _ => Root::Other,
                }
            }
            depth
                if name == b"Error" && (self.root == Root::Result || self.root == Root::DeleteResult && depth > 1) =>
            {
                return Err(XmlError::ErrorInside);
            }
            _ => {}
        }
        let index = UNIQUE.iter().position(|unique| unique.as_bytes() == name);
        if let (Some(index), Some(seen)) = (index, self.open.last_mut()) {
            if *seen & (1 << index) != 0 {
                return Err(XmlError::Repeated(UNIQUE[index]));
            }
            *seen |= 1 << index;
        }
        self.open.push(0);
        Ok(())
    }

    fn close(&mut self) {
        self.open.pop();
    }
}

/// Walks through a document. `visit` gets each step and its depth, which is 1 for the root.
///
/// # Errors
///
/// Returns an error if the document is not well formed, ends before its root element is closed, has anything but space
/// and comments after it, or contradicts itself.
pub(crate) fn walk<'x>(document: &'x [u8], mut visit: impl FnMut(usize, Step<'_, 'x>)) -> Result<(), XmlError> {
    let document = std::str::from_utf8(document).map_err(|_| XmlError::NotUtf8)?;
    let mut reader = Reader::from_str(document);
    let mut depth = 0;
    let mut text: Cow<'x, str> = Cow::Borrowed("");
    let mut whole = false;
    let mut siblings = Siblings::default();
    loop {
        match reader.read_event()? {
            Event::Start(_) | Event::Empty(_) | Event::CData(_) | Event::GeneralRef(_) if whole => {
                return Err(XmlError::AfterEnd);
            }
            Event::Text(piece) if whole && !piece.trim_ascii().is_empty() => return Err(XmlError::AfterEnd),
            Event::Start(element) => {
                depth += 1;
                text = Cow::Borrowed("");
                siblings.open(local_name(&element))?;
                visit(depth, Step::Open(local_name(&element)));
            }
            Event::Empty(element) => {
                siblings.open(local_name(&element))?;
                siblings.close();
                visit(depth + 1, Step::Open(local_name(&element)));
                visit(depth + 1, Step::Close(local_name(&element), &mut Cow::Borrowed("")));
                whole |= depth == 0;
            }
            Event::End(element) => {
                visit(depth, Step::Close(element.local_name().into_inner(), &mut text));
                text = Cow::Borrowed("");
                siblings.close();
                depth -= 1;
                whole |= depth == 0;
            }
            Event::Text(piece) => append(&mut text, piece.into_inner())?,
            Event::CData(piece) => append(&mut text, piece.into_inner())?,
            Event::GeneralRef(entity) => text.to_mut().push(resolve(&entity)?),
            Event::Eof if whole && depth == 0 => return Ok(()),
            Event::Eof => return Err(XmlError::CutShort),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn local_name<'e>(element: &'e BytesStart<'_>) -> &'e [u8] {
    element.local_name().into_inner()
}

fn append<'x>(text: &mut Cow<'x, str>, piece: Cow<'x, [u8]>) -> Result<(), XmlError> {
    match piece {
        Cow::Borrowed(bytes) if text.is_empty() => {
            *text = Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?);
        }
        bytes => text.to_mut().push_str(std::str::from_utf8(&bytes).map_err(|_| XmlError::NotUtf8)?),
    }
    Ok(())
}

fn resolve(entity: &[u8]) -> Result<char, XmlError> {
    let entity = std::str::from_utf8(entity).map_err(|_| XmlError::NotUtf8)?;
    let number = match entity {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => entity.strip_prefix('#').ok_or(XmlError::UnknownEntity)?,
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    code.ok().and_then(char::from_u32).ok_or(XmlError::UnknownEntity)
}

/// Returns the texts of the root's direct children with these names. If a name occurs more than once, the first one is
/// returned; if it does not occur, an empty text.
///
/// # Errors
///
/// Returns an error if the document is not well formed or its root is not `root`.
pub(crate) fn children<const N: usize>(document: &[u8], root: &str, names: [&str; N]) -> Result<[String; N], XmlError> {
    let mut texts = [const { None }; N];
    let mut expected = false;
    walk(document, |depth, step| match step {
        Step::Open(name) if depth == 1 => expected = name == root.as_bytes(),
        Step::Close(name, text) if depth == 2 => {
            if let Some(index) = names.iter().position(|wanted| wanted.as_bytes() == name) {
                texts[index].get_or_insert_with(|| std::mem::take(text).into_owned());
            }
        }
        Step::Open(_) | Step::Close(..) => {}
    })?;
    if expected { Ok(texts.map(Option::unwrap_or_default)) } else { Err(XmlError::Unexpected) }
}

/// Appends text so that every character is preserved: markup and control characters become character references.
pub(crate) fn escape_into(document: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => document.push_str("&amp;"),
            '<' => document.push_str("&lt;"),
            '>' => document.push_str("&gt;"),
            '"' => document.push_str("&quot;"),
            '\'' => document.push_str("&apos;"),
            c if c.is_control() => {
                document.push_str("&#");
                document.push_str(&u32::from(c).to_string());
                document.push(';');
            }
            c => document.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_whatever_surrounds_them() {
        let document = br#"<?xml version="1.0"?><!-- note --><s3:Result xmlns:s3="urn:x" a=">">
            <Nested><ETag>no</ETag></Nested><Empty/><s3:ETag>&quot;a&#x1;b&#10;&quot;</s3:ETag><Code><![CDATA[x<y]]></Code>
            <Code>second</Code></s3:Result>"#;
        let found = children(document, "Result", ["ETag", "Code", "Empty", "Absent"]).unwrap();
        assert_eq!(found, ["\"a\u{1}b\n\"", "x<y", "", ""].map(String::from));
    }

    #[test]
    fn what_is_not_whole_is_an_error() {
        for document in
            ["", " ", "<R>", "<R><A>1</A>", "<R><A>1</R>", "<R><A>1</A></R", "nonsense", "<R>&nope;</R>", "<R></S>"]
        {
            assert!(children(document.as_bytes(), "R", ["A"]).is_err(), "{document:?}");
        }
        for after in ["x", "<R></R>", "<R/>", "&amp;", "<![CDATA[x]]>"] {
            let ended = children(format!("<R><A>1</A></R>{after}").as_bytes(), "R", ["A"]);
            assert!(matches!(ended, Err(XmlError::AfterEnd)), "{after}: {ended:?}");
        }
        assert!(children(b"<R></R>\n <!-- end -->\0", "R", ["A"]).is_err());
        assert!(children(b"<R></R>\r\n <!-- end -->\n", "R", ["A"]).is_ok());
        assert!(matches!(children(b"<html></html>", "R", ["A"]), Err(XmlError::Unexpected)));
    }

    #[test]
    fn two_values_of_one_fact_and_an_error_in_a_result_are_contradictions() {
        for name in UNIQUE {
            for inner in
                [format!("<C><{name}>1</{name}><{name}>2</{name}></C>"), format!("<{name}>1</{name}><A/><{name}/>")]
            {
                let walked = walk(format!("<R>{inner}</R>").as_bytes(), |_, _| {}).unwrap_err();
                assert!(matches!(walked, XmlError::Repeated(told) if told == name), "{inner}: {walked}");
                assert!(walked.is_contradiction());
            }
            let each = format!("<R><{name}/><C><{name}>1</{name}></C><C><{name}>2</{name}></C></R>");
            walk(each.as_bytes(), |_, _| {}).unwrap();
        }
        for (document, is_contradiction) in [
            ("<ListBucketResult><Error/></ListBucketResult>", true),
            ("<CopyObjectResult><ETag>e</ETag><Error><Code>C</Code></Error></CopyObjectResult>", true),
            ("<DeleteResult><Deleted><Error/></Deleted></DeleteResult>", true),
            ("<DeleteResult><Error><Key>k</Key></Error></DeleteResult>", false),
            ("<ErrorResponse><Error/></ErrorResponse>", false),
        ] {
            assert_eq!(walk(document.as_bytes(), |_, _| {}).is_err(), is_contradiction, "{document}");
        }
    }

    #[test]
    fn escaped_text_comes_back() {
        let text = "a&b<c>\"d'\u{1}\r\n\t\u{7f}\u{85} é\u{1f600}";
        let mut document = String::from("<R><K>");
        escape_into(&mut document, text);
        document.push_str("</K></R>");
        assert!(!document.contains(char::is_control));
        assert_eq!(children(document.as_bytes(), "R", ["K"]).unwrap(), [text.to_owned()]);
    }
}
