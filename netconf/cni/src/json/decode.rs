//! The tree as the source of serde's derived code, by the rules of Go's decoder.

use serde::Deserializer;
use serde::de::Visitor;
use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};

use super::Json;
use super::access::{Fields, Items, Members};
use super::error::DecodeError;
use super::spelling::{Spelling, Way};

/// A value of the tree `'de`, with the way `'w` to it.
#[derive(Clone, Copy)]
pub(super) struct Node<'de, 'w> {
    pub(super) json: &'de Json,
    pub(super) spelling: Option<&'w Spelling>,
    pub(super) way: Way<'w>,
}

impl<'de, 'w> Node<'de, 'w> {
    pub(super) fn root(json: &'de Json, spelling: Option<&'w Spelling>) -> Self {
        Self { json, spelling, way: Way::Root }
    }
}

/// Whole numbers: `null` is zero, what does not fit is refused with the bounds named.
macro_rules! whole_number {
    ($($method:ident $visit:ident $type:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let number = match self.json {
                Json::Null => return visitor.$visit(0),
                Json::Number(number) => number,
                other => return Err(DecodeError::kind(other, "a number")),
            };
            let fitting = number
                .as_u64()
                .map(i128::from)
                .or_else(|| number.as_i64().map(i128::from))
                .and_then(|number| $type::try_from(number).ok());
            match fitting {
                Some(number) => visitor.$visit(number),
                None => Err(DecodeError::value(format!(
                    "must be a whole number from {} to {}",
                    $type::MIN,
                    $type::MAX
                ))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'de, '_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.json {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), ..) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (.., Some(value)) => visitor.visit_f64(value),
                _ => Err(DecodeError::value("is no number that can be held".to_owned())),
            },
            Json::String(text) => visitor.visit_borrowed_str(text),
            Json::Array(items) => visitor.visit_seq(Items::new(self, items)),
            Json::Object(members) => visitor.visit_map(Members::new(self, members)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.json {
            Json::Null => visitor.visit_bool(false),
            Json::Bool(value) => visitor.visit_bool(*value),
            other => Err(DecodeError::kind(other, "true or false")),
        }
    }

    whole_number! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.json {
            Json::Null => visitor.visit_f64(0.0),
            Json::Number(number) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            other => Err(DecodeError::kind(other, "a number")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.json {
            Json::Null => visitor.visit_borrowed_str(""),
            Json::String(text) => visitor.visit_borrowed_str(text),
            other => Err(DecodeError::kind(other, "a string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.json {
            Json::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.json {
            Json::Null => visitor.visit_seq(Items::new(self, &[])),
            Json::Array(items) => visitor.visit_seq(Items::new(self, items)),
            other => Err(DecodeError::kind(other, "a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.json {
            Json::Null => visitor.visit_map(Members::new(self, &[])),
            Json::Object(members) => visitor.visit_map(Members::new(self, members)),
            other => Err(DecodeError::kind(other, "an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.json {
            Json::Null => visitor.visit_map(Fields::new(self, &[], fields)),
            Json::Object(members) => visitor.visit_map(Fields::new(self, members, fields)),
            other => Err(DecodeError::kind(other, "an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.json {
            Json::Null => visitor.visit_enum(BorrowedStrDeserializer::new("")),
            Json::String(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            Json::Object(members) => {
                visitor.visit_enum(MapAccessDeserializer::new(Members::new(self, members)))
            }
            other => Err(DecodeError::kind(other, "a string")),
        }
    }

    serde::forward_to_deserialize_any! {
        i128 u128 bytes byte_buf unit unit_struct identifier ignored_any
    }
}
