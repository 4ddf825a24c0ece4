//! The name of a server that may have other names, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;

/// The server of all buckets in Amazon's regions: bucket names are unique across these regions.
const AMAZON: &str = "s3:";

/// The same for the regions in China, which have a separate set of bucket names.
const AMAZON_CHINA: &str = "s3.cn:";

/// A server, for the question whether two locations **may** be the same. If two servers may be one, they are equal here.
///
/// Equality may only forbid something, for example a sync of a location into itself. In doubt, two endpoints are equal,
/// so the worst result is a refusal. What equality permits needs a [`CertainServer`](super::CertainServer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PossibleServer(String);

impl PossibleServer {
    /// Returns the server of a bucket. Without an endpoint it is Amazon's server in the region.
    pub(crate) fn of_bucket(endpoint: Option<&str>, region: Option<&str>, bucket: &str) -> Self {
        Self(match endpoint {
            None if region.is_some_and(|region| region.starts_with("cn-")) => AMAZON_CHINA.to_owned(),
            None => AMAZON.to_owned(),
            Some(endpoint) => Parts::of(endpoint).without_bucket(bucket).server(),
        })
    }

    /// Returns the name, which the names of the locations on this server start with.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

/// Returns the server that the requests of a client are sent to. Amazon has one in each region, and an overload of one
/// says nothing about the others. Equality only reduces the number of requests at a time.
pub(crate) fn of_requests(endpoint: Option<&str>, region: Option<&str>) -> String {
    endpoint.map_or_else(|| format!("{AMAZON}{}", region.unwrap_or_default()), |endpoint| Parts::of(endpoint).server())
}

/// The parts of an endpoint in canonical form.
struct Parts {
    host: String,
    /// Empty for the ports 80 and 443, which are assumed to belong to the same server.
    port: String,
    path: String,
}

impl Parts {
    fn of(endpoint: &str) -> Self {
        let endpoint = endpoint.trim();
        let (_, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            // Otherwise the colon is part of an IPv6 address.
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
            _ => (authority, ""),
        };
        let port = match port.trim_start_matches('0') {
            "" | "80" | "443" => String::new(),
            port => format!(":{port}"),
        };
        let path = percent_decode_str(path.trim_end_matches('/')).decode_utf8_lossy().into_owned();
        Self { host: host.trim_end_matches('.').to_ascii_lowercase(), port, path }
    }

    /// Returns the endpoint without the bucket's name at the start of the host, which virtual-hosted addresses have.
    fn without_bucket(self, bucket: &str) -> Self {
        let host = self.host.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('.'));
        match host.filter(|host| !host.is_empty() && ipv4(&self.host).is_none()) {
            Some(host) => Self { host: host.to_owned(), ..self },
            None => self,
        }
    }

    fn server(self) -> String {
        let Self { host, port, path } = self;
        let is_in = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if ["amazonaws.com", "api.aws"].into_iter().any(is_in) {
            return AMAZON.to_owned();
        }
        if ["amazonaws.com.cn", "api.amazonwebservices.com.cn"].into_iter().any(is_in) {
            return AMAZON_CHINA.to_owned();
        }
        format!("//{}{port}{path}", address(&host))
    }
}

/// Returns one canonical name for all names of a host that can be recognised without DNS.
fn address(host: &str) -> String {
    if host == "localhost" || host.ends_with(".localhost") {
        return Ipv4Addr::LOCALHOST.to_string();
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let address = bare.parse::<Ipv6Addr>().map(IpAddr::V6).ok().or_else(|| ipv4(bare).map(IpAddr::V4));
    match address.map(|address| address.to_canonical()) {
        // A server that listens on all addresses can be reached by every name of this machine.
        Some(address) if address.is_unspecified() || address == IpAddr::V6(Ipv6Addr::LOCALHOST) => {
            Ipv4Addr::LOCALHOST.to_string()
        }
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        None => host.to_owned(),
    }
}

/// Parses an IPv4 address as the system's resolver does. It has up to four numbers; the last one fills the remaining
/// bytes. Each is decimal, octal after `0` or hexadecimal after `0x`.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u64> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = numbers.split_last()?;
    if first.len() > 3 || first.iter().any(|number| *number > 255) || *last >= 1 << (8 * (4 - first.len())) {
        return None;
    }
    let high = first.iter().zip([24, 16, 8]).map(|(number, shift)| number << shift).sum::<u64>();
    u32::try_from(high + last).ok().map(Ipv4Addr::from)
}

fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(endpoint: &str) -> String {
        Parts::of(endpoint).server()
    }

    #[test]
    fn one_server_has_one_name() {
        for (endpoint, expected) in [
            ("https://s3.eu-west-1.amazonaws.com/", "s3:"),
            ("https://s3.dualstack.eu-west-1.amazonaws.com", "s3:"),
            ("https://s3.eu-west-1.api.aws", "s3:"),
            ("https://s3.cn-north-1.amazonaws.com.cn", "s3.cn:"),
            ("https://notamazonaws.com", "//notamazonaws.com"),
            ("http://Host.Example:80//", "//host.example"),
            ("http://host.example:080", "//host.example"),
            ("HTTPS://host.example.:443", "//host.example"),
            ("http://host.example:09000/", "//host.example:9000"),
            ("http://127.0.0.1:9000/Base", "//127.0.0.1:9000/Base"),
            ("http://127.0.0.1:9000/%42ase/", "//127.0.0.1:9000/Base"),
        ] {
            assert_eq!(server(endpoint), expected, "{endpoint:?}");
        }
    }

    #[test]
    fn a_host_has_one_address_however_it_is_written() {
        let here = [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.01",
            "localhost",
            "LOCALHOST.",
            "data.localhost",
            "0.0.0.0",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::FFFF:7f00:1]",
        ];
        for host in here {
            assert_eq!(server(&format!("http://{host}:9000")), "//127.0.0.1:9000", "{host}");
        }
        for (host, expected) in [
            ("127.0.0.2", "127.0.0.2"),
            ("10.1", "10.0.0.1"),
            ("[FE80:0::0001]", "[fe80::1]"),
            ("[fe80::1%25eth0]", "[fe80::1%25eth0]"),
            ("256.1.1.1", "256.1.1.1"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("0x", "0x"),
            ("a.b", "a.b"),
        ] {
            assert_eq!(server(&format!("http://{host}")), format!("//{expected}"), "{host}");
        }
    }

    #[test]
    fn a_bucket_in_the_host_is_the_bucket_in_the_path() {
        for (endpoint, region, bucket, expected) in [
            (None, None, "b", "s3:"),
            (None, Some("eu-west-1"), "b", "s3:"),
            (None, Some("cn-north-1"), "b", "s3.cn:"),
            (Some("https://b.s3.amazonaws.com"), None, "b", "s3:"),
            (Some("https://b.host.example"), None, "b", "//host.example"),
            (Some("https://b.host.example"), None, "host", "//b.host.example"),
            (Some("http://data.localhost:9000"), None, "data", "//127.0.0.1:9000"),
            (Some("http://127.0.0.1"), None, "127.0.0", "//127.0.0.1"),
            (Some("http://b."), None, "b", "//b"),
        ] {
            assert_eq!(PossibleServer::of_bucket(endpoint, region, bucket).name(), expected, "{endpoint:?} {bucket}");
        }
    }
}
