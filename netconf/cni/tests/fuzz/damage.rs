//! Random damage, the same for the same seed. The fuzz targets of other crates use this file, too.

use cni::Json;

/// What damaged texts are made of.
#[derive(Clone, Copy)]
pub struct Corpus {
    /// Whole texts, each of them JSON.
    pub texts: &'static [&'static str],
    /// What gets into them.
    pub values: &'static [&'static str],
}

pub struct Damage {
    state: u64,
    corpus: Corpus,
}

impl Damage {
    pub fn new(seed: u64, corpus: Corpus) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, corpus }
    }

    /// A number below `bound` (xorshift64*).
    pub fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound.max(1)
    }

    pub fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// A text of the corpus, more or less.
    pub fn text(&mut self) -> Vec<u8> {
        let whole = self.one_of(self.corpus.texts);
        let mut tree = Json::parse(whole.as_bytes(), "the corpus").unwrap();
        for _ in 0..self.below(4) {
            self.tree(&mut tree);
        }
        let mut bytes = tree.to_string().into_bytes();
        if self.below(5) == 0 {
            for _ in 0..=self.below(4) {
                self.bytes(&mut bytes);
            }
        }
        bytes
    }

    /// Puts another value, or none, somewhere into the tree; repeats, swaps and renames members.
    fn tree(&mut self, json: &mut Json) {
        let children = match json {
            Json::Array(items) => items.len(),
            Json::Object(members) => members.len(),
            _ => 0,
        };
        if children == 0 || self.below(6) == 0 {
            *json = self.value();
            return;
        }
        let at = self.below(children);
        match json {
            Json::Array(items) => match self.below(6) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                2 => items.insert(at, Json::Null),
                _ => self.tree(&mut items[at]),
            },
            Json::Object(members) => match self.below(9) {
                0 => drop(members.remove(at)),
                1 => members.push(members[at].clone()),
                2 => members.swap(0, at),
                3 => members[at].1 = Json::Null,
                4 => members[at].0 = members[at].0.to_uppercase(),
                5 => {
                    let mut key = std::mem::take(&mut members[at].0).into_bytes();
                    self.bytes(&mut key);
                    members[at].0 = String::from_utf8_lossy(&key).into_owned();
                }
                _ => self.tree(&mut members[at].1),
            },
            _ => {}
        }
    }

    fn value(&mut self) -> Json {
        let text = self.one_of(self.corpus.values);
        let mut value = Json::parse(text.as_bytes(), "a value").unwrap_or_default();
        if self.below(40) == 0 {
            for _ in 0..self.below(140) {
                value = Json::Array(vec![value]);
            }
        }
        value
    }

    /// Flips, inserts, removes, repeats and cuts.
    pub fn bytes(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(12)).min(bytes.len());
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                drop(bytes.splice(to..to, part));
            }
            3 => {
                let value = self.one_of(self.corpus.values);
                drop(bytes.splice(at..end, value.bytes()));
            }
            4 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            5 if at < bytes.len() => bytes[at] = bytes[at].to_ascii_uppercase(),
            6 => bytes.insert(at, b"{}[]\",:\\\0\x7f\xc3\xff"[self.below(12)]),
            _ => bytes.insert(at, u8::try_from(self.below(256)).unwrap()),
        }
    }
}
