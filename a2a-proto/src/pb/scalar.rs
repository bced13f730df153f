//! The pieces that all versions share: text, numbers, bytes, times, enums, lists, maps, free-form JSON. Protobuf knows one
//! kind of number in free-form JSON, a double, so whole numbers beyond 2^53 lose digits there and nowhere else.

use std::collections::BTreeMap;

use a2a_pb_types::well_known::{self, Kind, ListValue, Struct};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Number, Value};

use super::{Found, Proto};
use crate::types::validate::Path;
use crate::types::{Metadata, Role, TaskState};

/// The largest whole number up to which every whole number is exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;
const NANOS_PER_MILLI: i32 = 1_000_000;
const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// What is the same on both sides.
macro_rules! unchanged {
    ($($Type:ty),+) => { $(
        impl Proto<$Type> for $Type {
            fn to_pb(&self) -> $Type {
                self.clone()
            }
            fn from_pb(pb: $Type, _: &Path<'_>, _: &mut Found) -> Self {
                pb
            }
        }
    )+ };
}
unchanged!(String, bool, i32, i64, Bytes);

impl<T: Proto<P>, P> Proto<Option<P>> for Option<T> {
    fn to_pb(&self) -> Option<P> {
        self.as_ref().map(T::to_pb)
    }
    fn from_pb(pb: Option<P>, path: &Path<'_>, found: &mut Found) -> Self {
        pb.map(|pb| T::from_pb(pb, path, found))
    }
}

impl<T: Proto<P>, P> Proto<Vec<P>> for Vec<T> {
    fn to_pb(&self) -> Vec<P> {
        super::list(self)
    }
    fn from_pb(pb: Vec<P>, path: &Path<'_>, found: &mut Found) -> Self {
        let items = pb.into_iter().enumerate();
        items
            .map(|(index, pb)| T::from_pb(pb, &path.index(index), found))
            .collect()
    }
}

impl<T: Proto<P>, P> Proto<BTreeMap<String, P>> for BTreeMap<String, T> {
    fn to_pb(&self) -> BTreeMap<String, P> {
        self.iter()
            .map(|(key, value)| (key.clone(), value.to_pb()))
            .collect()
    }
    fn from_pb(pb: BTreeMap<String, P>, path: &Path<'_>, found: &mut Found) -> Self {
        // The key is the peer's: the path ends at the map.
        pb.into_iter()
            .map(|(key, pb)| (key, T::from_pb(pb, path, found)))
            .collect()
    }
}

/// Enums are numbers; those of one name have the same in every version.
macro_rules! numbered {
    ($($Enum:ty),+) => { $(
        impl Proto<i32> for $Enum {
            fn to_pb(&self) -> i32 {
                *self as i32
            }
            fn from_pb(pb: i32, path: &Path<'_>, found: &mut Found) -> Self {
                Self::from_number(pb).unwrap_or_else(|| {
                    found.report(path, concat!("is not a number of the enum ", stringify!($Enum)));
                    Self::Unspecified
                })
            }
        }
    )+ };
}
numbered!(TaskState, Role);

impl Proto<well_known::Timestamp> for Timestamp {
    fn to_pb(&self) -> well_known::Timestamp {
        let (mut seconds, mut nanos) = (self.as_second(), self.subsec_nanosecond());
        if nanos < 0 {
            seconds -= 1;
            nanos += NANOS_PER_SECOND;
        }
        // Milliseconds, as in every binding (A2A §5.6.1): the same event is the same everywhere.
        let nanos = nanos / NANOS_PER_MILLI * NANOS_PER_MILLI;
        well_known::Timestamp { seconds, nanos }
    }
    fn from_pb(pb: well_known::Timestamp, path: &Path<'_>, found: &mut Found) -> Self {
        let time = (0..NANOS_PER_SECOND)
            .contains(&pb.nanos)
            .then(|| Timestamp::new(pb.seconds, pb.nanos).ok());
        time.flatten().unwrap_or_else(|| {
            found.report(path, "is not a time of the years 1 to 9999");
            Timestamp::UNIX_EPOCH
        })
    }
}

impl Proto<Struct> for Metadata {
    fn to_pb(&self) -> Struct {
        Struct {
            fields: self
                .iter()
                .map(|(key, value)| (key.clone(), value.to_pb()))
                .collect(),
        }
    }
    fn from_pb(pb: Struct, path: &Path<'_>, found: &mut Found) -> Self {
        pb.fields
            .into_iter()
            .map(|(key, pb)| (key, Value::from_pb(pb, path, found)))
            .collect()
    }
}

impl Proto<well_known::Value> for Value {
    fn to_pb(&self) -> well_known::Value {
        let kind = match self {
            Self::Null => Kind::NullValue(0),
            Self::Bool(value) => Kind::BoolValue(*value),
            Self::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
            Self::String(text) => Kind::StringValue(text.clone()),
            Self::Array(values) => Kind::ListValue(ListValue {
                values: super::list(values),
            }),
            Self::Object(fields) => Kind::StructValue(fields.to_pb()),
        };
        well_known::Value { kind: Some(kind) }
    }
    fn from_pb(pb: well_known::Value, path: &Path<'_>, found: &mut Found) -> Self {
        match pb.kind {
            // A value of no kind is what `null` becomes in some languages.
            None | Some(Kind::NullValue(_)) => Self::Null,
            Some(Kind::BoolValue(value)) => Self::Bool(value),
            Some(Kind::NumberValue(number)) => match json_number(number) {
                Some(number) => Self::Number(number),
                None => {
                    found.report(path, "holds a number that JSON does not have");
                    Self::Null
                }
            },
            Some(Kind::StringValue(text)) => Self::String(text),
            Some(Kind::ListValue(list)) => Self::Array(Vec::from_pb(list.values, path, found)),
            Some(Kind::StructValue(fields)) => Self::Object(Metadata::from_pb(fields, path, found)),
        }
    }
}

/// A double as JSON writes it: a whole number as one. `None` for what is not a number.
fn json_number(number: f64) -> Option<Number> {
    let whole = number.fract() == 0.0 && number.abs() <= EXACT;
    if whole && !(number == 0.0 && number.is_sign_negative()) {
        // Exact, because it is whole and small enough.
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}
