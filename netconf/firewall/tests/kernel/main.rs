//! The firewall against the kernel, in network namespaces of its own, judged by nft, iptables and
//! traffic. Needs root (or a user namespace), nftables, iptables and iproute2.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

mod concurrency;
mod exempt;
mod fault;
mod kit;
mod lifecycle;
mod reference;
mod scale;
mod socket;
mod traffic;
