//! The keys that a user may mean by a path. It should be relative to both locations, but users often copy a path from the
//! screen, which begins with the source or the target.

use std::path::{Path, PathBuf};

use pos3::{Key, Location};

use crate::args::S3Args;

/// Returns the relative keys that the user may mean, the likeliest first.
///
/// # Errors
///
/// The path cannot be below these locations.
pub(in crate::commands) fn keys(typed: &str, sides: [&Location; 2], s3: &S3Args) -> Result<Vec<Key>, String> {
    let mut keys: Vec<String> = match typed.parse() {
        Ok(mut url @ Location::Remote(_)) => {
            s3.add_profile([&mut url]);
            sides.iter().filter_map(|side| below_prefix(side, &url)).collect()
        }
        Ok(Location::Local(path)) if path.is_absolute() => below_directories(sides, &path, typed),
        Ok(Location::Local(path)) => {
            let literal = typed.strip_prefix("./").unwrap_or(typed).to_owned();
            [literal].into_iter().chain(below_directories(sides, &path, typed)).collect()
        }
        Err(error) if typed.contains("://") || typed.is_empty() => return Err(error.to_string()),
        // The text looks like an invalid URL, but a key may look so too.
        Err(_) => vec![typed.to_owned()],
    };
    keys.dedup();
    let [from, to] = sides;
    if keys.is_empty() {
        return Err(format!(
            "'{typed}' is neither below the source '{from}' nor below the target '{to}': name a path below one of them"
        ));
    }
    keys.retain(|key| !matches!(key.trim_end_matches('/'), "" | "."));
    if keys.is_empty() {
        return Err("name a path below both locations, such as 'reports/2024.csv'".to_owned());
    }
    Ok(keys.into_iter().map(Key::from).collect())
}

/// Returns the relative key of a URL if it is below the location.
fn below_prefix(side: &Location, url: &Location) -> Option<String> {
    let (Location::Remote(side), Location::Remote(url)) = (side, url) else { return None };
    let is_same_bucket = (side.scheme(), side.profile(), side.bucket()) == (url.scheme(), url.profile(), url.bucket());
    let prefix = side.prefix();
    let relative =
        url.key().strip_prefix(&prefix).or_else(|| (url.key() == prefix.trim_end_matches('/')).then_some(""));
    relative.filter(|_| is_same_bucket).map(str::to_owned)
}

/// Returns the relative keys of a local path that is below a local location.
fn below_directories(sides: [&Location; 2], path: &Path, typed: &str) -> Vec<String> {
    let path = resolved(path);
    let roots = sides.into_iter().filter_map(Location::path).map(resolved);
    let relative = roots.filter_map(|root| Some(path.strip_prefix(root).ok()?.to_str()?.to_owned()));
    relative.map(|relative| if typed.ends_with('/') { relative + "/" } else { relative }).collect()
}

/// Returns a path with all links resolved except the last component. Parts that do not exist stay as they are.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let parent = absolute.parent().and_then(|parent| std::fs::canonicalize(parent).ok());
    parent.zip(absolute.file_name()).map_or(absolute.clone(), |(parent, name)| parent.join(name))
}
