//! Input nobody meant to write: real configurations and results, damaged at random. Whatever
//! comes, the answer is one JSON object on stdout or nothing, and never a panic.
//!
//! `PODWIRE_FUZZ_CASES` says how many cases are tried (default 3000), `PODWIRE_FUZZ_SEED` where to
//! begin; a failure prints its input. What was found is kept in `fuzz/found.rs`.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a test did not expect fails it"
)]

#[path = "fuzz/corpus.rs"]
mod corpus;
#[path = "fuzz/damage.rs"]
mod damage;
#[path = "fuzz/found.rs"]
mod found;
#[path = "fuzz/judge.rs"]
mod judge;

use damage::{Corpus, Damage};
use judge::Case;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn damaged_input_gets_one_object_or_nothing() {
    let cases = number("PODWIRE_FUZZ_CASES").unwrap_or(3000);
    let corpus = Corpus { texts: corpus::CONFIGS, values: corpus::VALUES };
    let mut damage = Damage::new(number("PODWIRE_FUZZ_SEED").unwrap_or(1), corpus);
    for _ in 0..cases {
        judge::judge(&Case::random(&mut damage));
    }
}

#[test]
fn undamaged_input_is_served() {
    for conf in corpus::CONFIGS {
        for verb in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            judge::judge(&Case::whole(verb, conf));
        }
        assert_eq!(judge::output(&Case::whole("DEL", conf)).code, 0, "{conf}");
    }
}
