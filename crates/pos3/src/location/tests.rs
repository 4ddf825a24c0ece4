use super::*;

fn shown(text: &str) -> String {
    match text.parse::<Location>() {
        Ok(Location::Local(path)) => format!("path {}", path.display()),
        Ok(Location::Remote(RemoteLocation { scheme, profile, bucket, key })) => {
            let profile = profile.map(|profile| format!("{profile} ")).unwrap_or_default();
            format!("{scheme} {profile}{bucket} [{key}]")
        }
        Err(error) => format!("error {error}"),
    }
}

#[test]
fn a_text_is_a_location_exactly_as_it_is_written() {
    for (text, expected) in [
        ("s3://b", "s3 b []"),
        ("s3://b/", "s3 b []"),
        ("s3://b/k", "s3 b [k]"),
        ("s3://b/d/", "s3 b [d/]"),
        ("s3://b//lead", "s3 b [/lead]"),
        ("s3://b/a//b", "s3 b [a//b]"),
        ("s3://b/x#1", "s3 b [x#1]"),
        ("s3://b/y?z=1&q", "s3 b [y?z=1&q]"),
        ("s3://b/a%20b;p=1", "s3 b [a%20b;p=1]"),
        ("s3://b/a b\tc", "s3 b [a b\tc]"),
        ("s3://b/é/日本", "s3 b [é/日本]"),
        ("s3://b/../up/./x", "s3 b [../up/./x]"),
        ("s3://b/see://this@that", "s3 b [see://this@that]"),
        ("s3://p@b/k", "s3 p b [k]"),
        ("s3://p@q@b/k", "s3 p@q b [k]"),
        ("memory://m/d", "memory m [d]"),
        ("own+scheme.1://b/k", "own+scheme.1 b [k]"),
        ("file:///a/b%20c", "path /a/b c"),
        ("file:///a/x#1?y", "path /a/x#1?y"),
        ("file://localhost/a", "path /a"),
        ("/a/b", "path /a/b"),
        (".", "path ."),
        ("a%20b", "path a%20b"),
        ("./s3:/b", "path ./s3:/b"),
        ("./s3://b", "path ./s3://b"),
        ("a:b", "path a:b"),
    ] {
        assert_eq!(shown(text), expected, "{text:?}");
    }
}

#[test]
fn what_is_no_location_is_named_with_what_to_do() {
    for (text, expected) in [
        ("", "the location is empty: give a path or a URL such as s3://bucket/prefix"),
        ("S3://b/K", "'S3://b/K': schemes are lower case: write 's3://b/K'"),
        ("File:///a", "'File:///a': schemes are lower case: write 'file:///a'"),
        ("://b", "'://b' has no scheme before '://': write one such as 's3', or './' before a path"),
        ("s3:/b/k", "'s3:/b/k': write 's3://b/k', or './s3:/b/k' if it is a path"),
        ("S3:b", "'S3:b': write 's3://b', or './S3:b' if it is a path"),
        ("file:/a", "'file:/a': write 'file:///a', or './file:/a' if it is a path"),
        ("s3://", "'s3://' names no bucket: write s3://BUCKET/PREFIX"),
        ("s3:///k", "'s3:///k' names no bucket: write s3://BUCKET/PREFIX"),
        ("s3://p@/k", "'s3://p@/k' names no bucket: write s3://BUCKET/PREFIX"),
        ("s3://@b/k", "'s3://@b/k' names no profile before the '@': write s3://PROFILE@BUCKET or leave the '@' out"),
        (
            "file://host/a",
            "'file://host/a' is not an absolute local path: write file:///PATH with three slashes, or the path alone",
        ),
        ("file:///a%zz", "'file:///a%zz' has an invalid '%' escape: write '%25' for a percent sign, or the path alone"),
        ("file:///a%00", "'file:///a%00' has an invalid '%' escape: write '%25' for a percent sign, or the path alone"),
    ] {
        assert_eq!(shown(text), format!("error {expected}"), "{text:?}");
    }
}

#[test]
fn display_is_parsed_to_the_same_location() {
    for text in ["s3://b", "s3://b/", "s3://p@b/k", "s3://b//lead", "s3://b/d/", "s3://b/x#1?%20", "/a/b", ".", "a b"] {
        let location: Location = text.parse().unwrap();
        assert_eq!(location.to_string().parse(), Ok(location), "{text}");
    }
    assert_eq!("file:///a%20b".parse::<Location>().unwrap().to_string(), "/a b");
}

#[test]
fn a_directory_gets_exactly_one_slash() {
    for (text, prefix) in
        [("s3://b", ""), ("s3://b/d", "d/"), ("s3://b/d/", "d/"), ("s3://b/d//", "d//"), ("s3://b//", "/")]
    {
        let Ok(Location::Remote(remote)) = text.parse() else { panic!("{text}") };
        assert_eq!(remote.prefix(), prefix, "{text}");
    }
}

#[test]
fn a_child_is_shown_as_it_would_be_typed() {
    for (text, key, expected) in [
        (".", "a/b", "./a/b"),
        ("dir", "a", "dir/a"),
        ("dir/", "a", "dir/a"),
        ("/", "a", "/a"),
        ("s3://b", "a", "s3://b/a"),
        ("s3://b/d", "a", "s3://b/d/a"),
        ("s3://p@b/d/", "a\nb", "s3://p@b/d/a\\nb"),
        ("s3://b", "/lead", "s3://b//lead"),
    ] {
        assert_eq!(text.parse::<Location>().unwrap().child(&Key::from(key)), expected);
    }
}

#[cfg(unix)]
#[test]
fn a_path_need_not_be_utf8_and_a_url_must() {
    use std::os::unix::ffi::OsStrExt;
    let path = OsStr::from_bytes(b"a\xff");
    assert_eq!(Location::from_os_str(path), Ok(Location::Local(PathBuf::from(path))));
    assert!(matches!(Location::from_os_str(OsStr::from_bytes(b"s3://b/\xff")), Err(LocationError::NotUtf8 { .. })));
}

#[test]
fn wildcards_are_told_from_what_is_above_them() {
    for (text, expected) in [
        ("s3://b/*.txt", Some(("s3://b", "*.txt"))),
        ("s3://p@b/d/e/run-?/x", Some(("s3://p@b/d/e/", "run-?/x"))),
        ("s3://b/d/[ab]/", Some(("s3://b/d/", "[ab]/"))),
        ("s3://b/a*b/[c", Some(("s3://b", "a*b/[c"))),
        ("s3://b/[c", None),
        ("s3://b/plain", None),
        ("s3://b", None),
        ("d/*.txt", None),
    ] {
        let location: Location = text.parse().unwrap();
        let found = location.wildcards().map(|(above, pattern)| (above.to_string(), pattern));
        assert_eq!(found, expected.map(|(above, pattern)| (above.to_owned(), pattern)), "{text}");
    }
}
