//! The messages of both protocols: what is asked, and what was answered.

pub mod v4;
pub mod v6;
