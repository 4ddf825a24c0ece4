//! The media type of a file, from its name: [`guess_content_type`] and [`ContentTypeResolver`].
//!
//! Without a media type, a browser offers an object for download instead of showing it, and no program that downloads
//! the object can find out its type. Without a charset, a browser may show text in another encoding.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The media type of unknown content (RFC 2046).
const UNKNOWN: &str = "application/octet-stream";

/// Returns the media type for the extension of a file name or key, or `application/octet-stream`.
///
/// The extension is the text after the last `.` of the base name, in upper or lower case. So `.env` has the extension
/// `env`, and `md` has none. Text has `charset=utf-8`; the content is not examined.
///
/// ```
/// use pos3_core::guess_content_type;
///
/// assert_eq!(guess_content_type("notes/Plan.MD"), "text/markdown; charset=utf-8");
/// assert_eq!(guess_content_type("photo.png"), "image/png");
/// assert_eq!(guess_content_type("md"), "application/octet-stream");
/// ```
pub fn guess_content_type(name: &str) -> Cow<'static, str> {
    let Some((_, extension)) = base_name(name).rsplit_once('.') else { return UNKNOWN.into() };
    let extension = extension.to_ascii_lowercase();
    match listed(&extension) {
        Some(content_type) => content_type.into(),
        None => registered(&extension),
    }
}

/// Returns the types that are common in workspaces. Some of them differ from those of `mime_guess`, which knows the
/// registered types: `ts` is TypeScript here, and a video there.
fn listed(extension: &str) -> Option<&'static str> {
    let content_type = match extension {
        "txt" | "ini" | "conf" | "env" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "xml" => "application/xml; charset=utf-8",
        "js" | "mjs" | "cjs" | "jsx" => "application/javascript; charset=utf-8",
        "ts" | "tsx" => "application/typescript; charset=utf-8",
        "json" => "application/json; charset=utf-8",
        "py" => "text/x-python; charset=utf-8",
        "java" => "text/x-java; charset=utf-8",
        "cpp" => "text/x-c++src; charset=utf-8",
        "c" | "h" => "text/x-c; charset=utf-8",
        "go" => "text/x-go; charset=utf-8",
        "rs" => "text/x-rust; charset=utf-8",
        "rb" => "text/x-ruby; charset=utf-8",
        "sh" => "application/x-sh; charset=utf-8",
        "sql" => "application/sql; charset=utf-8",
        "yaml" | "yml" => "application/x-yaml; charset=utf-8",
        "toml" => "application/toml; charset=utf-8",
        "pdf" => "application/pdf",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "wav" => "audio/wav",
        "zip" => "application/zip",
        "tar" => "application/x-tar",
        "gz" => "application/gzip",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        _ => return None,
    };
    Some(content_type)
}

/// Returns the type that is registered for an extension. All kinds of text get the same charset, so that `htm` is as
/// readable as `html`.
fn registered(extension: &str) -> Cow<'static, str> {
    match mime_guess::from_ext(extension).first_raw() {
        Some(text) if text.starts_with("text/") => format!("{text}; charset=utf-8").into(),
        Some(other) => other.into(),
        None => UNKNOWN.into(),
    }
}

/// Returns the name of a file without its directories. It is empty for the marker of a directory.
fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

/// The function that determines the media type of an uploaded file from its base name. Clones share it.
///
/// If it returns `None`, and by default, the type is that of [`guess_content_type`]. It is called for each file whose
/// content this process sends, and not for a copy inside the server, which keeps the type of its source. It must not
/// block.
///
/// ```
/// use pos3_core::{ContentTypeResolver, SyncOptions};
///
/// let notes = ContentTypeResolver::new(|name| name.ends_with(".note").then(|| "text/x-note".to_owned()));
/// assert_eq!(notes.content_type("a/b.note"), "text/x-note");
/// assert_eq!(notes.content_type("a/b.png"), "image/png");
/// let options = SyncOptions::default().with_content_type(notes);
/// ```
#[derive(Clone, Default)]
pub struct ContentTypeResolver(Option<Arc<Resolve>>);

type Resolve = dyn Fn(&str) -> Option<String> + Send + Sync;

impl ContentTypeResolver {
    /// Returns a resolver that calls `resolve` with the base name of each file.
    pub fn new(resolve: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(resolve)))
    }

    /// Returns the media type of a file or key. The marker of a directory has no base name, so the function is not
    /// called for it.
    pub fn content_type(&self, name: &str) -> Cow<'static, str> {
        let base = base_name(name);
        let resolved = self.0.as_ref().filter(|_| !base.is_empty()).and_then(|resolve| resolve(base));
        resolved.map_or_else(|| guess_content_type(base), Cow::Owned)
    }
}

impl fmt::Debug for ContentTypeResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "ContentTypeResolver(function)" } else { "ContentTypeResolver(table)" })
    }
}

#[cfg(test)]
mod tests;
