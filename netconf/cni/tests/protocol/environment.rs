//! What is accepted from the environment, and what is said about the rest.

use cni::Environment;

use crate::fake::{Fake, answer, environment, error_of};

const CONF: &str = r#"{"cniVersion": "1.1.0", "name": "net"}"#;

fn refusal(environment: &Environment) -> String {
    let fake = Fake::default();
    let (code, message) = error_of(&cni::dispatch(&fake, environment, CONF.as_bytes()));
    assert_eq!(code, 4, "{message}");
    assert!(fake.calls.borrow().is_empty());
    message
}

#[test]
fn all_missing_variables_are_named_at_once_in_the_tables_order() {
    for (verb, missing) in [
        ("ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"),
        ("CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("GC", "CNI_PATH"),
        ("STATUS", "CNI_PATH"),
    ] {
        let nothing = Environment { command: verb.to_owned(), ..Environment::default() };
        assert_eq!(
            refusal(&nothing),
            format!("required env variables [{missing}] missing"),
            "{verb}"
        );
    }
    let one = Environment { ifname: String::new(), ..environment("ADD") };
    assert_eq!(refusal(&one), "required env variables [CNI_IFNAME] missing");
}

#[test]
fn the_first_bad_value_wins_over_missing_ones() {
    let bad_id = Environment {
        command: "ADD".to_owned(),
        container_id: "../c1".to_owned(),
        ifname: "a/b".to_owned(),
        ..Environment::default()
    };
    assert!(refusal(&bad_id).starts_with("CNI_CONTAINERID: "), "{}", refusal(&bad_id));
    let bad_ifname = Environment { container_id: String::new(), ..bad_id };
    assert!(refusal(&bad_ifname).starts_with("CNI_IFNAME: \"a/b\" is not an interface name"));
}

#[test]
fn illegal_names_do_not_get_through() {
    for id in ["-c", ".c", "_c", "c/1", "c 1", "c\n", "ü", "c;rm", "c\0"] {
        let environment = Environment { container_id: id.to_owned(), ..environment("DEL") };
        assert!(refusal(&environment).starts_with("CNI_CONTAINERID: "), "{id:?}");
    }
    for ifname in ["sixteen-bytes-xx", ".", "..", "a/b", "a:b", "a b", "a\u{a0}b", "a\tb", "\u{7f}"]
    {
        let environment = Environment { ifname: ifname.to_owned(), ..environment("ADD") };
        assert!(refusal(&environment).starts_with("CNI_IFNAME: "), "{ifname:?}");
    }
    for name in [".n", "n/1", "n 1", "-n"] {
        let conf = format!(r#"{{"name": "{name}"}}"#);
        assert_eq!(error_of(&answer(&Fake::default(), "ADD", &conf)).0, 7, "{name:?}");
    }
}

#[test]
fn legal_names_get_through() {
    for (id, ifname) in [("0", "e"), ("a_b.c-d", "fifteen-bytes-x"), ("A", "@#é")] {
        let fake = Fake::default();
        let environment = Environment {
            container_id: id.to_owned(),
            ifname: ifname.to_owned(),
            ..environment("DEL")
        };
        assert_eq!(cni::dispatch(&fake, &environment, CONF.as_bytes()).code, 0, "{id} {ifname}");
        assert!(fake.calls.borrow()[0].starts_with(&format!("DEL net/{id}/{ifname} ")));
    }
}

#[test]
fn an_unknown_command_is_named() {
    for command in ["add", "ADDD", " ADD", "UPDATE"] {
        let environment = Environment { command: command.to_owned(), ..environment("") };
        let said = refusal(&environment);
        assert!(said.starts_with(&format!("unknown CNI_COMMAND: {command} | ")), "{said}");
    }
}

#[test]
fn without_a_command_the_plugin_introduces_itself_on_stderr() {
    let output = cni::dispatch(&Fake::default(), &environment(""), b"not JSON");
    assert_eq!((output.code, output.stdout.as_str()), (0, ""));
    let about = format!(
        "CNI fake plugin v{}\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(output.stderr, about);
}

#[test]
fn version_is_answered_in_one_line_without_names_and_without_stdin() {
    let environment = Environment { command: "VERSION".to_owned(), ..Environment::default() };
    let output = cni::dispatch(&Fake::default(), &environment, b"not JSON");
    assert_eq!(output.code, 0);
    assert_eq!(
        output.stdout,
        "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n"
    );
}

#[test]
fn add_does_not_touch_the_namespace_the_plugin_runs_in() {
    let own = |verb| Environment { netns_is_own: true, ..environment(verb) };
    let fake = Fake::default();
    let (code, said) = error_of(&cni::dispatch(&fake, &own("ADD"), CONF.as_bytes()));
    assert_eq!(code, 8);
    assert!(said.contains("/run/netns/c1"), "{said}");
    assert!(fake.calls.borrow().is_empty());

    for allowed in ["1", "TRUE", "true", "True"] {
        let overridden = Environment { netns_override: allowed.to_owned(), ..own("ADD") };
        assert_eq!(cni::dispatch(&Fake::default(), &overridden, CONF.as_bytes()).code, 0);
    }
    for not in ["0", "yes", "2"] {
        let overridden = Environment { netns_override: not.to_owned(), ..own("ADD") };
        assert_eq!(error_of(&cni::dispatch(&fake, &overridden, CONF.as_bytes())).0, 8);
    }
}

#[test]
fn del_frees_the_rest_when_the_namespaces_path_has_become_our_own() {
    let fake = Fake::default();
    let own = Environment { netns_is_own: true, ..environment("DEL") };
    let output = cni::dispatch(&fake, &own, CONF.as_bytes());
    assert_eq!((output.code, output.stdout.as_str()), (0, ""));
    assert!(fake.calls.borrow()[0].contains("netns=none"));
    assert!(output.stderr.contains("DEL leaves it alone"));
}

#[test]
fn del_needs_no_namespace() {
    let fake = Fake::default();
    let environment = Environment { netns: "".into(), ..environment("DEL") };
    assert_eq!(cni::dispatch(&fake, &environment, CONF.as_bytes()).code, 0);
    assert!(fake.calls.borrow()[0].contains("netns=none"));
}
