//! The error object and its codes.

use cni::{Code, Error, Json, Version};

#[test]
fn codes_are_those_of_the_specification() {
    for (code, number) in [
        (Code::VERSION, 1),
        (Code::UNSUPPORTED, 2),
        (Code::UNKNOWN_CONTAINER, 3),
        (Code::ENVIRONMENT, 4),
        (Code::IO, 5),
        (Code::DECODE, 6),
        (Code::CONFIG, 7),
        (Code::NETNS, 8),
        (Code::TRY_AGAIN, 11),
        (Code::NOT_AVAILABLE, 50),
        (Code::IMPAIRED, 51),
    ] {
        assert_eq!(code.0, number);
    }
    let ours = [Code::KERNEL, Code::CONFLICT, Code::EXHAUSTED, Code::CHECK, Code::INTERNAL];
    assert!(ours.iter().all(|code| code.0 >= 100));
}

#[test]
fn an_error_object_has_details_only_when_there_are_some() {
    let error = Error::new(Code::CONFIG, "say \"no\"");
    assert_eq!(
        error.print(Version::V0_3_1),
        "{\n    \"cniVersion\": \"0.3.1\",\n    \"code\": 7,\n    \"msg\": \"say \\\"no\\\"\"\n}"
    );
    let json = Json::parse(error.details("<a>").print(Version::V1_1_0).as_bytes(), "it").unwrap();
    assert_eq!(json.get("details").and_then(Json::as_str), Some("<a>"));
}

#[test]
fn errors_of_a_teardown_become_one() {
    assert_eq!(Error::all(Vec::new()), Ok(()));
    let errors = vec![
        Error::new(Code::KERNEL, "link").details("EBUSY"),
        Error::new(Code::IO, "lease"),
        Error::new(Code::IO, "rule").details("ENOENT"),
    ];
    assert_eq!(
        Error::all(errors),
        Err(Error::new(Code::KERNEL, "link; lease; rule").details("EBUSY; ENOENT"))
    );
}

#[test]
fn context_stands_before_and_details_behind() {
    let error = Error::config("mtu", 9, "too small").while_("bridge cni0").details("68 or more");
    assert_eq!(error.to_string(), "bridge cni0: mtu 9: too small (68 or more)");
}
