//! Validation apart from parsing: JSON of the right shape can still lack required fields. [`Validate::validate`]
//! finds *all* violations, each with the path of its field, so that a caller can mend a request in one go
//! (A2A §9.5 and google.rpc.BadRequest). What is required is marked in the declaration of each message; rules beyond
//! that are the few [`Rules`] impls in the files of their types.

use std::fmt;

use crate::error::{A2aError, FieldViolation};
use crate::types::protojson::Value;

/// Where we are inside an object. It lives on the stack: nothing is allocated unless there is something to report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl Path<'_> {
    /// The object itself.
    pub(crate) const ROOT: Path<'static> = Path {
        parent: None,
        segment: Segment::Root,
    };

    /// The field `name` of this object.
    pub(crate) fn field<'a>(&'a self, name: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            segment: Segment::Field(name),
        }
    }

    /// The element `index` of this list.
    pub(crate) fn index(&self, index: usize) -> Path<'_> {
        Path {
            parent: Some(self),
            segment: Segment::Index(index),
        }
    }

    /// A violation here.
    pub(crate) fn violation(&self, description: impl Into<String>) -> FieldViolation {
        FieldViolation {
            field: self.to_string(),
            description: description.into(),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Field(name) => {
                let first = self
                    .parent
                    .is_none_or(|parent| matches!(parent.segment, Segment::Root));
                if !first {
                    f.write_str(".")?;
                }
                f.write_str(name)
            }
            Segment::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// The most violations that are told: an object with this many wrong places is rubbish, and the rest helps nobody.
const MAX_VIOLATIONS: usize = 16;

/// What was wrong so far, as far as it is told.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<FieldViolation>);

impl Found {
    /// What is wrong with `value` itself.
    pub(crate) fn of(value: &impl Value) -> Self {
        let mut found = Self::default();
        value.check(&Path::ROOT, &mut found);
        found
    }

    /// One more, unless there are enough.
    pub(crate) fn push(&mut self, violation: FieldViolation) {
        if !self.is_full() {
            self.0.push(violation);
        }
    }

    /// Whether more need not be looked for.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX_VIOLATIONS
    }

    /// `value`, if nothing was wrong on the way to it.
    pub(crate) fn checked<T>(self, value: T) -> Result<T, A2aError> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(A2aError::InvalidParams { violations: self.0 })
        }
    }
}

/// Rules of one message beyond "is required".
pub(crate) trait Rules {
    /// Reports what breaks them.
    fn rules(&self, _path: &Path<'_>, _found: &mut Found) {}
}

/// Says whether an object is complete and in range.
#[expect(
    private_bounds,
    reason = "only the types of this crate can be validated"
)]
pub trait Validate: Value {
    /// What is wrong, in the order of the fields, at most sixteen times; empty when the object is valid.
    fn violations(&self) -> Vec<FieldViolation> {
        Found::of(self).0
    }

    /// # Errors
    /// [`A2aError::InvalidParams`] with the violations.
    fn validate(&self) -> Result<(), A2aError> {
        Found::of(self).checked(())
    }
}

/// Makes a message validatable without further rules.
macro_rules! no_rules {
    ($($Name:ty),+ $(,)?) => { $(
        impl $crate::types::validate::Rules for $Name {}
        impl $crate::types::validate::Validate for $Name {}
    )+ };
}
pub(crate) use no_rules;
