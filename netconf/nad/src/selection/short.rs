//! The short form: `NAME`, `NAMESPACE/NAME`, `NAMESPACE/NAME@INTERFACE`, joined by commas.

use cni::{Code, Error, Json};

use super::Selection;
use crate::name;

pub(super) fn read(text: &str) -> Result<Vec<Selection>, Error> {
    let items = text.split(',').enumerate();
    items.map(|(i, item)| one(item.trim()).map_err(|e| e.while_(format_args!("[{i}]")))).collect()
}

fn one(item: &str) -> Result<Selection, Error> {
    let bad = |why: &str| {
        let msg = format!("{}: {why}", Json::from(item));
        Err(Error::new(Code::CONFIG, msg).details("the form is NAMESPACE/NAME@INTERFACE"))
    };
    if item.is_empty() {
        return bad("there is nothing between two commas");
    }
    let (namespace, rest) = match item.split('/').collect::<Vec<_>>()[..] {
        [rest] => (None, rest),
        [namespace, rest] => (Some(namespace.trim()), rest),
        _ => return bad("has more than one '/'"),
    };
    let (own, interface) = match rest.split('@').collect::<Vec<_>>()[..] {
        [own] => (own.trim(), None),
        [own, interface] => (own.trim(), Some(interface.trim())),
        _ => return bad("has more than one '@'"),
    };
    if namespace == Some("") {
        return bad("there is no namespace before the '/'");
    }
    if interface == Some("") {
        return bad("there is no interface after the '@'");
    }
    // Where the JSON form allows dots, this one does not.
    name::label("name", own)?;
    super::checked(own, namespace.unwrap_or_default(), interface.unwrap_or_default())
}
