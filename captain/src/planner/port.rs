//! The planners by name, as the engine wants them. A plan that was given with the job never comes here, so only those
//! planners are known that make one from a goal.

use captain_core::PlanSpec;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::outline;
use crate::engine::ports::{PlanRequest, Planner, PlannerError};

/// The planner that reads the goal as a Markdown outline.
pub const OUTLINE: &str = "outline";

/// All planners of this captain.
#[derive(Debug, Clone, Copy, Default)]
pub struct Planners;

impl Planner for Planners {
    fn plan<'a>(
        &'a self,
        request: &'a PlanRequest,
    ) -> BoxFuture<'a, Result<PlanSpec, PlannerError>> {
        let plan = match request.planner.as_str() {
            OUTLINE => outline::parse(&request.goal)
                .map(|outline| outline.plan)
                .map_err(|error| PlannerError::Refused {
                    message: error.to_string(),
                }),
            other => Err(PlannerError::Unknown {
                name: other.to_owned(),
                known: OUTLINE.to_owned(),
            }),
        };
        ready(plan).boxed()
    }
}
