//! Decides an agent's permission asks, at once and without a person.
//!
//! The sandbox is the boundary, so what stays inside the workspace is allowed; what names a place outside is denied, which tells
//! the agent early what it would find out anyway.

use std::path::{Component, Path};

use agent_client_protocol::v1::schema as acp;
use worker_sandbox::WORKSPACE;

use crate::driver::DriverEvent;

/// The decision, and the answer for the agent.
pub(super) fn decide(
    request: &acp::RequestPermissionRequest,
) -> (DriverEvent, acp::RequestPermissionResponse) {
    let fields = &request.tool_call.fields;
    let allowed = fields
        .locations
        .iter()
        .flatten()
        .all(|location| is_inside(&location.path));
    let title = fields
        .title
        .clone()
        .unwrap_or_else(|| "something".to_owned());
    // The narrower option first: a decision is for one call, the policy decides the next one too.
    let kinds = if allowed {
        [
            acp::PermissionOptionKind::AllowOnce,
            acp::PermissionOptionKind::AllowAlways,
        ]
    } else {
        [
            acp::PermissionOptionKind::RejectOnce,
            acp::PermissionOptionKind::RejectAlways,
        ]
    };
    let option = kinds
        .iter()
        .find_map(|kind| request.options.iter().find(|option| option.kind == *kind));
    let outcome = match option {
        Some(option) => acp::RequestPermissionOutcome::Selected(
            acp::SelectedPermissionOutcome::new(option.option_id.clone()),
        ),
        None => acp::RequestPermissionOutcome::Cancelled,
    };
    let allowed = allowed && option.is_some();
    (
        DriverEvent::PermissionAsked { title, allowed },
        acp::RequestPermissionResponse::new(outcome),
    )
}

/// True for relative paths and for those below the workspace, `..` taken into account.
fn is_inside(path: &Path) -> bool {
    let mut depth = 0_i32;
    let rest = match path.strip_prefix(WORKSPACE) {
        Ok(rest) => rest,
        Err(_) if path.is_absolute() => return false,
        Err(_) => path,
    };
    for part in rest.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
        if depth < 0 {
            return false;
        }
    }
    true
}
