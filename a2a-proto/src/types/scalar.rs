//! How the scalar types of A2A look in JSON: strings, booleans, integers, bytes, timestamps, free-form objects,
//! enums. Each refuses every JSON type that ProtoJSON does not allow for it. Nothing here knows an A2A object.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::display::Base64Display;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::types::Metadata;
use crate::types::protojson::{Plain, Value};

impl Value for String {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl Plain for String {
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl Value for bool {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self)
    }
}

impl Plain for bool {
    fn is_default(&self) -> bool {
        !*self
    }
}

impl Value for i32 {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Int32)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(*self)
    }
}

impl Plain for i32 {
    fn is_default(&self) -> bool {
        *self == 0
    }
}

/// ProtoJSON takes an int32 as a number without a fraction or as a string of one.
struct Int32;

impl Visitor<'_> for Int32 {
    type Value = i32;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 32-bit integer")
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i32, E> {
        // `1.0` and `1e2` are integers to ProtoJSON. Every i32 is exact in an f64, so the cast loses nothing here.
        if number.fract() == 0.0 && number >= f64::from(i32::MIN) && number <= f64::from(i32::MAX) {
            Ok(number as i32)
        } else {
            Err(E::invalid_value(de::Unexpected::Float(number), &self))
        }
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<i32, E> {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && !text.starts_with('+') => self.visit_f64(number),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

impl Value for i64 {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Int64)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Plain for i64 {
    fn is_default(&self) -> bool {
        *self == 0
    }
}

/// ProtoJSON writes an int64 as a string, because numbers of JSON are doubles to many, and takes a number too.
struct Int64;

impl Visitor<'_> for Int64 {
    type Value = i64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 64-bit integer")
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
        // Beyond 2^53 a double does not say which integer is meant.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && number.abs() <= EXACT {
            Ok(number as i64)
        } else {
            Err(E::invalid_value(de::Unexpected::Float(number), &self))
        }
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<i64, E> {
        match text.parse() {
            Ok(number) if !text.starts_with('+') => Ok(number),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

impl Value for Timestamp {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Rfc3339)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A2A §5.6.1: UTC, milliseconds, `Z`.
        match millisecond_digits(*self) {
            Some(digits) => serializer.serialize_str(str::from_utf8(&digits).unwrap_or_default()),
            None => serializer.collect_str(&format_args!("{self:.3}")),
        }
    }
}

/// The digits of a time within the years 0 to 9999, by hand: every status carries one, and formatting it in general
/// costs more than all the rest of the status. `None` for other years.
fn millisecond_digits(time: Timestamp) -> Option<[u8; 24]> {
    let time = jiff::tz::Offset::UTC.to_datetime(time);
    let mut digits = *b"0000-00-00T00:00:00.000Z";
    let fields = [
        (0..4, u16::try_from(time.year()).ok()?),
        (5..7, u16::try_from(time.month()).ok()?),
        (8..10, u16::try_from(time.day()).ok()?),
        (11..13, u16::try_from(time.hour()).ok()?),
        (14..16, u16::try_from(time.minute()).ok()?),
        (17..19, u16::try_from(time.second()).ok()?),
        (20..23, u16::try_from(time.millisecond()).ok()?),
    ];
    for (place, mut value) in fields {
        for digit in digits.get_mut(place)?.iter_mut().rev() {
            *digit = b'0' + u8::try_from(value % 10).ok()?;
            value /= 10;
        }
    }
    Some(digits)
}

struct Rfc3339;

impl Visitor<'_> for Rfc3339 {
    type Value = Timestamp;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 timestamp such as 2026-01-02T03:04:05.678Z")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse()
            .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD_IN: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE_IN: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl Value for Bytes {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self, &STANDARD))
    }
}

