//! What `docs/interop.md` says: three tables of operations, and under each the reasons of what failed. Reads its own table
//! back to tell whether anything became worse. Measures nothing.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    run::{Cell, Report},
    sdk::SDKS,
};

/// The operations in the order of the columns.
const OPS: [&str; 12] = [
    "card",
    "send",
    "stream",
    "get",
    "list",
    "error",
    "cancel",
    "input",
    "subscribe",
    "resume",
    "push",
    "webhook",
];

const HEAD: &str = "# Interoperability

`make interop` wrote this file: the official A2A SDKs, unchanged and from their ordinary registries, against this build.
`ok`: it did what was asked. `FAIL`: it did not; the reason is below the table. `-`: there is no such thing, or it was not run.

| column | what is done |
|---|---|
| card | the card is found and read, and offers the binding and version |
| send | a message is sent; the answer is a completed task that holds the echo |
| stream | a message is sent; the stream begins with the task, has five chunks in order, ends completed |
| get, list | the task is read by its id; it alone is listed for its context |
| error | an unknown task is the SDK's own \"task not found\" |
| cancel | a running task is cancelled; the answer and its stream end with canceled |
| input | the agent asks back, a second message to the same task answers it |
| subscribe | a running task is subscribed to; its stream ends with the cancel |
| resume | the stream is taken up again after a number (ours only) |
| push, webhook | configs are made, read, listed, deleted; the webhook is told of the end, with its token |
";

/// The whole file.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = HEAD.to_owned();
    section(
        &mut text,
        report,
        "worker",
        "SDK clients against our worker",
    );
    section(
        &mut text,
        report,
        "captain",
        "SDK clients against our captain",
    );
    section(&mut text, report, "sdk", "Our client against SDK servers");
    text.push_str("\n## What is not there\n\n");
    for sdk in SDKS.iter().filter(|sdk| !sdk.note.is_empty()) {
        line(&mut text, format_args!("- {}: {}.", sdk.title, sdk.note));
    }
    text
}

/// In one line: how much is ok.
pub(crate) fn summary(report: &Report) -> String {
    let count = |ok| report.cells.iter().filter(|cell| cell.ok == ok).count();
    format!(
        "interop: {} passed, {} failed, {} skipped in {:.0} s",
        count(Some(true)),
        count(Some(false)),
        count(None),
        report.took.as_secs_f64()
    )
}

fn section(text: &mut String, report: &Report, server: &str, title: &str) {
    let cells: Vec<_> = report
        .cells
        .iter()
        .filter(|cell| cell.server == server)
        .collect();
    if cells.is_empty() {
        return;
    }
    line(text, format_args!("\n## {title}\n"));
    line(
        text,
        format_args!("| SDK | binding | version | {} |", OPS.join(" | ")),
    );
    line(
        text,
        format_args!("|---|---|---|{}", "---|".repeat(OPS.len())),
    );
    let mut reasons = Vec::new();
    for (sdk, binding, version) in rows(&cells) {
        let row = row(&cells, sdk, binding, version);
        line(
            text,
            format_args!("| {sdk} | {binding} | {version} | {} |", row.join(" | ")),
        );
        let of_row = cells
            .iter()
            .filter(|it| (&*it.sdk, &*it.binding, &*it.version) == (sdk, binding, version));
        for cell in of_row.filter(|cell| cell.ok == Some(false)) {
            reasons.push(format!(
                "- {sdk}, {binding} {version}, {}: {}",
                cell.op,
                cell.detail.replace(['\n', '|'], " ")
            ));
        }
    }
    if !reasons.is_empty() {
        line(text, format_args!("\n{}", reasons.join("\n")));
    }
}

/// The rows in the order in which they were run.
fn rows<'a>(cells: &[&'a Cell]) -> Vec<(&'a str, &'a str, &'a str)> {
    let mut seen = BTreeSet::new();
    let key = |cell: &&'a Cell| (&*cell.sdk, &*cell.binding, &*cell.version);
    cells
        .iter()
        .map(key)
        .filter(|row| seen.insert(*row))
        .collect()
}

fn row(cells: &[&Cell], sdk: &str, binding: &str, version: &str) -> Vec<&'static str> {
    let verdict = |op: &&str| {
        let found = cells.iter().find(|cell| {
            (&*cell.sdk, &*cell.binding, &*cell.version, &*cell.op) == (sdk, binding, version, *op)
        });
        match found.map(|cell| cell.ok) {
            Some(Some(true)) => "ok",
            Some(Some(false)) => "FAIL",
            Some(None) | None => "-",
        }
    };
    OPS.iter().map(verdict).collect()
}

/// What the tables of `old` have as ok and `new` has as failed.
pub(crate) fn worse(old: &str, new: &Report) -> Vec<String> {
    let new = markdown(new);
    let (old, new) = (verdicts(old), verdicts(&new));
    let became = |(key, now): &(String, String)| {
        now == "FAIL"
            && old
                .iter()
                .any(|(was_key, was)| was_key == key && was == "ok")
    };
    new.iter()
        .filter(|it| became(it))
        .map(|(key, _)| key.clone())
        .collect()
}

/// Every verdict of a file, by section, row and operation.
fn verdicts(text: &str) -> Vec<(String, String)> {
    let mut title = "";
    let mut all = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            title = name;
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if cells.len() == OPS.len() + 5 {
            for (op, verdict) in OPS.iter().zip(&cells[4..]) {
                let key = format!("{title}: {} {} {} {op}", cells[1], cells[2], cells[3]);
                all.push((key, (*verdict).to_owned()));
            }
        }
    }
    all
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{what}");
}
