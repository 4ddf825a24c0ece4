//! Makes external text (from servers, files, keys, arguments) safe to print.
//!
//! A terminal interprets control characters, and some characters reorder or hide their neighbours. If pos3 printed them
//! unescaped, a server or a file name could forge or recolour lines, or make one name look like another.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Returns text as a single line that a terminal shows literally. Characters that a terminal interprets, that are
/// invisible, or that reorder others are escaped as in Rust (`\n`, `\u{1b}`, `\u{202e}`).
///
/// Text that is already escaped is not escaped again.
pub fn printable(text: &str) -> Printable<'_> {
    Printable(text)
}

/// The `Display` value of [`printable`].
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = 0;
        let mut before = None;
        let mut rest = self.0.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            let after = rest.peek().map(|(_, after)| *after);
            if is_deceptive(c) && !(is_joiner(c) && joins(before, after)) {
                f.write_str(&self.0[shown..at])?;
                write!(f, "{}", c.escape_default())?;
                shown = at + c.len_utf8();
            }
            before = Some(c);
        }
        f.write_str(&self.0[shown..])
    }
}

/// Returns a count with its noun: `1 file`, `2 files`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Returns true for a character that a terminal interprets, that reorders the text around it, or that is invisible.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // The soft hyphen, direction marks, and fillers without width.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            // Line and paragraph separators; direction embeddings, overrides and isolates.
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // Annotations, and tags that copy ASCII invisibly.
            | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns true for the joiners, which Persian, Indic scripts and many emoji need inside a word.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Returns true if a joiner between these two characters is part of a word. Next to ASCII it only serves to make one
/// name look like another.
fn joins(before: Option<char>, after: Option<char>) -> bool {
    let is_letter = |c: char| !c.is_ascii() && !is_deceptive(c);
    before.is_some_and(is_letter) && after.is_some_and(is_letter)
}

/// A URL as it was given, possibly with a user name and password. Only [`as_str`](Self::as_str) reveals these.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url(String);

impl Url {
    /// Returns the exact text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Url {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Url {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_userinfo(&self.0))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        fmt::Display::fmt(self, f)?;
        f.write_char('"')
    }
}

/// Returns a URL with `***` in place of its userinfo, whether the URL is well formed or not.
///
/// A profile, as in `s3://lab@bucket`, is not a secret and stays. A password may contain any character, so everything
/// before the last `@` is replaced.
pub fn without_userinfo(url: &str) -> Cow<'_, str> {
    let start = url.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = url.split_at(start);
    let scheme_has_passwords = ["", "http://", "https://"].iter().any(|with| scheme.eq_ignore_ascii_case(with));
    let end = if scheme_has_passwords { rest.rfind('@') } else { secret_end(rest) };
    match end {
        Some(at) => Cow::Owned(format!("{scheme}***{}", &rest[at..])),
        None => Cow::Borrowed(url),
    }
}

/// Returns any text with `***` in place of the userinfo of every URL in it, well formed or not.
///
/// Messages repeat arguments, variables and texts of servers. A URL begins at `://`; `http`, `https` and `s3` are also
/// recognised with one slash, because that is how a URL looks after it was treated as a path. The URL ends at a blank
/// or a quote, unless the text before that can only be the beginning of a password.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(url) = next_url(rest) {
        let (before, after) = rest.split_at(url.start);
        shown.push_str(before);
        rest = match userinfo_end(url.scheme, after) {
            Some(end) => {
                shown.push_str("***");
                &after[end..]
            }
            None => after,
        };
    }
    if shown.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(shown + rest) }
}

/// The position where the userinfo of a URL would begin, and the scheme before it.
struct UrlStart<'t> {
    scheme: &'t str,
    start: usize,
}

/// The schemes of URLs that may contain secret userinfo.
const SCHEMES_OF_SECRETS: [&str; 3] = ["http", "https", "s3"];

fn next_url(text: &str) -> Option<UrlStart<'_>> {
    text.match_indices(":/").find_map(|(colon, _)| {
        let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let scheme = &text[text[..colon].trim_end_matches(in_scheme).len()..colon];
        let after = &text[colon + 1..];
        let slashes = after.len() - after.trim_start_matches('/').len();
        let is_usual = SCHEMES_OF_SECRETS.iter().any(|usual| scheme.eq_ignore_ascii_case(usual));
        (slashes > 1 || is_usual).then_some(UrlStart { scheme, start: colon + 1 + slashes })
    })
}

