//! The formats in which flannel's parts speak to each other, so that ours can take the place of any of
//! them: the file by which the daemon tells the CNI plugin of the node's subnet ([`SubnetEnv`]).

mod subnet_env;

pub use subnet_env::SubnetEnv;
