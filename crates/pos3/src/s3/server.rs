//! Which server an endpoint is, to tell whether two locations are in one place.
//!
//! Two names of one endpoint must not look like two places: a sync of a bucket into itself would pass.

/// The one place of all buckets in Amazon's regions: their names are unique over all of them.
const AMAZON: &str = "s3:";

/// Returns the server of an endpoint; none is Amazon.
pub(super) fn server(endpoint: Option<&str>) -> String {
    let Some(endpoint) = endpoint else { return AMAZON.to_owned() };
    let endpoint = endpoint.trim().trim_end_matches('/');
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let usual_port = if scheme == "http" { ":80" } else { ":443" };
    let host = authority.strip_suffix(usual_port).unwrap_or(&authority).trim_end_matches('.');
    if host == "amazonaws.com" || host.ends_with(".amazonaws.com") {
        return AMAZON.to_owned();
    }
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_has_one_name() {
        for (endpoint, expected) in [
            (None, "s3:"),
            (Some("https://s3.eu-west-1.amazonaws.com/"), "s3:"),
            (Some("https://s3.cn-north-1.amazonaws.com.cn"), "https://s3.cn-north-1.amazonaws.com.cn"),
            (Some("http://Host.Example:80//"), "http://host.example"),
            (Some("HTTPS://host.example.:443"), "https://host.example"),
            (Some("http://host.example:443"), "http://host.example:443"),
            (Some("http://127.0.0.1:9000/Base"), "http://127.0.0.1:9000/Base"),
        ] {
            assert_eq!(server(endpoint), expected, "{endpoint:?}");
        }
    }
}
