//! Networks, selections, pods and device information, damaged at random. Whatever comes, there is an
//! answer: an error of one line, or something that can be rendered.
//!
//! `PODWIRE_FUZZ_CASES` says how many cases are tried (default 3000), `PODWIRE_FUZZ_SEED` where to
//! begin; a failure prints its input.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "what a test did not expect fails it"
)]

#[path = "fuzz/corpus.rs"]
mod corpus;
#[path = "../../cni/tests/fuzz/damage.rs"]
mod damage;
#[path = "fuzz/judge.rs"]
mod judge;

use damage::{Corpus, Damage};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

fn damage(texts: &'static [&'static str]) -> Damage {
    let corpus = Corpus { texts, values: corpus::VALUES };
    Damage::new(number("PODWIRE_FUZZ_SEED").unwrap_or(1), corpus)
}

fn cases() -> u64 {
    number("PODWIRE_FUZZ_CASES").unwrap_or(3000)
}

#[test]
fn damaged_networks_and_selections_are_refused_or_rendered() {
    let mut networks = damage(corpus::NETWORKS);
    let mut selections = damage(corpus::SELECTIONS);
    for _ in 0..cases() {
        let network = String::from_utf8_lossy(&networks.text()).into_owned();
        let selection = String::from_utf8_lossy(&selections.text()).into_owned();
        judge::rendered(&network, &selection);
    }
}

#[test]
fn damaged_objects_are_refused_or_linted() {
    let mut objects = damage(corpus::OBJECTS);
    for _ in 0..cases() {
        judge::linted(&objects.text());
    }
}

#[test]
fn damaged_device_information_and_status_are_refused_or_told_again() {
    let mut texts = damage(corpus::TOLD);
    for _ in 0..cases() {
        judge::told(&texts.text());
    }
}

#[test]
fn damaged_yaml_is_refused_or_read() {
    let mut yaml = damage(corpus::OBJECTS);
    for _ in 0..cases() {
        let mut text = corpus::YAML.as_bytes().to_vec();
        for _ in 0..=yaml.below(6) {
            yaml.bytes(&mut text);
        }
        judge::linted(&text);
    }
}

#[test]
fn undamaged_input_is_served() {
    for network in corpus::NETWORKS {
        for selection in corpus::SELECTIONS {
            assert!(judge::rendered(network, selection) > 0, "{network} {selection}");
        }
    }
    for object in corpus::OBJECTS {
        assert!(!judge::linted(object.as_bytes()), "{object}");
    }
    assert!(!judge::linted(corpus::YAML.as_bytes()));
    for text in corpus::TOLD {
        assert!(judge::told(text.as_bytes()), "{text}");
    }
}
