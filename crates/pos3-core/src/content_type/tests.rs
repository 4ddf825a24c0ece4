//! The cases of the TypeScript library whose workspaces pos3 replaces, and those that it lacks.

use super::*;

fn assert_types(cases: &[(&str, &str)]) {
    for (name, expected) in cases {
        assert_eq!(guess_content_type(name), *expected, "{name:?}");
    }
}

#[test]
fn text_has_a_charset() {
    for (extensions, expected) in [
        ("txt ini conf env", "text/plain"),
        ("md", "text/markdown"),
        ("csv", "text/csv"),
        ("html", "text/html"),
        ("css", "text/css"),
        ("xml", "application/xml"),
        ("js mjs cjs jsx", "application/javascript"),
        ("ts tsx", "application/typescript"),
        ("json", "application/json"),
        ("py", "text/x-python"),
        ("java", "text/x-java"),
        ("cpp", "text/x-c++src"),
        ("c h", "text/x-c"),
        ("go", "text/x-go"),
        ("rs", "text/x-rust"),
        ("rb", "text/x-ruby"),
        ("sh", "application/x-sh"),
        ("sql", "application/sql"),
        ("yaml yml", "application/x-yaml"),
        ("toml", "application/toml"),
    ] {
        for extension in extensions.split(' ') {
            assert_types(&[(&format!("a.{extension}"), &format!("{expected}; charset=utf-8"))]);
        }
    }
}

#[test]
fn documents_images_media_archives_and_fonts_have_none() {
    assert_types(&[
        ("a.pdf", "application/pdf"),
        ("a.doc", "application/msword"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.xls", "application/vnd.ms-excel"),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ("a.jpg", "image/jpeg"),
        ("a.jpeg", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.gif", "image/gif"),
        ("a.svg", "image/svg+xml"),
        ("a.webp", "image/webp"),
        ("a.ico", "image/x-icon"),
        ("a.mp3", "audio/mpeg"),
        ("a.mp4", "video/mp4"),
        ("a.webm", "video/webm"),
        ("a.wav", "audio/wav"),
        ("a.zip", "application/zip"),
        ("a.tar", "application/x-tar"),
        ("a.gz", "application/gzip"),
        ("a.woff", "font/woff"),
        ("a.woff2", "font/woff2"),
        ("a.ttf", "font/ttf"),
        ("a.otf", "font/otf"),
    ]);
}

#[test]
fn only_the_text_after_the_last_dot_of_the_base_name_counts_in_any_case() {
    assert_types(&[
        ("a/b/Photo.JPG", "image/jpeg"),
        ("README.Md", "text/markdown; charset=utf-8"),
        ("x.tar.gz", "application/gzip"),
        ("a.html/page.css", "text/css; charset=utf-8"),
        (".env", "text/plain; charset=utf-8"),
        ("a/.html", "text/html; charset=utf-8"),
        ("a b.é.png", "image/png"),
    ]);
}

#[test]
fn a_name_without_a_known_extension_is_unknown_content() {
    for name in [
        "",
        ".",
        "..",
        "/",
        "x.",
        "md",
        "png",
        "a/json",
        "Makefile",
        "a.html/readme",
        "page.html/",
        ".gitignore",
        ".env.local",
        "a.constructor",
        "a.toString",
        "a.__proto__",
        "odd.é\n",
        "model.safetensors",
        "a.png ",
    ] {
        assert_types(&[(name, "application/octet-stream")]);
    }
}

#[test]
fn extensions_outside_the_table_have_their_registered_types() {
    assert_types(&[
        ("x.log", "text/plain; charset=utf-8"),
        ("x.HTM", "text/html; charset=utf-8"),
        ("x.avi", "video/x-msvideo"),
        ("x.wasm", "application/wasm"),
        ("x.tiff", "image/tiff"),
    ]);
}

#[test]
fn every_type_is_a_legal_header_with_at_most_one_charset() {
    let characters: Vec<char> = ('a'..='z').chain('0'..='9').collect();
    let pairs = || characters.iter().flat_map(|one| characters.iter().map(move |two| format!("{one}{two}")));
    let triples = pairs().flat_map(|pair| characters.iter().map(move |three| format!("{pair}{three}")));
    for extension in pairs().chain(triples) {
        let found = guess_content_type(&format!("a.{extension}"));
        let is_legal = found.contains('/') && found.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        assert!(is_legal && found.matches(';').count() <= 1, "{extension}: {found}");
        assert!(!found.starts_with("text/") || found.ends_with("; charset=utf-8"), "{extension}: {found}");
    }
}

#[test]
fn a_resolver_gets_the_base_name_and_leaves_the_rest_to_the_table() {
    let resolver = ContentTypeResolver::new(|name| match name {
        "page.html" => Some("text/x-page".to_owned()),
        "" => panic!("a directory has no base name"),
        _ => None,
    });
    for (name, expected) in [
        ("page.html", "text/x-page"),
        ("a/page.html", "text/x-page"),
        ("a/other.html", "text/html; charset=utf-8"),
        ("page.html/", "application/octet-stream"),
        ("", "application/octet-stream"),
    ] {
        assert_eq!(resolver.clone().content_type(name), expected, "{name:?}");
    }
    assert_eq!(ContentTypeResolver::default().content_type("a.png"), "image/png");
    assert_eq!(format!("{resolver:?}"), "ContentTypeResolver(function)");
}
