//! Which addresses are on the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What keeps an address from being a public one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserved {
    /// It belongs to this machine or to a network around it. Who runs the agent may allow it.
    Private(&'static str),
    /// Nobody has a reason to go there: services that hand out credentials to whoever asks, groups of machines, and
    /// addresses that mean no machine.
    Never(&'static str),
}

impl Reserved {
    /// The address in a word or two.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Private(what) | Self::Never(what) => what,
        }
    }
}

/// Why an address is not public, by IANA's registries of special-purpose addresses (RFC 6890 and what updates it); `None`
/// if it is.
pub(super) fn reserved(address: IpAddr) -> Option<Reserved> {
    match address {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => reserved_v6(address),
    }
}

fn reserved_v4(address: Ipv4Addr) -> Option<Reserved> {
    use Reserved::{Never, Private};
    Some(match address.octets() {
        [0, ..] => Never("an address that means no machine"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Private("a private address"),
        [100, 64..=127, ..] => Private("an address inside of a provider's network"),
        [127, ..] => Private("an address of this machine"),
        [169, 254, ..] => Never("a link-local address"),
        // Azure hands out credentials here, at an address that looks like any other.
        [168, 63, 129, 16] => Never("an address of a cloud's own services"),
        [192, 0, 0, _] | [192, 88, 99, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] => {
            Never("a reserved address")
        }
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Never("an address for documents"),
        [198, 18..=19, ..] => Private("an address for measurements"),
        [224..=239, ..] => Never("a multicast address"),
        [240..=255, ..] => Never("a reserved address"),
        _ => return None,
    })
}

fn reserved_v6(address: Ipv6Addr) -> Option<Reserved> {
    use Reserved::{Never, Private};
    if let Some(inner) = inner_v4(address) {
        return reserved_v4(inner);
    }
    if address.is_loopback() {
        return Some(Private("an address of this machine"));
    }
    let [first, second, third, ..] = address.segments();
    Some(match first {
        // Amazon hands out credentials here.
        0xfd00 if second == 0x0ec2 => Never("an address of a cloud's own services"),
        0xfc00..=0xfdff => Private("a private address"),
        0xfe80..=0xfebf => Never("a link-local address"),
        0xff00..=0xffff => Never("a multicast address"),
        // Teredo, ORCHID, benchmarks and others: none of them is a machine to visit.
        0x2001 if second < 0x0200 => Never("a reserved address"),
        0x2001 if second == 0x0db8 => Never("an address for documents"),
        0x3fff if second < 0x1000 => Never("an address for documents"),
        // 6to4 leads through any relay to the address that it holds; nobody needs it any more (RFC 7526).
        0x2002 => Never("a 6to4 address"),
        0x0064 if second == 0xff9b && third == 1 => Private("an address inside of a provider's network"),
        // All that was ever given out is here.
        0x2000..=0x3fff => return None,
        _ => Never("a reserved address"),
    })
}

/// The address that an IPv6 address stands for, where a connection leads to that one: mapped, or by NAT64 (RFC 6052).
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    match address.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_told_from_all_others() {
        for address in [
            "8.8.8.8",
            "1.1.1.1",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.0.1.1",
            "169.253.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:4860:4860::8888",
        ] {
            assert_eq!(reserved(address.parse().unwrap()), None, "{address}");
        }
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "127.8.8.8",
            "100.64.0.1",
            "100.100.100.200",
            "198.18.0.1",
            "::1",
            "fc00::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
        ] {
            let reserved = reserved(address.parse().unwrap());
            assert!(matches!(reserved, Some(Reserved::Private(_))), "{address}: {reserved:?}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "::127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "3fff::1",
            "100::1",
            "5f00::1",
        ] {
            let reserved = reserved(address.parse().unwrap());
            assert!(matches!(reserved, Some(Reserved::Never(_))), "{address}: {reserved:?}");
        }
    }
}
