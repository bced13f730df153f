//! The names of things in A2A 0.3 over gRPC: `tasks/{id}` and `tasks/{id}/pushNotificationConfigs/{id}`.

use crate::pb::Found;
use crate::types::validate::Path;

const TASKS: &str = "tasks/";
const CONFIGS: &str = "/pushNotificationConfigs/";

/// The name of a task; none for no task.
pub(super) fn task(id: &str) -> String {
    match id {
        "" => String::new(),
        id => format!("{TASKS}{id}"),
    }
}

/// The name of a push configuration; none where there is no task.
pub(super) fn config(task_id: &str, id: &str) -> String {
    match task_id {
        "" => String::new(),
        task_id => format!("{TASKS}{task_id}{CONFIGS}{id}"),
    }
}

/// The id in the name of a task. No name at all is for validation to report, like every missing field.
pub(super) fn task_id(name: &str, path: &Path<'_>, found: &mut Found) -> String {
    match name.strip_prefix(TASKS) {
        Some(id) if !id.is_empty() && !id.contains('/') => id.to_owned(),
        _ if name.is_empty() => String::new(),
        _ => {
            found.report(path, "must be of the form tasks/{id}");
            String::new()
        }
    }
}

/// The ids of task and configuration in the name of a configuration.
pub(super) fn config_ids(name: &str, path: &Path<'_>, found: &mut Found) -> (String, String) {
    if name.is_empty() {
        return Default::default();
    }
    match split(name) {
        Some((task, config)) => (task.to_owned(), config.to_owned()),
        None => {
            found.report(
                path,
                "must be of the form tasks/{id}/pushNotificationConfigs/{id}",
            );
            Default::default()
        }
    }
}

fn split(name: &str) -> Option<(&str, &str)> {
    let (task, config) = name.strip_prefix(TASKS)?.split_once(CONFIGS)?;
    let good = |id: &str| !id.is_empty() && !id.contains('/');
    (good(task) && good(config)).then_some((task, config))
}
