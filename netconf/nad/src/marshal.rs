//! What becomes of JSON that passes through a Go program as a `map[string]interface{}`, as each
//! configuration does on its way through Multus and libcni.

use cni::Json;
use serde_json::Number;

/// The tree with sorted keys, each once (the last one counts), and with numbers as a float64 would hold
/// them. Numbers that no configuration has (-0, 10^19 and more) may be written in other digits than Go's;
/// they are the same numbers.
pub(crate) fn canonical(json: &Json) -> Json {
    match json {
        Json::Object(members) => {
            let mut sorted: Vec<(String, Json)> = Vec::with_capacity(members.len());
            for (key, value) in members {
                sorted.push((key.clone(), canonical(value)));
            }
            sorted.sort_by(|a, b| a.0.cmp(&b.0)); // stable: of equal keys the last stays last
            let mut once: Vec<(String, Json)> = Vec::with_capacity(sorted.len());
            for member in sorted {
                match once.last_mut() {
                    Some(last) if last.0 == member.0 => *last = member,
                    _ => once.push(member),
                }
            }
            Json::Object(once)
        }
        Json::Array(items) => Json::Array(items.iter().map(canonical).collect()),
        Json::Number(number) => Json::Number(as_float(number)),
        other => other.clone(),
    }
}

/// Sets a key of an object with sorted keys, in exactly this spelling: another one stays beside it, as
/// in Go.
pub(crate) fn insert(object: &mut Json, key: &str, value: Json) {
    let Json::Object(members) = object else { return };
    match members.binary_search_by(|(name, _)| name.as_str().cmp(key)) {
        Ok(at) => {
            if let Some(member) = members.get_mut(at) {
                member.1 = value;
            }
        }
        Err(at) => members.insert(at, (key.to_owned(), value)),
    }
}

/// Whole numbers up to 2^53 stay what they are; beyond, a float64 has gaps. What is whole is written
/// without a point.
fn as_float(number: &Number) -> Number {
    const EXACT: u64 = 1 << 53;
    let small = number.as_u64().is_some_and(|n| n <= EXACT)
        || number.as_i64().is_some_and(|n| n.unsigned_abs() <= EXACT);
    if small {
        return number.clone();
    }
    let Some(float) = number.as_f64() else { return number.clone() };
    #[expect(clippy::cast_possible_truncation, reason = "bounds and fraction are looked at before")]
    if float.fract() == 0.0 && float.abs() < 9.2e18 && !(float == 0.0 && float.is_sign_negative()) {
        return (float as i64).into();
    }
    Number::from_f64(float).unwrap_or_else(|| number.clone())
}
