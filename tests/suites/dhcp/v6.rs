//! Leases of DHCPv6.

mod answers;
mod changes;
mod faults;
mod link;
mod strange;
mod verbs;
