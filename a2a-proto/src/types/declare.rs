//! The two macros that declare the objects of the protocol: [`message!`] for a struct of named fields, [`oneof!`] for an
//! object with exactly one of several keys. They write what every object needs from one list, so that no object can
//! differ from the others in how it is read, written or checked. The code that they call is in `protojson.rs`.

macro_rules! is_required {
    () => { false };
    (required $($rest:ident)*) => { true };
    ($other:ident $($rest:ident)*) => { $crate::types::declare::is_required!($($rest)*) };
}
macro_rules! is_always {
    () => { false };
    (always $($rest:ident)*) => { true };
    ($other:ident $($rest:ident)*) => { $crate::types::declare::is_always!($($rest)*) };
}

macro_rules! is_secret {
    () => { false };
    (secret $($rest:ident)*) => { true };
    ($other:ident $($rest:ident)*) => { $crate::types::declare::is_secret!($($rest)*) };
}

/// Declares a proto message: a struct with public fields, each with its JSON name and, in brackets, `required`
/// (missing is a violation), `always` (written even when unset) and `secret` (never printed).
macro_rules! message {
    (
        $(#[$meta:meta])*
        pub struct $Name:ident {
            $( $(#[$field_meta:meta])* pub $field:ident : $ty:ty = $json:literal $([$($flag:ident)+])? , )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Default)]
        pub struct $Name { $( $(#[$field_meta])* pub $field: $ty, )* }

        impl std::fmt::Debug for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($Name))
                    $( .field(
                        stringify!($field),
                        if $crate::types::declare::is_secret!($($($flag)+)?) {
                            &"[secret]"
                        } else {
                            &self.$field
                        },
                    ) )*
                    .finish()
            }
        }

        impl serde::Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                $(
                    if $crate::types::declare::is_always!($($($flag)+)?)
                        || !$crate::types::protojson::Field::is_unset(&self.$field)
                    {
                        map.serialize_entry($json, &$crate::types::protojson::WriteField(&self.$field))?;
                    }
                )*
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                const NAMES: &[$crate::types::protojson::Names] = &[$(($json, stringify!($field))),*];
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $Name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$Name, A::Error> {
                        let mut message = $Name::default();
                        while let Some(key) = map.next_key_seed($crate::types::protojson::Key(NAMES))? {
                            match key {
                                $( Some($json) =>
                                    $crate::types::protojson::read_into(&mut map, $json, &mut message.$field)?, )*
                                _ => $crate::types::protojson::skip(&mut map)?,
                            }
                        }
                        Ok(message)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }

        impl $crate::types::protojson::Value for $Name {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
            fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde::Serialize::serialize(self, serializer)
            }
            fn check(
                &self,
                path: &$crate::types::validate::Path<'_>,
                found: &mut $crate::types::validate::Found,
            ) {
                $({
                    let path = path.field($json);
                    if $crate::types::declare::is_required!($($($flag)+)?)
                        && $crate::types::protojson::Field::is_unset(&self.$field)
                    {
                        found.push(path.violation("is required"));
                    } else {
                        $crate::types::protojson::Field::check(&self.$field, &path, found);
                    }
                })*
                $crate::types::validate::Rules::rules(self, path, found);
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
                Self { $( $field: random.inside(), )* }
            }
        }
    };
}

/// Declares a proto `oneof` whose members are all messages: an enum that is an object with exactly one key.
macro_rules! oneof {
    (
        $(#[$meta:meta])*
        pub enum $Name:ident {
            $( $(#[$variant_meta:meta])* $Variant:ident ( $ty:ty ) = $json:literal | $proto:literal , )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $Name { $( $(#[$variant_meta])* $Variant($ty), )* }

        impl serde::Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(Some(1))?;
                match self { $( Self::$Variant(member) => map.serialize_entry($json, member)?, )* }
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                const NAMES: &[$crate::types::protojson::Names] = &[$(($json, $proto)),*];
                struct Members;
                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $Name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$Name, A::Error> {
                        let mut chosen: Option<$Name> = None;
                        while let Some(key) = map.next_key_seed($crate::types::protojson::Key(NAMES))? {
                            match key {
                                $( Some($json) => {
                                    let mut member: Option<$ty> = None;
                                    $crate::types::protojson::read_into(&mut map, $json, &mut member)?;
                                    if let Some(member) = member {
                                        if chosen.is_some() {
                                            return Err($crate::types::protojson::not_one(NAMES));
                                        }
                                        chosen = Some($Name::$Variant(member));
                                    }
                                } )*
                                _ => $crate::types::protojson::skip(&mut map)?,
                            }
                        }
                        chosen.ok_or_else(|| $crate::types::protojson::not_one(NAMES))
                    }
                }
                deserializer.deserialize_map(Members)
            }
        }

        impl $crate::types::protojson::Value for $Name {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
            fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde::Serialize::serialize(self, serializer)
            }
            fn check(
                &self,
                path: &$crate::types::validate::Path<'_>,
                found: &mut $crate::types::validate::Found,
            ) {
                match self { $( Self::$Variant(member) =>
                    $crate::types::protojson::Value::check(member, &path.field($json), found), )* }
            }
        }

        #[cfg(test)]
        impl $crate::types::tests::Sample for $Name {
            fn sample(random: &mut $crate::types::tests::Random) -> Self {
                let members: &[fn(&mut $crate::types::tests::Random) -> Self] =
                    &[$(|random| Self::$Variant(random.inside())),*];
                members[random.below(members.len())](random)
            }
        }

        impl $crate::types::validate::Validate for $Name {}
        $( impl From<$ty> for $Name {
            fn from(member: $ty) -> Self {
                Self::$Variant(member)
            }
        } )*
    };
}

pub(crate) use {is_always, is_required, is_secret, message, oneof};
