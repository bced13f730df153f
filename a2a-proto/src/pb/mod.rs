//! Between the protobuf messages of the gRPC binding and the canonical objects: total both ways. Whatever a peer sends
//! becomes an object, and what it could not say becomes a [`FieldViolation`] with its path, like that of a missing
//! field. One folder per version; each says for its messages what differs, and nothing here knows a connection.

mod scalar;
pub(crate) mod v0_3;
pub(crate) mod v1_0;

#[cfg(test)]
mod tests;

use crate::error::A2aError;
use crate::types::validate::{Found, Path};

impl Found {
    /// One more wrong place, named as in JSON.
    fn report(&mut self, path: &Path<'_>, description: &str) {
        if !self.is_full() {
            let mut violation = path.violation(description);
            violation.field = lower_camel(&violation.field);
            self.push(violation);
        }
    }
}

/// A canonical object, or a piece of one, whose protobuf form is `P`.
pub(crate) trait Proto<P>: Sized {
    /// The protobuf form.
    fn to_pb(&self) -> P;
    /// The object. What has no equivalent is reported, and some value stands in for it.
    fn from_pb(pb: P, path: &Path<'_>, found: &mut Found) -> Self;
}

/// Reads an object from its protobuf form.
///
/// # Errors
/// [`A2aError::InvalidParams`] with what was wrong.
pub(crate) fn read<T: Proto<P>, P>(pb: P) -> Result<T, A2aError> {
    let mut found = Found::default();
    let object = T::from_pb(pb, &Path::ROOT, &mut found);
    found.checked(object)
}

/// The protobuf forms of a list.
pub(crate) fn list<T: Proto<P>, P>(items: &[T]) -> Vec<P> {
    items.iter().map(Proto::to_pb).collect()
}

/// Fields are named as in JSON, whatever the binding.
fn lower_camel(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut upper = false;
    for c in path.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                camel.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    camel
}

/// Declares that messages of both sides have the same fields under the same names. Leaving one out does not compile.
/// A message that must be there is default when it is not, and validation says that it is missing. What protobuf does not
/// have is named behind `; without`.
macro_rules! same_fields {
    ($( $Name:ident = $version:ident :: $Pb:ident { $($field:ident),* $(,)? $(; without $absent:ident)? } )+) => { $(
        impl $crate::pb::Proto<$version::$Pb> for $Name {
            fn to_pb(&self) -> $version::$Pb {
                let Self { $($field,)* $($absent: _,)? } = self;
                $version::$Pb { $( $field: $crate::pb::Proto::to_pb($field), )* }
            }
            fn from_pb(
                pb: $version::$Pb,
                path: &$crate::types::validate::Path<'_>,
                found: &mut $crate::pb::Found,
            ) -> Self {
                let $version::$Pb { $($field),* } = pb;
                Self { $( $field:
                    $crate::pb::Proto::from_pb($field, &path.field(stringify!($field)), found), )*
                    $($absent: Default::default(),)? }
            }
        }
        $crate::pb::always_there!($Name = $version::$Pb);
    )+ };
}

/// Lets a message stand where protobuf always has an optional one.
macro_rules! always_there {
    ($( $Name:ident = $version:ident :: $Pb:ident ),+) => { $(
        impl $crate::pb::Proto<Option<$version::$Pb>> for $Name {
            fn to_pb(&self) -> Option<$version::$Pb> {
                Some($crate::pb::Proto::to_pb(self))
            }
            fn from_pb(
                pb: Option<$version::$Pb>,
                path: &$crate::types::validate::Path<'_>,
                found: &mut $crate::pb::Found,
            ) -> Self {
                pb.map_or_else(Self::default, |pb| $crate::pb::Proto::from_pb(pb, path, found))
            }
        }
    )+ };
}

/// Declares that a `oneof` has the same members on both sides: the enum of ours, the message around the `oneof`, its
/// one field, and the enum inside. The first member stands in for none.
macro_rules! same_members {
    ($Name:ident = $version:ident :: $Pb:ident . $field:ident : $module:ident :: $Oneof:ident {
        $First:ident / $PbFirst:ident $(, $Variant:ident / $PbVariant:ident)* $(,)?
    }) => {
        impl $crate::pb::Proto<$version::$Pb> for $Name {
            fn to_pb(&self) -> $version::$Pb {
                use $version::$module::$Oneof;
                let member = match self {
                    Self::$First(member) => $Oneof::$PbFirst($crate::pb::Proto::to_pb(member)),
                    $( Self::$Variant(member) => $Oneof::$PbVariant($crate::pb::Proto::to_pb(member)), )*
                };
                $version::$Pb { $field: Some(member) }
            }
            fn from_pb(
                pb: $version::$Pb,
                path: &$crate::types::validate::Path<'_>,
                found: &mut $crate::pb::Found,
            ) -> Self {
                use $version::$module::$Oneof;
                match pb.$field {
                    Some($Oneof::$PbFirst(member)) =>
                        Self::$First($crate::pb::Proto::from_pb(member, path, found)),
                    $( Some($Oneof::$PbVariant(member)) =>
                        Self::$Variant($crate::pb::Proto::from_pb(member, path, found)), )*
                    None => {
                        found.report(path, concat!("has none of its members: ",
                            stringify!($First) $(, ", ", stringify!($Variant))*));
                        Self::$First(Default::default())
                    }
                }
            }
        }
    };
}

use {always_there, same_fields, same_members};
