//! Leases of DHCPv6.

mod changes;
mod faults;
mod link;
mod strange;
mod verbs;
