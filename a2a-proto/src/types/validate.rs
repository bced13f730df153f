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

/// Rules of one message beyond "is required".
pub(crate) trait Rules {
    /// Reports what breaks them.
    fn rules(&self, _path: &Path<'_>, _found: &mut Vec<FieldViolation>) {}
}

/// Says whether an object is complete and in range.
#[expect(
    private_bounds,
    reason = "only the types of this crate can be validated"
)]
pub trait Validate: Value {
    /// Everything that is wrong, in the order of the fields; empty when the object is valid.
    fn violations(&self) -> Vec<FieldViolation> {
        let mut found = Vec::new();
        self.check(&Path::ROOT, &mut found);
        found
    }

    /// # Errors
    /// [`A2aError::InvalidParams`] with all violations.
    fn validate(&self) -> Result<(), A2aError> {
        let violations = self.violations();
        if violations.is_empty() {
            Ok(())
        } else {
            Err(A2aError::InvalidParams { violations })
        }
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
