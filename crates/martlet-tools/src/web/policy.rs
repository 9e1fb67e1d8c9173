//! Where a client may go.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::{Reserved, reserved};
use super::error::{FetchError, FetchErrorKind};

/// The longest address that is tried, in bytes.
const MAX_URL: usize = 8 * 1024;

/// The ports that the Fetch standard refuses ("port blocking"): services behind them take text that is no HTTP for
/// commands of theirs.
const BAD_PORTS: [u16; 82] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
    526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
    3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Where a client may go.
#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    /// Names and addresses that may be private ones: `wiki.corp`, `*.corp`, `10.1.2.3`.
    pub(super) allow_hosts: Vec<String>,
    /// Whether everything may be private.
    pub(super) allow_private: bool,
}

impl Policy {
    /// Checks an address before anything is sent to it. A name is checked again when it is known what it stands for.
    pub(super) fn check(&self, url: &Url) -> Result<(), FetchError> {
        if url.as_str().len() > MAX_URL {
            return Err(FetchError::new(FetchErrorKind::Address, "the address is longer than 8 KiB"));
        }
        if !matches!(url.scheme(), "http" | "https") {
            let message = format!("`{}:` is not an address of the web: use http or https", url.scheme());
            return Err(FetchError::refused(message));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let message =
                "an address with a user or password is not visited: leave out what stands before `@`";
            return Err(FetchError::refused(message));
        }
        if let Some(port) = url.port().filter(|port| BAD_PORTS.contains(port)) {
            return Err(FetchError::refused(format!("port {port} is not one of the web")));
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_address(address.into(), &address.to_string()),
            Some(Host::Ipv6(address)) => self.check_address(address.into(), &address.to_string()),
            Some(Host::Domain(name)) if !name.trim_end_matches('.').is_empty() => Ok(()),
            _ => Err(FetchError::new(FetchErrorKind::Address, "the address names no host")),
        }
    }

    /// Checks an address that `host` stands for, which is about to be connected to.
    pub(super) fn check_address(&self, address: IpAddr, host: &str) -> Result<(), FetchError> {
        let reserved = match reserved(address) {
            None => return Ok(()),
            Some(Reserved::Private(_)) if self.allow_private || self.is_listed(host) => return Ok(()),
            Some(reserved) => reserved,
        };
        Err(FetchError::refused(format!(
            "`{host}` is {}, and only public addresses of the web can be visited: use another source",
            reserved.what()
        )))
    }

    fn is_listed(&self, host: &str) -> bool {
        let host = normal(host);
        self.allow_hosts.iter().any(|listed| {
            let listed = normal(listed);
            match listed.strip_prefix("*.") {
                Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
                None => host == listed,
            }
        })
    }
}

fn normal(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

/// Reads the address that a model gave.
pub(super) fn parse(text: &str) -> Result<Url, FetchError> {
    let text = text.trim();
    let lower = text.get(..6).unwrap_or(text).to_ascii_lowercase();
    let head = text.split(['/', '?', '#']).next().unwrap_or_default();
    // Models leave the scheme away as people do; a name with a port would be read as a scheme.
    let is_bare = !text.contains("://") && !lower.starts_with("http:") && !lower.starts_with("https:");
    let text = if is_bare && head.contains('.') { format!("https://{text}") } else { text.to_owned() };
    Url::parse(&text).map_err(|error| {
        let shown: String = text.chars().take(100).collect();
        let message = format!(
            "`{shown}` is not an address of the web ({error}): give one such as https://example.com/page"
        );
        FetchError::new(FetchErrorKind::Address, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        parse(text).and_then(|url| Policy::default().check(&url)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_to_write_a_private_address_is_refused() {
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://127.0.0.1./",
            "http://[::1]/",
            "http://[::]/",
            "http://0/",
            "http://0.0.0.0/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
            "http://168.63.129.16/",
            "http://10.0.0.1:8080/",
            "http://①②⑦.⓪.⓪.①/",
            "http://127。0。0。1/",
            "http:127.0.0.1",
            "http:/127.0.0.1",
            "http:\\\\127.0.0.1\\",
            "http://%31%32%37.0.0.1/",
            "http://192.168.0.1.\u{200b}/",
        ] {
            let refused = checked(text);
            assert!(refused.is_err(), "{text} was not refused");
        }
    }

    #[test]
    fn what_is_not_the_web_is_refused() {
        for (text, reason) in [
            ("file:///etc/passwd", "`file:` is not an address of the web"),
            ("ftp://example.com/", "`ftp:`"),
            ("gopher://example.com/", "`gopher:`"),
            ("data:text/html,x", "`data:`"),
            ("javascript:alert(1)", "`javascript:`"),
            ("http://user@example.com/", "user or password"),
            ("http://a:b@127.0.0.1/", "user or password"),
            ("https://example.com@127.0.0.1/", "user or password"),
            ("http://example.com:25/", "port 25"),
            ("http://example.com:6667/", "port 6667"),
            ("http://", "is not an address of the web"),
            ("", "is not an address of the web"),
            ("what is rust", "is not an address of the web"),
        ] {
            let refused = checked(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn public_addresses_and_names_pass() {
        for text in ["https://example.com", "example.com/page", "http://8.8.8.8:8080/", "https://exämple.de/"]
        {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_allowed_may_be_private_but_never_a_metadata_service() {
        let policy = Policy {
            allow_hosts: vec!["wiki.corp".into(), "*.lab".into(), "10.0.0.7".into()],
            allow_private: false,
        };
        let private = "10.1.1.1".parse().unwrap();
        for (host, allowed) in [
            ("wiki.corp", true),
            ("WIKI.corp.", true),
            ("a.lab", true),
            ("a.b.lab", true),
            ("lab", false),
            ("evil-lab", false),
            ("wiki.corp.evil.com", false),
            ("other.corp", false),
        ] {
            assert_eq!(policy.check_address(private, host).is_ok(), allowed, "{host}");
        }
        assert!(policy.check_address("169.254.169.254".parse().unwrap(), "wiki.corp").is_err());
        let all = Policy { allow_private: true, ..Policy::default() };
        assert!(all.check_address("127.0.0.1".parse().unwrap(), "x").is_ok());
        assert!(all.check_address("169.254.169.254".parse().unwrap(), "x").is_err());
        assert!(all.check_address("0.0.0.0".parse().unwrap(), "x").is_err());
    }
}
