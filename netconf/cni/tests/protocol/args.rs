//! `CNI_ARGS` and precedence.

use cni::{Args, Asked};

#[test]
fn pairs_are_read_as_the_reference_reads_them() {
    for (text, known, outcome) in [
        ("", &["MAC"][..], Ok(None)),
        ("MAC=02:00:00:00:00:01", &["MAC"], Ok(Some("02:00:00:00:00:01"))),
        ("MAC=a;MAC=b", &["MAC"], Ok(Some("b"))),
        ("MAC=", &["MAC"], Ok(None)),
        ("IgnoreUnknown=1;MAC=a;K8S_POD_NAME=p;X=y", &["MAC"], Ok(Some("a"))),
        ("K8S_POD_NAME=p;IgnoreUnknown=true", &["MAC"], Ok(None)),
        ("X=y;IgnoreUnknown=TRUE", &["MAC"], Ok(None)),
        ("MAC=a;IgnoreUnknown=0", &["MAC"], Ok(Some("a"))),
        ("MAC=a;IgnoreUnknown=False", &["MAC"], Ok(Some("a"))),
        ("X=y;IgnoreUnknown=1;IgnoreUnknown=0", &["MAC"], Err("unknown args [\"X=y\"]")),
        ("IP=1.2.3.4", &["MAC"], Err("unknown args [\"IP=1.2.3.4\"]")),
        ("IP=1.2.3.4", &[], Err("unknown args [\"IP=1.2.3.4\"]")),
        ("mac=a", &["MAC"], Err("unknown args [\"mac=a\"]")),
        ("K8S_POD_NAME=p", &["MAC"], Err("unknown args [\"K8S_POD_NAME=p\"]")),
        ("IgnoreUnknown=yes", &["MAC"], Err("must be 1, true, 0 or false")),
        ("IgnoreUnknown=", &["MAC"], Err("must be 1, true, 0 or false")),
        ("ignoreUnknown=1", &["MAC"], Err("unknown args")),
        ("MAC=a;", &["MAC"], Err("\"\" is not one key")),
        ("MAC", &["MAC"], Err("\"MAC\" is not one key")),
        ("MAC=a=b", &["MAC"], Err("\"MAC=a=b\" is not one key")),
        (";", &["MAC"], Err("\"\" is not one key")),
    ] {
        match (Args::parse(text, known), outcome) {
            (Ok(args), Ok(mac)) => assert_eq!(args.get("MAC"), mac, "{text}"),
            (Err(error), Err(says)) => {
                assert_eq!(error.code.0, 4, "{text}");
                assert!(error.msg.starts_with("CNI_ARGS: "), "{error}");
                assert!(error.msg.contains(says), "{text}: {error}");
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_named() {
    let args = Args::parse("N=7;M=x", &["N", "M"]).unwrap();
    assert_eq!(args.typed::<u8>("N"), Ok(Some(7)));
    assert_eq!(args.typed::<u8>("other"), Ok(None));
    let error = args.typed::<u8>("M").unwrap_err();
    assert_eq!(error.code.0, 4);
    assert!(error.msg.starts_with("CNI_ARGS: M \"x\": "), "{error}");
}

#[test]
fn what_was_asked_for_this_call_outweighs_the_configuration() {
    let all = Asked {
        runtime_config: Some("runtimeConfig"),
        args_cni: Some("args.cni"),
        cni_args: Some("CNI_ARGS"),
        config: Some("config"),
    };
    assert_eq!(all.clone().winner(), Some("runtimeConfig"));
    let all = Asked { runtime_config: None, ..all };
    assert_eq!(all.clone().winner(), Some("args.cni"));
    let all = Asked { args_cni: None, ..all };
    assert_eq!(all.clone().winner(), Some("CNI_ARGS"));
    let all = Asked { cni_args: None, ..all };
    assert_eq!(all.winner(), Some("config"));
    assert_eq!(Asked::<()>::default().winner(), None);
}
