//! The ways serde walks into a list, a map and a struct.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::decode::Node;
use super::error::{DecodeError, Step};
use super::spelling::Way;
use super::{Json, fold};

/// The items of a list.
pub(super) struct Items<'de, 'w> {
    list: Node<'de, 'w>,
    items: std::iter::Enumerate<std::slice::Iter<'de, Json>>,
}

impl<'de, 'w> Items<'de, 'w> {
    pub(super) fn new(list: Node<'de, 'w>, items: &'de [Json]) -> Self {
        Self { list, items: items.iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((index, json)) = self.items.next() else { return Ok(None) };
        let way = Way::Index(&self.list.way, index);
        seed.deserialize(Node { json, way, ..self.list })
            .map(Some)
            .map_err(|e| e.below(Step::Index(index), json))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The members of an object as a map: keys as they are written.
pub(super) struct Members<'de, 'w> {
    object: Node<'de, 'w>,
    rest: std::slice::Iter<'de, (String, Json)>,
    value: Option<&'de (String, Json)>,
}

impl<'de, 'w> Members<'de, 'w> {
    pub(super) fn new(object: Node<'de, 'w>, members: &'de [(String, Json)]) -> Self {
        Self { object, rest: members.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.value = self.rest.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        value_of(self.object, self.value, seed)
    }
}

/// The members of an object as the fields of a struct: under the names that the struct gives
/// them, `null` left out, each once.
pub(super) struct Fields<'de, 'w> {
    object: Node<'de, 'w>,
    rest: std::vec::IntoIter<(&'static str, &'de (String, Json))>,
    value: Option<&'de (String, Json)>,
}

impl<'de, 'w> Fields<'de, 'w> {
    pub(super) fn new(
        object: Node<'de, 'w>,
        members: &'de [(String, Json)],
        fields: &'static [&'static str],
    ) -> Self {
        let mut last: Vec<(&'static str, &'de (String, Json))> = Vec::new();
        for member in members {
            let Some(field) = fields.iter().copied().find(|field| fold::same(field, &member.0))
            else {
                if let Some(spelling) = object.spelling {
                    spelling.unknown(&member.0, object.way, fields);
                }
                continue;
            };
            if let Some(spelling) = object.spelling {
                spelling.known(&member.0, object.way);
            }
            last.retain(|(earlier, _)| *earlier != field);
            if member.1 != Json::Null {
                last.push((field, member));
            }
        }
        Self { object, rest: last.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Fields<'de, '_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some((field, member)) = self.rest.next() else { return Ok(None) };
        self.value = Some(member);
        seed.deserialize(BorrowedStrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        value_of(self.object, self.value, seed)
    }
}

fn value_of<'de, V: DeserializeSeed<'de>>(
    object: Node<'de, '_>,
    member: Option<&'de (String, Json)>,
    seed: V,
) -> Result<V::Value, DecodeError> {
    let Some((key, json)) = member else {
        return Err(DecodeError::value("has a value without a key".to_owned()));
    };
    let way = Way::Key(&object.way, key);
    seed.deserialize(Node { json, way, ..object })
        .map_err(|e| e.below(Step::Key(key.clone()), json))
}
