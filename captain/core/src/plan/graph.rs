//! The check itself: fields, then references, then cycles, gathering every problem. Kahn's algorithm with the written
//! order as tie-break gives one stable order, so that the same plan always runs and merges the same way.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bounds, Plan, PlanErrors, PlanProblem, PlanSpec, SubtaskSpec};
use crate::ids::SubtaskId;

/// A name is offered as a hint when at most this share of it would have to change.
const HINT_DIVISOR: usize = 3;

pub(super) fn check(spec: PlanSpec, revision: u32, bounds: &Bounds) -> Result<Plan, PlanErrors> {
    let count = spec.subtasks.len();
    if count == 0 {
        return Err(PlanErrors(vec![PlanProblem::Empty]));
    }
    if count > bounds.subtasks {
        // Stop here: the remaining checks cost time in proportion to the plan and to the length of the answer.
        return Err(PlanErrors(vec![PlanProblem::TooMany {
            count,
            max: bounds.subtasks,
        }]));
    }
    let mut problems = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ids = Vec::with_capacity(count);
    for (i, subtask) in spec.subtasks.iter().enumerate() {
        match SubtaskId::parse(subtask.id.as_str()) {
            Ok(id) => ids.push(id),
            Err(_) => problems.push(PlanProblem::BadId {
                position: i + 1,
                id: subtask.id.clone(),
            }),
        }
        if let Some(first) = places.get(subtask.id.as_str()) {
            problems.push(PlanProblem::DuplicateId {
                id: subtask.id.clone(),
                first: first + 1,
                second: i + 1,
            });
        } else {
            places.insert(&subtask.id, i);
        }
        check_fields(subtask, bounds, &mut problems);
    }
    let dependencies = resolve(&spec, &places, &mut problems);
    let order = sort(&dependencies);
    if order.len() < count {
        find_cycles(&spec, &dependencies, &order, &mut problems);
    }
    if !problems.is_empty() {
        return Err(PlanErrors(problems));
    }
    let index = ids
        .iter()
        .cloned()
        .enumerate()
        .map(|(i, id)| (id, i))
        .collect();
    let dependents = reverse(&dependencies);
    Ok(Plan {
        revision,
        spec,
        ids,
        index,
        dependencies,
        dependents,
        order,
    })
}

fn check_fields(subtask: &SubtaskSpec, bounds: &Bounds, problems: &mut Vec<PlanProblem>) {
    let id = || subtask.id.clone();
    if subtask.prompt.trim().is_empty() {
        problems.push(PlanProblem::EmptyPrompt { id: id() });
    }
    let longest = |list: &[String]| list.iter().map(String::len).max().unwrap_or(0);
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    for (what, size, max) in [
        ("prompt (bytes)", subtask.prompt.len(), bounds.prompt_bytes),
        ("title (bytes)", optional(&subtask.title), bounds.text_bytes),
        ("skill (bytes)", optional(&subtask.skill), bounds.text_bytes),
        (
            "file name (bytes)",
            longest(&subtask.files),
            bounds.text_bytes,
        ),
        (
            "host name (bytes)",
            longest(&subtask.hosts),
            bounds.text_bytes,
        ),
        ("list of files", subtask.files.len(), bounds.list),
        ("list of hosts", subtask.hosts.len(), bounds.list),
        (
            "list of dependencies",
            subtask.depends_on.len(),
            bounds.list,
        ),
    ] {
        if size > max {
            problems.push(PlanProblem::TooLong {
                id: id(),
                what,
                size,
                max,
            });
        }
    }
    let limits = &subtask.limits;
    for (what, value, max) in [
        ("time_seconds", limits.time_seconds, bounds.time_seconds),
        (
            "steps",
            limits.steps.map(u64::from),
            u64::from(bounds.steps),
        ),
        (
            "attempts",
            limits.attempts.map(u64::from),
            u64::from(bounds.attempts),
        ),
    ] {
        if let Some(value) = value.filter(|value| !(1..=max).contains(value)) {
            problems.push(PlanProblem::BadLimit {
                id: id(),
                what,
                value,
                max,
            });
        }
    }
}

/// The positions of each subtask's dependencies; those that cannot be used are problems and left out.
fn resolve(
    spec: &PlanSpec,
    places: &BTreeMap<&str, usize>,
    problems: &mut Vec<PlanProblem>,
) -> Vec<Vec<usize>> {
    spec.subtasks
        .iter()
        .map(|subtask| {
            let mut seen = BTreeSet::new();
            let mut positions = Vec::new();
            for dependency in &subtask.depends_on {
                let (id, dependency) = (subtask.id.clone(), dependency.clone());
                if !seen.insert(dependency.clone()) {
                    problems.push(PlanProblem::DuplicateDependency { id, dependency });
                } else if dependency == id {
                    problems.push(PlanProblem::SelfDependency { id });
                } else if let Some(&position) = places.get(dependency.as_str()) {
                    positions.push(position);
                } else {
                    let nearest = nearest(
                        &dependency,
                        places.keys().copied().filter(|name| *name != id),
                    );
                    problems.push(PlanProblem::UnknownDependency {
                        id,
                        dependency,
                        nearest,
                    });
                }
            }
            positions
        })
        .collect()
}

/// Kahn's algorithm; shorter than the input when there is a cycle.
fn sort(dependencies: &[Vec<usize>]) -> Vec<usize> {
    let dependents = reverse(dependencies);
    let mut open: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let mut ready: BTreeSet<usize> = (0..open.len()).filter(|&i| open[i] == 0).collect();
    let mut order = Vec::with_capacity(open.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for &dependent in &dependents[next] {
            open[dependent] -= 1;
            if open[dependent] == 0 {
                ready.insert(dependent);
            }
        }
    }
    order
}

fn reverse(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut reversed = vec![Vec::new(); edges.len()];
    for (from, targets) in edges.iter().enumerate() {
        for &to in targets {
            reversed[to].push(from);
        }
    }
    reversed
}

/// Whatever the sort left over depends on something left over, so walking along dependencies must meet a cycle.
fn find_cycles(
    spec: &PlanSpec,
    dependencies: &[Vec<usize>],
    sorted: &[usize],
    problems: &mut Vec<PlanProblem>,
) {
    let mut done: BTreeSet<usize> = sorted.iter().copied().collect();
    for start in 0..dependencies.len() {
        let mut walk: Vec<usize> = Vec::new();
        let mut at = start;
        while !done.contains(&at) {
            if let Some(begin) = walk.iter().position(|&seen| seen == at) {
                let mut cycle = walk[begin..].to_vec();
                // The member that was written first opens the path, whatever the walk came from.
                let first = (0..cycle.len()).min_by_key(|&i| cycle[i]).unwrap_or(0);
                cycle.rotate_left(first);
                cycle.push(cycle[0]);
                let path = cycle
                    .into_iter()
                    .map(|i| spec.subtasks[i].id.clone())
                    .collect();
                problems.push(PlanProblem::Cycle { path });
                break;
            }
            walk.push(at);
            match dependencies[at].iter().find(|next| !sorted.contains(next)) {
                Some(&next) => at = next,
                None => break,
            }
        }
        done.extend(walk);
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance < name.len() && *distance <= (candidate.len() / HINT_DIVISOR).max(1)
        })
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein's edit distance over characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
