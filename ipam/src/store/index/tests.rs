use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::store::directory::Stamp;

fn in_memory() -> Index {
    // A path that cannot be made: the index stays in memory.
    Index { path: "/proc/none/index".into(), image: Image::new(0) }
}

fn insert(index: &mut Index, address: IpAddr, container: &str) {
    // Growth wants to persist, which fails here; the image is complete all the same.
    let _ = index.insert(address, container);
}

fn stamp() -> Stamp {
    Stamp { device: 1, inode: 2, modified: (3, 4), changed: (5, 6) }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, u128, bool),
    Remove(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let number = prop_oneof![
        0_u128..64,
        1000_u128..1100,
        4090_u128..4100,
        8190_u128..8200,
        any::<u32>().prop_map(u128::from)
    ];
    prop_oneof![
        3 => (any::<u8>(), number, any::<bool>()).prop_map(|(c, n, v6)| Step::Insert(c, n, v6)),
        1 => any::<u8>().prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn it_knows_what_a_plain_map_knows(steps in prop::collection::vec(step(), 1..400)) {
        let mut index = in_memory();
        let mut model: BTreeMap<IpAddr, String> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(container, number, v6) => {
                    let address = if v6 { Family::V6 } else { Family::V4 }.address(number);
                    if model.contains_key(&address) { continue }
                    let container = format!("c{}", container % 32);
                    insert(&mut index, address, &container);
                    model.insert(address, container);
                }
                Step::Remove(n) => {
                    let Some((address, container)) = model.iter().nth(usize::from(n) % model.len().max(1))
                        .map(|(a, c)| (*a, c.clone())) else { continue };
                    index.remove(address, &container).unwrap();
                    model.remove(&address);
                }
            }
        }
        for container in (0..32).map(|c| format!("c{c}")) {
            let known: BTreeSet<IpAddr> = index.of_container(&container).unwrap().into_iter().collect();
            let wanted: BTreeSet<IpAddr> = model.iter().filter(|(_, c)| **c == container).map(|(a, _)| *a).collect();
            prop_assert_eq!(known, wanted);
        }
        for (family, first, last) in [(Family::V4, 0, 70), (Family::V6, 3, 3), (Family::V4, 1000, 1105), (Family::V6, 4090, 4101), (Family::V4, 8190, 8200)] {
            let free = (first..=last).find(|n| !model.contains_key(&family.address(*n)));
            prop_assert_eq!(index.first_free(Span { family, first, last }).unwrap(), free);
        }
    }
}

#[test]
fn the_next_free_address_is_found_behind_many_neighbours() {
    let mut index = in_memory();
    for n in 0..20_000 {
        insert(&mut index, Family::V4.address(n), &format!("c{n}"));
    }
    let free = |first, last| index.first_free(Span { family: Family::V4, first, last }).unwrap();
    assert_eq!(free(0, 65_535), Some(20_000));
    assert_eq!(free(17, 19_999), None);
    let last = u128::MAX;
    let v6 = Span { family: Family::V6, first: last, last };
    assert_eq!(index.first_free(v6).unwrap(), Some(last));
    insert(&mut index, Family::V6.address(last), "z");
    assert_eq!(index.first_free(v6).unwrap(), None);
}

#[test]
fn blocks_left_behind_do_not_make_it_grow() {
    let mut index = in_memory();
    for n in 0..20_000_u128 {
        let address = Family::V6.address(n * BLOCK_BITS);
        insert(&mut index, address, "c");
        index.remove(address, "c").unwrap();
    }
    assert!(index.image.header.length() < 64 * 1024, "{}", index.image.header.length());
}

#[test]
fn damage_anywhere_is_an_error_and_never_an_answer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    let mut image = Image::new(0);
    for n in 0..30 {
        image.insert(Family::V4.address(n), &format!("c{n}"));
    }
    let mut index = Index::make(path.clone(), image);
    index.seal(&stamp()).unwrap();
    let whole = fs::read(&path).unwrap();
    assert!(Index::load(&path, &stamp()).is_ok());
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        let Ok(index) = Index::load(&path, &stamp()) else { continue };
        for n in 0..30 {
            if let Ok(found) = index.of_container(&format!("c{n}")) {
                assert_eq!(found, [Family::V4.address(n)], "byte {at}");
            }
        }
        let span = Span { family: Family::V4, first: 0, last: 100 };
        if let Ok(free) = index.first_free(span) {
            assert_eq!(free, Some(30), "byte {at}");
        }
    }
    for length in [0, 1, 100, 127, 128, 2000, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(Index::load(&path, &stamp()).is_err(), "{length} bytes");
    }
}

#[test]
fn it_fits_no_other_stamp() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    let mut index = Index::make(path.clone(), Image::new(0));
    assert!(Index::load(&path, &stamp()).is_err(), "not sealed yet");
    index.seal(&stamp()).unwrap();
    assert!(Index::load(&path, &stamp()).is_ok());
    for other in [
        Stamp { device: 9, ..stamp() },
        Stamp { inode: 9, ..stamp() },
        Stamp { modified: (3, 5), ..stamp() },
        Stamp { changed: (6, 6), ..stamp() },
    ] {
        assert!(Index::load(&path, &other).is_err());
    }
}
