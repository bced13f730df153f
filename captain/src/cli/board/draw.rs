//! The board as a tree on a terminal. Pure: the same board, time and size always give the same lines, none wider or
//! more than the terminal.

use captain_core::SubtaskId;
use console::Style;
use jiff::Timestamp;

use super::{Board, Phase, Row, RowState};
use crate::cli::text::{clock, count, cut, pad};

/// The pictures of the turning mark.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Widest column of ids.
const MAX_ID_WIDTH: usize = 24;
/// Fewest lines that are drawn, however low the terminal is.
const MIN_LINES: usize = 3;

/// How it is to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// Lines of the terminal.
    pub(crate) height: usize,
    /// Whether colours are wanted.
    pub(crate) colors: bool,
    /// Which picture of the turning mark.
    pub(crate) frame: usize,
}

impl Look {
    fn paint(self, style: Style, text: &str) -> String {
        style.force_styling(self.colors).apply_to(text).to_string()
    }

    fn spinner(self) -> String {
        SPINNER
            .get(self.frame % SPINNER.len())
            .map(char::to_string)
            .unwrap_or_default()
    }
}

/// The lines of the whole tree.
pub(crate) fn tree(board: &Board, now: Timestamp, look: Look) -> Vec<String> {
    let mut lines = vec![head(board, now, look)];
    let room = look.height.saturating_sub(2).max(MIN_LINES) - 1;
    let shown = choose(board, room);
    let hidden = board.rows.len() - shown.len();
    let id_width = shown
        .iter()
        .map(|row| row.id.as_str().len())
        .max()
        .unwrap_or(0)
        .min(MAX_ID_WIDTH);
    for (i, row) in shown.iter().enumerate() {
        let branch = if i + 1 == shown.len() && hidden == 0 {
            "└─"
        } else {
            "├─"
        };
        lines.push(line(board, row, branch, id_width, now, look));
    }
    if hidden > 0 {
        lines.push(look.paint(Style::new().dim(), &format!("└─ … {hidden} more")));
    }
    if let Phase::Failed { message } = &board.phase
        && board.rows.is_empty()
    {
        lines.push(format!("└─ {}", cut(message, look.width.saturating_sub(3))));
    }
    lines
}

/// All rows if they fit; else those that say most: under way, failed, waiting, done, each in plan order.
fn choose(board: &Board, room: usize) -> Vec<&Row> {
    if board.rows.len() <= room {
        return board.rows.iter().collect();
    }
    let weight = |row: &Row| match row.state {
        RowState::Failed { .. } | RowState::Asking { .. } | RowState::Unreachable => 0,
        RowState::Preparing
        | RowState::Starting
        | RowState::Working
        | RowState::Merging
        | RowState::Retrying { .. } => 1,
        RowState::Waiting => 2,
        RowState::Done { .. } | RowState::Skipped { .. } | RowState::Cancelled => 3,
    };
    let mut places: Vec<usize> = (0..board.rows.len()).collect();
    places.sort_by_key(|&place| board.rows.get(place).map_or(4, weight));
    places.truncate(room.saturating_sub(1));
    places.sort_unstable();
    places
        .into_iter()
        .filter_map(|place| board.rows.get(place))
        .collect()
}

fn head(board: &Board, now: Timestamp, look: Look) -> String {
    let (mark, style) = match &board.phase {
        Phase::Planning | Phase::Running | Phase::Integrating | Phase::Stopping => {
            (look.spinner(), Style::new().cyan())
        }
        Phase::AwaitingApproval => ("?".to_owned(), Style::new().yellow()),
        Phase::Done { .. } => ("✔".to_owned(), Style::new().green()),
        Phase::Failed { .. } => ("✘".to_owned(), Style::new().red()),
        Phase::Cancelled => ("⊘".to_owned(), Style::new().yellow()),
    };
    let words = match &board.phase {
        Phase::Planning => "planning".to_owned(),
        Phase::AwaitingApproval => "waits for approval".to_owned(),
        Phase::Running => match &board.paused {
            Some(why) => format!("running, starts nothing: {why}"),
            None => "running".to_owned(),
        },
        Phase::Integrating => "putting the results together".to_owned(),
        Phase::Stopping => "stopping".to_owned(),
        Phase::Done { files } => format!("done, {}", count(*files, "file")),
        Phase::Failed { .. } => "failed".to_owned(),
        Phase::Cancelled => "cancelled".to_owned(),
    };
    let elapsed = board
        .submitted
        .map(|from| clock(seconds(from, board.ended.unwrap_or(now))))
        .unwrap_or_default();
    let tail = format!(" · {words} · {elapsed}");
    let room = look.width.saturating_sub(2 + tail.chars().count());
    format!(
        "{} {}{}",
        look.paint(style, &mark),
        look.paint(Style::new().bold(), &cut(&board.goal, room)),
        tail
    )
}

