//! A Markdown list becomes a plan: each item is a subtask, an item inside another depends on it, `after: a, b` names
//! further dependencies. No model is asked; the same text always gives the same plan.
//!
//! What stands before the first item (and under a heading between items) is context for everybody: every prompt gets
//! it. What stands below an item belongs to that item. A text without any item is one subtask.

use std::collections::BTreeSet;

use captain_core::PlanSpec;
use captain_core::ids::MAX_SUBTASK_ID;
use captain_core::plan::SubtaskSpec;

use super::MAX_TEXT_BYTES;

#[cfg(test)]
mod tests;

/// Longest id made from a title: enough to recognise it, short enough for a tree on a terminal.
const MAX_SLUG: usize = 32;
/// Longest title, in characters; the full line is in the prompt.
const MAX_TITLE: usize = 80;
/// Most items that are read; far more than a valid plan has, so that the plan's own check can say how many there are.
const MAX_ITEMS: usize = 10_000;
/// How far a tab indents (CommonMark 0.31 §2.2).
const TAB: usize = 4;

/// What a text was read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The goal in one line: the heading, the first line of the context, or the first item.
    pub goal: String,
    /// The plan; not validated yet.
    pub plan: PlanSpec,
}

/// A text that cannot be read as an outline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutlineError {
    /// There are no words in it.
    #[error(
        "the outline is empty: write one paragraph, or a Markdown list with one item for each subtask"
    )]
    Empty,
    /// It is too long to be read.
    #[error("an outline has at most {} MiB", MAX_TEXT_BYTES >> 20)]
    TooLong,
    /// It has too many items to be read.
    #[error("an outline has at most {MAX_ITEMS} items")]
    TooManyItems,
}

/// Reads `text`.
///
/// # Errors
/// [`OutlineError`] if there is nothing to read, or too much.
pub fn parse(text: &str) -> Result<Outline, OutlineError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(OutlineError::TooLong);
    }
    let read = read(text)?;
    let context = read.context.join("\n").trim().to_owned();
    if read.items.is_empty() {
        return single(&context);
    }
    let ids = name(&read.items);
    let goal = first_line(&context)
        .or_else(|| read.items.first().map(|item| item.title.clone()))
        .unwrap_or_default();
    let subtasks = read.items.iter().enumerate().map(|(i, item)| {
        let mut depends_on = Vec::new();
        let parent = item.parent.and_then(|parent| ids.get(parent)).cloned();
        for dependency in parent
            .into_iter()
            .chain(item.after.iter().map(|name| find(name, &ids, &read.items)))
        {
            if !depends_on.contains(&dependency) {
                depends_on.push(dependency);
            }
        }
        SubtaskSpec {
            id: ids.get(i).cloned().unwrap_or_default(),
            title: Some(shorten(&item.title)),
            prompt: item.prompt(&context),
            depends_on,
            ..SubtaskSpec::default()
        }
    });
    Ok(Outline {
        goal,
        plan: PlanSpec {
            subtasks: subtasks.collect(),
        },
    })
}

/// A text without items.
fn single(context: &str) -> Result<Outline, OutlineError> {
    let goal = first_line(context).ok_or(OutlineError::Empty)?;
    let id = slug(&goal).unwrap_or_else(|| "task".to_owned());
    let subtask = SubtaskSpec {
        id,
        title: Some(shorten(&goal)),
        prompt: context.to_owned(),
        ..SubtaskSpec::default()
    };
    Ok(Outline {
        goal,
        plan: PlanSpec {
            subtasks: vec![subtask],
        },
    })
}

/// One item as it was read.
#[derive(Debug, Default)]
struct Item {
    /// The id that the author gave it.
    id: Option<String>,
    title: String,
    /// Its first line in full.
    line: String,
    body: Vec<String>,
    parent: Option<usize>,
    after: Vec<String>,
}

impl Item {
    fn prompt(&self, context: &str) -> String {
        let body = self.body.join("\n");
        let own = format!("{}\n{}", self.line, body.trim_end())
            .trim()
            .to_owned();
        if context.is_empty() {
            return own;
        }
        format!(
            "This is one part of a larger job:\n\n{context}\n\nYour part, and only this:\n\n{own}"
        )
    }
}

