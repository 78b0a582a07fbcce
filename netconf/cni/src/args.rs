//! Arguments of a single call: `CNI_ARGS`, and how it ranks among the places that can ask for the
//! same thing.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::{Call, Code, Error};

/// The arguments in `CNI_ARGS` that a plugin knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(BTreeMap<String, String>);

impl Args {
    /// Reads `K=V;K=V`. Each pair has exactly one `=`; keys match in their exact letter case; of
    /// duplicates the last one counts. A key that is not in `known` is an error unless
    /// `IgnoreUnknown` is `1` or `true`, which kubelet's runtimes set because they send
    /// `K8S_POD_NAME` and its like. Code 4.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, Error> {
        let mut args = Self::default();
        let mut unknown = Vec::new();
        let mut ignore_unknown = false;
        if text.is_empty() {
            return Ok(args);
        }
        for pair in text.split(';') {
            let mut parts = pair.split('=');
            let (Some(key), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
                return Err(Error::new(
                    Code::ENVIRONMENT,
                    format!("CNI_ARGS: {pair:?} is not one key, one '=' and one value"),
                ));
            };
            if key == "IgnoreUnknown" {
                ignore_unknown = switch(value).ok_or_else(|| {
                    Error::new(
                        Code::ENVIRONMENT,
                        format!("CNI_ARGS: {pair:?} must be 1, true, 0 or false"),
                    )
                })?;
            } else if known.contains(&key) {
                args.0.insert(key.to_owned(), value.to_owned());
            } else {
                unknown.push(pair);
            }
        }
        if unknown.is_empty() || ignore_unknown {
            return Ok(args);
        }
        Err(Error::new(Code::ENVIRONMENT, format!("CNI_ARGS: unknown args {unknown:?}"))
            .details(format!("known here: {}; IgnoreUnknown=1 lets others pass", known.join(", "))))
    }

    /// The value of `key`; an empty one is none.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of `key` as a `T`. Code 4.
    pub fn typed<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, Error> {
        let parse = |value: &str| {
            value.parse().map_err(|e| {
                Error::new(Code::ENVIRONMENT, format!("CNI_ARGS: {key} {value:?}: {e}"))
            })
        };
        self.get(key).map(parse).transpose()
    }
}

fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

impl Call {
    /// `CNI_ARGS`, of which this plugin knows the keys `known`: see [`Args::parse`].
    pub fn args_for(&self, known: &[&str]) -> Result<Args, Error> {
        Args::parse(&self.args, known)
    }
}

/// One thing that can be asked for in several places, each `None` where it is not asked for. The
/// two in the middle of the configuration are ordinary keys, decoded with the rest of it:
/// `runtimeConfig.mac` and `args.cni.mac`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked<T> {
    /// The runtime's capability argument, `runtimeConfig`.
    pub runtime_config: Option<T>,
    /// The runtime's argument in the configuration, `args.cni`.
    pub args_cni: Option<T>,
    /// The runtime's argument in the environment, `CNI_ARGS`.
    pub cni_args: Option<T>,
    /// The operator's configuration.
    pub config: Option<T>,
}

impl<T> Asked<T> {
    /// The one that counts: the more it was said for this call alone, the more it weighs.
    pub fn winner(self) -> Option<T> {
        self.runtime_config.or(self.args_cni).or(self.cni_args).or(self.config)
    }
}