/// Returns the position of the `@` at the end of the userinfo, in the text after the slashes of a URL.
fn userinfo_end(scheme: &str, after: &str) -> Option<usize> {
    let ends_url = |c: char| c.is_whitespace() || "'\"`<>".contains(c);
    let end = after.find(ends_url).unwrap_or(after.len());
    let url = &after[..end];
    let found = if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") {
        url.rfind('@')
    } else {
        secret_end(url)
    };
    found.or_else(|| {
        // A port is a number, so any other text after a colon is a password, which may contain blanks and quotes.
        let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
        let (_, port) = authority.rsplit_once(':').filter(|_| !authority.starts_with('['))?;
        let is_password = !port.bytes().all(|byte| byte.is_ascii_digit());
        after.find('@').filter(|_| is_password)
    })
}

/// Returns the end of `KEY:SECRET` before a bucket, if there is one.
fn secret_end(rest: &str) -> Option<usize> {
    let at = rest.rfind('@')?;
    let first = rest.find(['@', '/']).unwrap_or(at);
    rest[..first].contains(':').then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped() {
        for (text, expected) in [
            ("plain é 日本 'It''s'", "plain é 日本 'It''s'"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}"),
            ("\u{1b}[31mred\u{7f}\u{9b}2J", "\\u{1b}[31mred\\u{7f}\\u{9b}2J"),
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("\u{2066}a\u{2069}\u{200e}\u{200f}", "\\u{2066}a\\u{2069}\\u{200e}\\u{200f}"),
            ("line\u{2028}next\u{2029}", "line\\u{2028}next\\u{2029}"),
            ("in\u{200b}vis\u{feff}ible\u{e0041}", "in\\u{200b}vis\\u{feff}ible\\u{e0041}"),
            ("re\u{200d}port\u{200c}", "re\\u{200d}port\\u{200c}"),
            ("می\u{200c}خواهم 👩\u{200d}💻", "می\u{200c}خواهم 👩\u{200d}💻"),
            ("é\u{200d}\u{200d}é", "é\\u{200d}\\u{200d}é"),
        ] {
            let shown = printable(text).to_string();
            assert_eq!(shown, expected);
            assert_eq!(printable(&shown).to_string(), expected, "text that was escaped is left alone");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("http://user:SECRET@h:9000", "http://***@h:9000"),
            ("HTTPS://SECRET@h/path", "HTTPS://***@h/path"),
            ("http://user:SE/C?R#E@T@h", "http://***@h"),
            ("user:SECRET@h:9000", "***@h:9000"),
            ("ftp://user:SECRET@h", "ftp://***@h"),
            ("s3://lab@bucket/a@b", "s3://lab@bucket/a@b"),
            ("s3://key:SECRET@bucket/a", "s3://***@bucket/a"),
            ("s3://key:SEC/RET@bucket/a", "s3://***@bucket/a"),
            ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ] {
            assert_eq!(without_userinfo(url), shown);
            assert_eq!(format!("{} {:?}", Url::from(url), Url::from(url)), format!("{shown} \"{shown}\""));
            assert_eq!(Url::from(url).as_str(), url);
        }
    }

    #[test]
    fn every_url_in_a_text_is_shown_without_its_password() {
        for (text, shown) in [
            ("no URL, a@b, a:b@c and /a:/b@c", "no URL, a@b, a:b@c and /a:/b@c"),
            ("cannot read 'http://127.0.0.1:9000': told by a@b", "cannot read 'http://127.0.0.1:9000': told by a@b"),
            ("'s3://lab@bucket/a@b' and s3://bucket/a:b@c", "'s3://lab@bucket/a@b' and s3://bucket/a:b@c"),
            ("http://[::1]:9000 of a@b", "http://[::1]:9000 of a@b"),
            ("x=https://user:SECRET@h/x, then s3://K:SECRET@b", "x=https://***@h/x, then s3://***@b"),
            ("--endpoint-url=https://SECRET@h", "--endpoint-url=https://***@h"),
            ("'https:/K:SECRET@h/x' is no file", "'https:/***@h/x' is no file"),
            ("/here/s3:/K:SECRET@h/x", "/here/s3:/***@h/x"),
            ("'https://user:SEC RET@h' is wrong", "'https://***@h' is wrong"),
            ("'s3://K:SE'CRET@b/x'", "'s3://***@b/x'"),
            ("s3://K:SEC/RET@b/x", "s3://***@b/x"),
            ("HTTPS://SECRET@h and ftp://u:SECRET@h", "HTTPS://***@h and ftp://***@h"),
            ("'https://user:SECRET' has no host; a@b", "'https://***@b"),
        ] {
            assert_eq!(redacted(text), shown, "{text}");
            assert_eq!(redacted(shown), shown, "what was taken out stays out");
        }
    }
}
