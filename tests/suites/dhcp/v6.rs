//! Leases of DHCPv6.

mod answers;
mod changes;
mod link;
mod strange;
mod verbs;
