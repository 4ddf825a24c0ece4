//! The name of a server that no other server has.

/// A server, for the question whether two endpoints **certainly** lead to the same one. In doubt, they are not equal.
///
/// Two endpoints are equal if the host, the port and the path are. One port of one host is one server, with or without
/// TLS. A host is compared as text, apart from letter case: `localhost`, `127.0.0.1` and `[::1]` can be three servers.
/// Only the hosts of Amazon S3 in one partition are one server, because a bucket name exists once in a partition.
///
/// What equality forbids needs a [`PossibleServer`](super::PossibleServer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertainServer(String);

/// Amazon's partitions: the domain, the start of the names of the regions, and the host that stands for the partition.
/// The first one that fits is meant.
const PARTITIONS: [(&str, &str, &str); 3] =
    [("amazonaws.com.cn", "cn-", CHINA), ("amazonaws.com", "us-gov-", GOVERNMENT), ("amazonaws.com", "", WORLD)];

const CHINA: &str = "s3.amazonaws.com.cn";
const GOVERNMENT: &str = "s3.us-gov-west-1.amazonaws.com";
const WORLD: &str = "s3.amazonaws.com";

/// The hosts of S3 that name no region.
const WITHOUT_REGION: [(&str, &str); 5] = [
    (CHINA, CHINA),
    (WORLD, WORLD),
    ("s3-external-1.amazonaws.com", WORLD),
    ("s3-accelerate.amazonaws.com", WORLD),
    ("s3-accelerate.dualstack.amazonaws.com", WORLD),
];

/// What precedes the region in a host of S3. A longer form comes before a form that it starts with.
const BEFORE_REGION: [&str; 6] = ["s3-fips.dualstack.", "s3.dualstack.", "s3-fips.", "s3-fips-", "s3.", "s3-"];

/// The region of requests if none is set.
const REGION: &str = "us-east-1";

impl CertainServer {
    /// Returns the server of an endpoint. Without an endpoint it is Amazon's server in the region.
    pub(crate) fn of(endpoint: Option<&str>, region: Option<&str>) -> Self {
        let Some(endpoint) = endpoint else {
            let region = region.unwrap_or(REGION);
            let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            return Self::of_endpoint(&format!("https://s3.{region}.{domain}"));
        };
        Self::of_endpoint(endpoint)
    }

    /// Returns the server of an endpoint.
    pub(crate) fn of_endpoint(endpoint: &str) -> Self {
        let endpoint = endpoint.trim();
        let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority.to_ascii_lowercase();
        let usual = if scheme.eq_ignore_ascii_case("http") { "80" } else { "443" };
        let (host, port) = match authority.rsplit_once(':') {
            // Otherwise the colon is part of an IPv6 address.
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, port.trim_start_matches('0'))
            }
            _ => (&*authority, ""),
        };
        let port = if port.is_empty() { usual } else { port };
        let partition = if matches!(port, "80" | "443") { amazon(host) } else { None };
        Self(match (partition, port, path.trim_end_matches('/')) {
            (Some(partition), _, "") => partition.to_owned(),
            (_, "443", path) => format!("{host}{path}"),
            (_, port, path) => format!("{host}:{port}{path}"),
        })
    }

    /// Returns the name: the host, the port if it is not 443, and the path. Records and plan files contain it.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Returns the text that the identities of the locations on this server start with. Sync state of earlier versions
    /// has the same text, unless it can be that of another server, too.
    pub(crate) fn root(&self) -> String {
        match self.name() {
            WORLD => "s3:".to_owned(),
            CHINA => "s3.cn:".to_owned(),
            // Without the question mark, the path could be the name of a bucket.
            name if name.contains('/') => format!("//{name}?"),
            name => format!("//{name}"),
        }
    }
}

/// Returns the host that stands for Amazon's partition, if this is a host of S3.
fn amazon(host: &str) -> Option<&'static str> {
    if let Some((_, partition)) = WITHOUT_REGION.into_iter().find(|(name, _)| *name == host) {
        return Some(partition);
    }
    let rest = BEFORE_REGION.into_iter().find_map(|start| host.strip_prefix(start))?;
    let (region, domain) = rest.split_once('.').filter(|(region, _)| is_region(region))?;
    let fits = |(own, start, _): &(&str, &str, &str)| *own == domain && region.starts_with(start);
    let (_, _, partition) = PARTITIONS.into_iter().find(fits)?;
    // No host of this domain serves a region in China.
    (partition == CHINA || !region.starts_with("cn-")).then_some(partition)
}