#[derive(Debug, Default)]
struct Read {
    context: Vec<String>,
    items: Vec<Item>,
}

/// An item that is open: what is indented deeper belongs to it.
struct Open {
    indent: usize,
    /// Where its text begins, which a line below it is freed of.
    content: usize,
    item: usize,
}

fn read(text: &str) -> Result<Read, OutlineError> {
    let mut read = Read::default();
    let mut open: Vec<Open> = Vec::new();
    let mut current: Option<usize> = None;
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let (indent, rest) = indentation(line);
        let marks = ["```", "~~~"]
            .into_iter()
            .find(|mark| rest.starts_with(mark));
        let in_code = fence.is_some();
        match fence {
            None => fence = marks,
            Some(mark) if marks == Some(mark) => fence = None,
            Some(_) => {}
        }
        if !in_code && marks.is_none() {
            if let Some((width, content)) = item_marker(rest) {
                while open.last().is_some_and(|last| last.indent >= indent) {
                    open.pop();
                }
                if read.items.len() >= MAX_ITEMS {
                    return Err(OutlineError::TooManyItems);
                }
                let item = new_item(content, open.last().map(|last| last.item));
                open.push(Open {
                    indent,
                    content: indent + width,
                    item: read.items.len(),
                });
                current = Some(read.items.len());
                read.items.push(item);
                continue;
            }
            if is_heading(rest) && indent < TAB {
                // A heading between items begins something new for everybody.
                open.clear();
                current = None;
            }
        }
        let Some(item) = current.and_then(|item| read.items.get_mut(item)) else {
            read.context.push(line.trim_end().to_owned());
            continue;
        };
        match after_note(rest).filter(|_| !in_code && marks.is_none()) {
            Some(names) => item.after.extend(names),
            None => {
                let freed = open.last().map_or(0, |last| last.content);
                item.body.push(outdent(line, freed));
            }
        }
    }
    Ok(read)
}

fn new_item(content: &str, parent: Option<usize>) -> Item {
    let mut text = content.trim();
    for check_box in ["[ ]", "[x]", "[X]"] {
        let rest = text.strip_prefix(check_box);
        if let Some(rest) = rest.filter(|rest| rest.starts_with([' ', '\t'])) {
            text = rest.trim_start();
        }
    }
    let mut item = Item {
        parent,
        ..Item::default()
    };
    if let Some((id, rest)) = leading_id(text) {
        item.id = Some(id.to_owned());
        text = rest;
    } else if let Some((rest, id)) = trailing_id(text) {
        item.id = Some(id.to_owned());
        text = rest;
    }
    if let Some((rest, names)) = trailing_after(text) {
        item.after = names;
        text = rest;
        if let Some((rest, id)) = trailing_id(text).filter(|_| item.id.is_none()) {
            item.id = Some(id.to_owned());
            text = rest;
        }
    }
    item.title = plain(text);
    item.line = text.to_owned();
    item
}

/// Column of the first character, and the line from there.
fn indentation(line: &str) -> (usize, &str) {
    let rest = line.trim_start_matches([' ', '\t']);
    let blank = line.get(..line.len() - rest.len()).unwrap_or_default();
    let columns = blank.chars().fold(0, |column, c| {
        if c == '\t' {
            (column / TAB + 1) * TAB
        } else {
            column + 1
        }
    });
    (columns, rest.trim_end())
}

/// The line less at most `columns` columns of blanks.
fn outdent(line: &str, columns: usize) -> String {
    let (indent, rest) = indentation(line);
    if rest.is_empty() {
        String::new()
    } else {
        format!("{}{rest}", " ".repeat(indent.saturating_sub(columns)))
    }
}

/// The width of a list marker with its blank, and what follows (CommonMark 0.31 §5.2).
fn item_marker(line: &str) -> Option<(usize, &str)> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let marker = match (digits, line.as_bytes().get(digits)) {
        (0, Some(b'-' | b'*' | b'+')) => 1,
        (1..=9, Some(b'.' | b')')) => digits + 1,
        _ => return None,
    };
    let rest = line.get(marker..)?;
    let content = rest.trim_start_matches([' ', '\t']);
    // Without a blank it is no item; without a text it is nothing to do.
    if content.len() == rest.len() || content.is_empty() || is_rule(line) {
        return None;
    }
    Some((marker + 1, content))
}

