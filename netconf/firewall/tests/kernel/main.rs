//! The firewall against the kernel, in network namespaces of its own, judged by nft, iptables and
//! traffic. Needs root (or a user namespace), nftables, iptables and iproute2.

mod concurrency;
mod fault;
mod kit;
mod lifecycle;
mod reference;
mod scale;
mod traffic;