/// Returns true for a name such as `eu-west-1` or `us-gov-east-1`. The isolated regions (`us-iso-east-1`) have other
/// domains.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    match &*parts {
        [area, words @ .., number] => {
            area.len() == 2
                && is_word(area)
                && !words.is_empty()
                && words.iter().all(|word| is_word(word) && !word.starts_with("iso"))
                && (1..=2).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(endpoint: &str) -> String {
        CertainServer::of_endpoint(endpoint).name().to_owned()
    }

    #[test]
    fn a_certain_server_is_one_port_of_one_host() {
        for (endpoint, expected) in [
            ("https://Host.Example", "host.example"),
            ("HTTPS://host.example:443//", "host.example"),
            ("http://host.example:443", "host.example"),
            ("http://host.example", "host.example:80"),
            ("http://host.example:080/", "host.example:80"),
            ("https://host.example:80", "host.example:80"),
            ("https://host.example.", "host.example."),
            ("http://127.0.0.1:9000/", "127.0.0.1:9000"),
            ("http://127.1:9000", "127.1:9000"),
            ("http://localhost:9000", "localhost:9000"),
            ("http://b.localhost:9000", "b.localhost:9000"),
            ("http://0.0.0.0:9000", "0.0.0.0:9000"),
            ("http://[::1]:9000", "[::1]:9000"),
            ("https://[FE80::1]", "[fe80::1]"),
            ("http://127.0.0.1:9000/Base/", "127.0.0.1:9000/Base"),
            ("http://127.0.0.1:9000/%42ase", "127.0.0.1:9000/%42ase"),
        ] {
            assert_eq!(name(endpoint), expected, "{endpoint}");
        }
    }

    #[test]
    fn the_hosts_of_s3_in_one_partition_are_one_server() {
        for (host, expected) in [
            ("s3.amazonaws.com", WORLD),
            ("S3.EU-WEST-1.amazonaws.com", WORLD),
            ("s3-eu-west-1.amazonaws.com", WORLD),
            ("s3.dualstack.ap-southeast-2.amazonaws.com", WORLD),
            ("s3-fips.us-east-2.amazonaws.com", WORLD),
            ("s3-fips.dualstack.us-east-2.amazonaws.com", WORLD),
            ("s3-external-1.amazonaws.com", WORLD),
            ("s3-accelerate.amazonaws.com", WORLD),
            ("s3-accelerate.dualstack.amazonaws.com", WORLD),
            ("s3.us-gov-west-1.amazonaws.com", GOVERNMENT),
            ("s3.us-gov-east-1.amazonaws.com", GOVERNMENT),
            ("s3-fips-us-gov-west-1.amazonaws.com", GOVERNMENT),
            ("s3.dualstack.us-gov-east-1.amazonaws.com", GOVERNMENT),
            ("s3.cn-north-1.amazonaws.com.cn", CHINA),
            ("s3.dualstack.cn-northwest-1.amazonaws.com.cn", CHINA),
        ] {
            for endpoint in [format!("https://{host}/"), format!("http://{host}"), format!("https://{host}:443")] {
                assert_eq!(name(&endpoint), expected, "{endpoint}");
            }
        }
        for (region, expected) in [
            (None, WORLD),
            (Some("eu-west-1"), WORLD),
            (Some("us-gov-east-1"), GOVERNMENT),
            (Some("cn-north-1"), CHINA),
            (Some("us-iso-east-1"), "s3.us-iso-east-1.amazonaws.com"),
            (Some("garage"), "s3.garage.amazonaws.com"),
        ] {
            assert_eq!(CertainServer::of(None, region).name(), expected, "{region:?}");
        }
    }

    #[test]
    fn another_host_of_amazon_is_a_server_of_its_own() {
        for host in [
            "ec2-1-2-3-4.eu-west-1.compute.amazonaws.com",
            "ec2-1-2-3-4.compute-1.amazonaws.com",
            "my-balancer-1.eu-west-1.elb.amazonaws.com",
            "s3.eu-west-1.compute.amazonaws.com",
            "s3-website-us-east-1.amazonaws.com",
            "s3-website.eu-west-1.amazonaws.com",
            "s3-control.eu-west-1.amazonaws.com",
            "s3express-use1-az4.us-east-1.amazonaws.com",
            "bucket.s3.amazonaws.com",
            "bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com",
            "s3.cn-north-1.amazonaws.com",
            "s3.eu-west-1.amazonaws.com.cn",
            "s3.us-iso-east-1.amazonaws.com",
            "s3.eu-west-1.api.aws",
            "s3.eu-west-1.notamazonaws.com",
            "amazonaws.com",
        ] {
            assert_eq!(name(&format!("https://{host}")), host);
        }
        assert_eq!(name("https://s3.amazonaws.com:9000"), "s3.amazonaws.com:9000");
        assert_eq!(name("https://s3.amazonaws.com/base"), "s3.amazonaws.com/base");
    }

    /// If the text changed with a version, sync state would be lost without a message.
    #[test]
    fn the_roots_of_certain_servers_never_change() {
        for (endpoint, expected) in [
            ("https://s3.eu-west-1.amazonaws.com", "s3:"),
            ("https://s3.cn-north-1.amazonaws.com.cn", "s3.cn:"),
            ("https://s3.us-gov-east-1.amazonaws.com", "//s3.us-gov-west-1.amazonaws.com"),
            ("http://127.0.0.1:9000", "//127.0.0.1:9000"),
            ("https://host.example", "//host.example"),
            ("https://host.example/base", "//host.example/base?"),
        ] {
            assert_eq!(CertainServer::of_endpoint(endpoint).root(), expected);
        }
    }
}
