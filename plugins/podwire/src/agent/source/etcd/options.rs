//! What is asked of this source alone.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use cni::Error;

/// A day, as flannel's.
const TTL: i64 = 24 * 60 * 60;

/// The arguments.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Options {
    /// With etcd: what the network's keys begin with
    #[arg(long = "etcd-prefix", value_name = "PREFIX", default_value = "/coreos.com/network")]
    pub prefix: String,
    /// With etcd: this node's address on the underlay, one of each family at most [default: the one
    /// by which etcd is reached]
    #[arg(long = "public-ip", value_name = "ADDRESSES", value_delimiter = ',')]
    public_ip: Vec<String>,
    /// With etcd: how long this node's lease holds when nobody renews it, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = TTL, value_parser = clap::value_parser!(i64).range(5..))]
    pub lease_ttl: i64,
    /// With etcd: the user that it knows this node by
    #[arg(id = "username", long = "etcd-username", value_name = "NAME")]
    pub username: Option<String>,
    /// With etcd: a file with the user's password [default: the variable PODWIRE_ETCD_PASSWORD]
    #[arg(long = "etcd-password-file", value_name = "PATH", requires = "username")]
    pub password: Option<PathBuf>,
    /// With etcd: the certificates that its own is checked by
    #[arg(long = "etcd-cacert", alias = "etcd-cafile", value_name = "PATH")]
    pub authority: Option<PathBuf>,
    /// With etcd: this node's certificate
    #[arg(long = "etcd-cert", alias = "etcd-certfile", value_name = "PATH", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// With etcd: the key of this node's certificate
    #[arg(
        id = "key",
        long = "etcd-key",
        alias = "etcd-keyfile",
        value_name = "PATH",
        requires = "certificate"
    )]
    pub key: Option<PathBuf>,
}

impl Options {
    /// This node's addresses, where they were given. Code 7.
    pub fn public_ips(&self) -> Result<Vec<IpAddr>, Error> {
        let read = |text: &String| {
            text.parse().map_err(|_| {
                Error::config("--public-ip", format_args!("{text:?}"), "must be an address")
            })
        };
        let ips: Vec<IpAddr> = self.public_ip.iter().map(read).collect::<Result<_, _>>()?;
        for ipv6 in [false, true] {
            if ips.iter().filter(|ip| ip.is_ipv6() == ipv6).count() > 1 {
                let why = "give at most one address of each family";
                return Err(Error::config("--public-ip", self.public_ip.join(","), why));
            }
        }
        Ok(ips)
    }
}