/// Standard or URL-safe alphabet, with or without padding.
struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Bytes;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64 text")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        let url_safe = text.bytes().any(|byte| byte == b'-' || byte == b'_');
        let engine = if url_safe { URL_SAFE_IN } else { STANDARD_IN };
        engine
            .decode(text)
            .map(Bytes::from)
            .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl Value for Metadata {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Struct)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}

/// `google.protobuf.Struct`: any JSON object. serde_json's own visitor is kept, with our wording.
struct Struct;

impl<'de> Visitor<'de> for Struct {
    type Value = Metadata;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Metadata, A::Error> {
        Metadata::deserialize(de::value::MapAccessDeserializer::new(map))
    }
}

impl Value for serde_json::Value {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}

/// Declares a proto enum: written by name, read by name or number, 0 is unset.
macro_rules! proto_enum {
    (
        $(#[$meta:meta])*
        pub enum $Name:ident {
            $( $(#[$variant_meta:meta])* $Variant:ident = $number:literal | $text:literal , )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum $Name { $( $(#[$variant_meta])* $Variant = $number, )* }

        impl $Name {
            /// Every value, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$Variant),*];

            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$Variant => $text, )* }
            }
            /// The value of a wire name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $( $text => Some(Self::$Variant), )* _ => None }
            }
            /// The value of a proto number.
            pub fn from_number(number: i32) -> Option<Self> {
                match number { $( $number => Some(Self::$Variant), )* _ => None }
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct NameOrNumber;
                impl NameOrNumber {
                    fn number<E: serde::de::Error>(number: Option<i32>) -> Result<$Name, E> {
                        number.and_then($Name::from_number).ok_or_else(|| {
                            E::custom(concat!("is not a number of the enum ", stringify!($Name)))
                        })
                    }
                }
                impl serde::de::Visitor<'_> for NameOrNumber {
                    type Value = $Name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a name of the enum ", stringify!($Name)))
                    }
                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<$Name, E> {
                        $Name::from_name(name).ok_or_else(|| {
                            let names: Vec<_> = $Name::ALL.iter().map(|value| value.as_str()).collect();
                            E::custom(format_args!("expected one of {}", names.join(", ")))
                        })
                    }
                    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<$Name, E> {
                        Self::number(i32::try_from(number).ok())
                    }
                    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<$Name, E> {
                        Self::number(i32::try_from(number).ok())
                    }
                }
                deserializer.deserialize_any(NameOrNumber)
            }
        }

        impl $crate::types::protojson::Value for $Name {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
            fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde::Serialize::serialize(self, serializer)
            }
        }

        impl $crate::types::protojson::Plain for $Name {
            fn is_default(&self) -> bool {
                *self == Self::default()
            }
        }

        #[cfg(test)]
        impl $crate::types::tests::Sample for $Name {
            fn sample(random: &mut $crate::types::tests::Random) -> Self {
                Self::ALL[random.below(Self::ALL.len())]
            }
        }
    };
}
pub(crate) use proto_enum;

#[cfg(test)]
mod time_tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_formatter_writes_them() {
        let year = 31_556_952_000_i64;
        let times = [
            0,
            1,
            999,
            1_700_000_000_123,
            253_402_300_799_999,
            -1,
            -86_400_001,
            -62_167_219_200_000,
        ];
        let spread = (-2100..8200).map(|n| n * year / 7 * 5 + n * 86_399_977);
        for millis in times.into_iter().chain(spread) {
            let Ok(time) = Timestamp::from_millisecond(millis) else {
                continue;
            };
            let written =
                serde_json::to_string(&crate::types::protojson::WriteValue(&time)).unwrap();
            assert_eq!(written, format!("\"{time:.3}\""), "{millis}");
        }
        // What is below a millisecond is cut off, not rounded.
        let time: Timestamp = "2026-01-02T03:04:05.999999999Z".parse().unwrap();
        assert_eq!(
            millisecond_digits(time).unwrap(),
            *b"2026-01-02T03:04:05.999Z"
        );
    }
}
