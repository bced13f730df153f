//! `POST /jobs`: from a request to a job. What can be checked before the job exists is checked here or by the engine, so
//! that a bad plan is an error answer and not a failed job.

use std::path::PathBuf;
use std::sync::Arc;

use a2a_proto::server::Caller;
use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use captain_core::job::PlanSource;
use captain_core::plan::{Bounds, PlanErrors};
use captain_core::{JobSpec, Plan, PlanSpec};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::ApiState;
use super::body::JsonBody;
use super::error::{ApiError, Problem};
use super::types::SubmitJob;
use super::{events, repo};
use crate::planner::{OUTLINE, outline};

/// Subtasks that stand for the goal of a plan without one.
const NAMED_SUBTASKS: usize = 3;

/// `POST /jobs`: answers with the job, or with its events where the client asks for a stream.
pub(super) async fn submit(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<SubmitJob>,
) -> Result<Response, ApiError> {
    let spec = spec(&api.repo_roots, &caller, request).await?;
    let job = api.engine.submit(spec).await?;
    api.tasks.adopt(&job).await;
    let location = HeaderValue::try_from(format!("/jobs/{job}"))
        .map_err(|error| ApiError::internal(&error))?;
    let mut response = if wants_stream(&headers) {
        events::stream(&api, &job, 0).await?
    } else {
        let view = api.engine.get(&job).await?.job.view();
        (StatusCode::CREATED, Json(view)).into_response()
    };
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("text/event-stream"))
}

/// The job that a request asks for, whichever way it came. `repo_roots` are the folders that its repository must lie in;
/// none allows all.
pub(crate) async fn spec(
    repo_roots: &Arc<[PathBuf]>,
    caller: &Caller,
    request: SubmitJob,
) -> Result<JobSpec, ApiError> {
    let (goal, plan) = what(request.goal, request.plan, request.outline, request.planner)?;
    let base = match (&request.repo, request.base) {
        (None, Some(_)) => return Err(ApiError::invalid("base", "needs a repo")),
        (_, Some(base)) if base.is_empty() || base.starts_with('-') => {
            return Err(ApiError::invalid("base", "is not a branch, tag or commit"));
        }
        (_, base) => base,
    };
    let repo = match request.repo {
        Some(repo) => Some(checked_repo(repo_roots, repo).await?),
        None => None,
    };
    Ok(JobSpec {
        goal,
        plan,
        repo,
        base,
        limits: request.limits,
        approval: request.approval,
        agent: serde_json::to_value(request.agent).map_err(|error| ApiError::internal(&error))?,
        owner: caller.subject.to_string(),
    })
}

/// The goal, and where the plan comes from.
fn what(
    goal: Option<String>,
    plan: Option<PlanSpec>,
    outline: Option<String>,
    planner: Option<String>,
) -> Result<(String, PlanSource), ApiError> {
    let goal = goal.filter(|goal| !goal.trim().is_empty());
    match (plan, outline, planner) {
        (Some(_), Some(_), _) => Err(ApiError::invalid("outline", "cannot stand beside a plan")),
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => Err(ApiError::invalid(
            "planner",
            "has nothing to do where the plan is given",
        )),
        (Some(plan), None, None) => {
            check(&plan, "plan")?;
            Ok((
                goal.unwrap_or_else(|| name(&plan)),
                PlanSource::Given { plan },
            ))
        }
        (None, Some(text), None) => {
            let outline = outline::parse(&text)
                .map_err(|error| ApiError::invalid("outline", error.to_string()))?;
            check(&outline.plan, "outline")?;
            let goal = goal.unwrap_or(outline.goal);
            let plan = outline.plan;
            Ok((goal, PlanSource::Given { plan }))
        }
        (None, None, planner) => {
            let goal = goal.ok_or_else(|| {
                ApiError::invalid("goal", "is missing: give a goal, an outline or a plan")
            })?;
            let name = planner.unwrap_or_else(|| OUTLINE.to_owned());
            if name != OUTLINE {
                return Err(ApiError::invalid(
                    "planner",
                    format!("there is no planner {name:?}; there is: {OUTLINE}"),
                ));
            }
            let outline = outline::parse(&goal)
                .map_err(|error| ApiError::invalid("goal", error.to_string()))?;
            check(&outline.plan, "goal")?;
            Ok((goal, PlanSource::Planner { name }))
        }
    }
}

fn check(plan: &PlanSpec, field: &str) -> Result<(), ApiError> {
    Plan::validate(plan.clone(), &Bounds::default())
        .map(drop)
        .map_err(|errors| bad_plan(&errors, field))
}

/// Everything that is wrong with a plan, each problem named.
pub(super) fn bad_plan(errors: &PlanErrors, field: &str) -> ApiError {
    ApiError::Invalid {
        message: format!("the plan is not valid: {errors}"),
        problems: errors
            .problems()
            .iter()
            .map(|problem| Problem::new(field, problem.to_string()))
            .collect(),
    }
}

fn name(plan: &PlanSpec) -> String {
    let mut names: Vec<&str> = plan
        .subtasks
        .iter()
        .take(NAMED_SUBTASKS)
        .map(|subtask| subtask.title.as_deref().unwrap_or(&subtask.id))
        .collect();
    if plan.subtasks.len() > NAMED_SUBTASKS {
        names.push("…");
    }
    names.join(", ")
}

async fn checked_repo(roots: &Arc<[PathBuf]>, repo: String) -> Result<String, ApiError> {
    let roots = Arc::clone(roots);
    let resolved = tokio::task::spawn_blocking(move || repo::check(&repo, &roots))
        .await
        .map_err(|error| ApiError::internal(&error))??;
    resolved
        .into_os_string()
        .into_string()
        .map_err(|_| ApiError::invalid("repo", "is not UTF-8"))
}
