//! Requests that come as a query string (A2A §11.5): the same objects, where every value is text. Booleans are `true` or
//! `false`, numbers decimal, enums by name. Lists and nested objects do not occur in the queries of the protocol.

use std::borrow::Cow;

use serde::de::value::MapDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use crate::error::A2aError;
use crate::types::protojson::violation;

/// Reads a request from pairs of names and (already percent-decoded) values.
///
/// # Errors
/// [`A2aError::InvalidParams`] naming the parameter.
pub fn from_query<'a, T, I>(pairs: I) -> Result<T, A2aError>
where
    T: DeserializeOwned,
    I: IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
{
    let pairs = pairs.into_iter().map(|(name, value)| (name, Text(value)));
    T::deserialize(MapDeserializer::<_, de::value::Error>::new(pairs)).map_err(|error| {
        A2aError::InvalidParams {
            violations: vec![violation(&error)],
        }
    })
}

/// A value of a query: text that is whatever its field wants.
struct Text<'a>(Cow<'a, str>);

impl<'de> IntoDeserializer<'de, de::value::Error> for Text<'_> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_str(&self.0)
    }
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0.parse() {
            Ok(value) => visitor.visit_bool(value),
            Err(_) => Err(de::Error::custom("expected true or false")),
        }
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
