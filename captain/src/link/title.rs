//! What a tool call is called in front of people. Agents announce a call by the tool's bare name and say only later what
//! it works on; `bash` alone tells nobody anything. Pure.

use a2a_proto::activity::ToolActivity;

/// Fields of a tool's input that say what it works on, the most telling first. All agents that we know use one of them.
const TELLING: [&str; 8] = [
    "command",
    "filePath",
    "file_path",
    "path",
    "pattern",
    "url",
    "query",
    "description",
];

/// The call's title: the agent's own if it says more than a name, else the name with what it works on. `known` is what
/// it was called before, `folder` the name of the workspace's folder, which people need not see.
pub(super) fn of(known: &str, tool: &ToolActivity, folder: &str) -> String {
    let named = [tool.title.as_str(), known, tool.name.as_str()];
    let name = named.into_iter().find(|name| !name.is_empty());
    let name = name.unwrap_or_default();
    if name.contains(char::is_whitespace) || name.is_empty() {
        return name.to_owned();
    }
    let input = tool.input.as_ref();
    let telling = TELLING
        .iter()
        .find_map(|field| input?.get(*field)?.as_str())
        .or_else(|| tool.locations.first().map(String::as_str));
    match telling.and_then(|text| text.lines().map(str::trim).find(|line| !line.is_empty())) {
        Some(detail) => format!("{name} {}", inside(detail, folder)),
        None => name.to_owned(),
    }
}

/// A path below the workspace as it is called there; anything else as it is.
fn inside<'a>(detail: &'a str, folder: &str) -> &'a str {
    let marked = format!("/{folder}/");
    match detail.split_once(marked.as_str()) {
        Some((before, below)) if !before.contains(char::is_whitespace) && !below.is_empty() => {
            below
        }
        _ => detail,
    }
}

#[cfg(test)]
mod tests {
    use a2a_proto::activity::ToolState;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bare_name_gets_what_it_works_on() {
        for (title, known, input, location, expected) in [
            (
                "bash",
                "",
                json!({ "command": "\n make test\nmore" }),
                "",
                "bash make test",
            ),
            (
                "",
                "write",
                json!({ "content": "x", "filePath": "/s/work/api-1/src/a.py" }),
                "",
                "write src/a.py",
            ),
            ("edit", "", json!({}), "/s/work/api-1/b c.py", "edit b c.py"),
            (
                "read",
                "",
                json!({ "path": "/etc/hosts" }),
                "",
                "read /etc/hosts",
            ),
            (
                "bash",
                "",
                json!({ "command": "ls /s/work/api-1/src" }),
                "",
                "bash ls /s/work/api-1/src",
            ),
            (
                "Run the tests",
                "bash",
                json!({ "command": "make" }),
                "",
                "Run the tests",
            ),
            ("", "", json!(null), "", "tool"),
            ("todowrite", "", json!({ "todos": [] }), "", "todowrite"),
        ] {
            let tool = ToolActivity {
                id: "1".to_owned(),
                name: "tool".to_owned(),
                title: title.to_owned(),
                tool_kind: String::new(),
                state: ToolState::Running,
                input: Some(input),
                output_delta: String::new(),
                locations: Some(location.to_owned())
                    .into_iter()
                    .filter(|at| !at.is_empty())
                    .collect(),
            };
            assert_eq!(of(known, &tool, "api-1"), expected);
        }
    }
}