fn line(
    board: &Board,
    row: &Row,
    branch: &str,
    id_width: usize,
    now: Timestamp,
    look: Look,
) -> String {
    let (mark, style) = match &row.state {
        RowState::Waiting => ("○".to_owned(), Style::new().dim()),
        RowState::Preparing | RowState::Starting | RowState::Working | RowState::Merging => {
            (look.spinner(), Style::new().cyan())
        }
        RowState::Retrying { .. } => ("↻".to_owned(), Style::new().yellow()),
        RowState::Unreachable => ("!".to_owned(), Style::new().yellow()),
        RowState::Asking { .. } => ("?".to_owned(), Style::new().yellow()),
        RowState::Done { .. } => ("✔".to_owned(), Style::new().green()),
        RowState::Failed { .. } => ("✘".to_owned(), Style::new().red()),
        RowState::Skipped { .. } => ("–".to_owned(), Style::new().dim()),
        RowState::Cancelled => ("⊘".to_owned(), Style::new().yellow()),
    };
    let elapsed = row
        .began
        .map(|from| clock(seconds(from, row.ended.or(board.ended).unwrap_or(now))))
        .unwrap_or_default();
    let id = pad(&cut(row.id.as_str(), id_width), id_width);
    let used = 2 + 1 + 1 + 1 + id_width + 2 + 5 + 2;
    let text = cut(&words(board, row), look.width.saturating_sub(used));
    let text = match &row.state {
        RowState::Waiting | RowState::Skipped { .. } => look.paint(Style::new().dim(), &text),
        RowState::Failed { .. } => look.paint(Style::new().red(), &text),
        _ => text,
    };
    let branch = look.paint(Style::new().dim(), branch);
    format!(
        "{branch} {} {id}  {elapsed:>5}  {text}",
        look.paint(style, &mark)
    )
    .trim_end()
    .to_owned()
}

/// What a subtask is doing, in words.
pub(crate) fn words(board: &Board, row: &Row) -> String {
    let words = match &row.state {
        RowState::Waiting => match &board.waits_for(row)[..] {
            [] => "waits for a free place".to_owned(),
            ids => format!("waits for {}", join(ids)),
        },
        RowState::Preparing => "preparing the workspace".to_owned(),
        RowState::Starting => "starting a worker".to_owned(),
        RowState::Working => row.says.now().unwrap_or_else(|| "working".to_owned()),
        RowState::Unreachable => "the worker does not answer; trying again".to_owned(),
        RowState::Asking { question } => format!("asks: {question}"),
        RowState::Merging => "taking the result in".to_owned(),
        RowState::Retrying { why } | RowState::Failed { why } => why.clone(),
        RowState::Done { files: 0 } => "done, nothing changed".to_owned(),
        RowState::Done { files } => format!("done, {}", count(*files, "file")),
        RowState::Skipped { because } => format!("skipped, because {because} failed"),
        RowState::Cancelled => "cancelled".to_owned(),
    };
    let named = matches!(
        row.state,
        RowState::Waiting | RowState::Done { .. } | RowState::Skipped { .. }
    );
    let words = if named && !row.title.is_empty() {
        format!("{} · {words}", row.title)
    } else {
        words
    };
    if row.attempt > 1 {
        format!("{words} (attempt {})", row.attempt)
    } else {
        words
    }
}

fn join(ids: &[&SubtaskId]) -> String {
    ids.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second() - from.as_second()
}