/// `* * *` and the like (CommonMark 0.31 §4.1).
fn is_rule(line: &str) -> bool {
    let marks: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    marks.len() >= 3
        && ['-', '*', '_']
            .iter()
            .any(|&mark| marks.chars().all(|c| c == mark))
}

fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    (1..=6).contains(&level) && (rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// The names in a line `after: a, b`.
fn after_note(line: &str) -> Option<Vec<String>> {
    let (word, names) = line.split_once(':')?;
    if !word.trim().eq_ignore_ascii_case("after") {
        return None;
    }
    Some(
        names
            .split(',')
            .map(|name| plain(name.trim()))
            .filter(|name| !name.is_empty())
            .collect(),
    )
}

/// A title that ends with `(after: a, b)`.
fn trailing_after(text: &str) -> Option<(&str, Vec<String>)> {
    let (head, note) = text.strip_suffix(')')?.rsplit_once('(')?;
    Some((head.trim_end(), after_note(note)?))
}

/// A title that begins with `[id]`, where that is not the text of a link.
fn leading_id(text: &str) -> Option<(&str, &str)> {
    let (id, rest) = text.strip_prefix('[')?.split_once(']')?;
    (is_id(id) && !rest.starts_with(['(', '[', ':'])).then_some((id, rest.trim_start()))
}

/// A title that ends with `[id]`.
fn trailing_id(text: &str) -> Option<(&str, &str)> {
    let (head, id) = text.strip_suffix(']')?.rsplit_once('[')?;
    (is_id(id) && head.ends_with([' ', '\t'])).then_some((head.trim_end(), id))
}

fn is_id(text: &str) -> bool {
    captain_core::SubtaskId::parse(text).is_ok()
}

/// A text without Markdown's emphasis and code marks.
fn plain(text: &str) -> String {
    text.replace(['*', '`'], "").trim().to_owned()
}

fn first_line(text: &str) -> Option<String> {
    text.lines()
        .map(|line| plain(line.trim_start_matches(['#', '>', ' '])))
        .find(|line| !line.is_empty())
}

fn shorten(title: &str) -> String {
    match title.char_indices().nth(MAX_TITLE) {
        Some(_) => title.chars().take(MAX_TITLE - 1).chain(['…']).collect(),
        None => title.to_owned(),
    }
}

/// An id from a title; none if there is no letter or digit of ASCII in it.
fn slug(title: &str) -> Option<String> {
    let mut slug = String::new();
    for word in title
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let room = MAX_SLUG.saturating_sub(slug.len() + 1);
        if slug.is_empty() {
            slug.extend(word.chars().take(MAX_SLUG));
        } else if word.len() <= room {
            slug.push('-');
            slug.push_str(word);
        } else {
            break;
        }
    }
    slug.make_ascii_lowercase();
    (!slug.is_empty()).then_some(slug)
}

/// An id for every item: the author's, else from the title, made unique by a number.
fn name(items: &[Item]) -> Vec<String> {
    let mut taken: BTreeSet<String> = items.iter().filter_map(|item| item.id.clone()).collect();
    items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            if let Some(id) = &item.id {
                return id.clone();
            }
            let stem = slug(&item.title).unwrap_or_else(|| format!("step-{}", i + 1));
            let mut id = stem.clone();
            let mut number = 2;
            while !taken.insert(id.clone()) {
                id = format!("{stem}-{number}");
                number += 1;
            }
            debug_assert!(id.len() <= MAX_SUBTASK_ID);
            id
        })
        .collect()
}

/// The item that an `after:` note means: by id, by the id of its title, by the beginning of exactly one. An unknown name
/// stays as it is, so that the plan's check names it and offers the nearest.
fn find(name: &str, ids: &[String], items: &[Item]) -> String {
    if ids.iter().any(|id| id == name) {
        return name.to_owned();
    }
    let Some(wanted) = slug(name) else {
        return name.to_owned();
    };
    let titles = || {
        items
            .iter()
            .map(|item| slug(&item.title).unwrap_or_default())
    };
    let exact = titles().position(|title| title == wanted);
    let found = exact
        .or_else(|| ids.iter().position(|id| *id == wanted))
        .and_then(|i| ids.get(i))
        .cloned();
    found.unwrap_or(wanted)
}
