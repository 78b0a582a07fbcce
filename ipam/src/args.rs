//! `CNI_ARGS`, as the address managers read it.

use cni::{Code, Error};

/// The keys of `CNI_ARGS` that the address managers know.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// `IP`: addresses asked for, separated by commas.
    pub ip: Vec<String>,
    /// `GATEWAY`: gateways, separated by commas.
    pub gateway: Vec<String>,
}

impl Args {
    /// Parses `K=V;K=V`. Keys outside of `known` are an error unless `IgnoreUnknown` is true, as
    /// in the reference; keys match with regard to case. Code 4.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, Error> {
        let mut args = Self::default();
        let mut unknown = Vec::new();
        let mut ignore = false;
        for pair in text.split(';').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair
                .split_once('=')
                .filter(|(_, value)| !value.contains('='))
                .ok_or_else(|| {
                    Error::new(Code::ENVIRONMENT, format!("CNI_ARGS {pair:?} is not KEY=VALUE"))
                        .details("pairs are separated by ';' and have one '=' each")
                })?;
            let list = || {
                value.split(',').map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect()
            };
            match key {
                "IP" if known.contains(&key) => args.ip = list(),
                "GATEWAY" if known.contains(&key) => args.gateway = list(),
                "IgnoreUnknown" => ignore = truth(value)?,
                _ => unknown.push(pair),
            }
        }
        if unknown.is_empty() || ignore {
            return Ok(args);
        }
        Err(Error::new(Code::ENVIRONMENT, format!("CNI_ARGS has unknown keys: {unknown:?}"))
            .details(format!("known here: {known:?}; IgnoreUnknown=1 lets others pass")))
    }
}

fn truth(value: &str) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Error::new(
            Code::ENVIRONMENT,
            format!("CNI_ARGS IgnoreUnknown {value:?} is neither true nor false"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_keys_are_read_and_unknown_ones_pass_only_when_told() {
        let args = Args::parse("IgnoreUnknown=1;IP=10.0.0.1, fd00::1;K8S_POD_NAME=x", &["IP"]);
        assert_eq!(args.unwrap().ip, ["10.0.0.1", "fd00::1"]);
        assert!(Args::parse("IP=10.0.0.1;MAC=02:00:00:00:00:01", &["IP"]).is_err());
        assert!(Args::parse("GATEWAY=10.0.0.1", &["IP"]).is_err());
        assert!(Args::parse("ip=10.0.0.1", &["IP"]).is_err());
        assert_eq!(Args::parse("", &["IP"]).unwrap(), Args::default());
    }

    #[test]
    fn malformed_pairs_are_named() {
        for text in ["IP", "IP=a=b", "IgnoreUnknown=maybe"] {
            let error = Args::parse(text, &["IP"]).unwrap_err();
            assert_eq!(error.code, Code::ENVIRONMENT);
            assert!(error.msg.contains("CNI_ARGS"), "{error}");
        }
    }
}
