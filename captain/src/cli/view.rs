//! The ways to show a job that runs: a live tree on a terminal, plain lines elsewhere, JSON for programs, or nothing.

use console::Term;
use daemon::cli::Failure;
use jiff::Timestamp;

use super::board::Board;
use super::board::draw::{Look, tree};
use super::client::Told;
use super::lines::Lines;
use super::output;

/// One way to show a job.
#[derive(Debug)]
pub(crate) enum View {
    /// A tree that is drawn again and again in the same place.
    Tree(Live),
    /// A line for each thing worth telling.
    Lines(Lines),
    /// Each event as it came.
    Json,
    /// Nothing.
    Quiet,
}

impl View {
    /// What fits standard output.
    pub(crate) fn choose(json: bool, quiet: bool) -> Self {
        let term = Term::buffered_stdout();
        if json {
            Self::Json
        } else if quiet {
            Self::Quiet
        } else if term.features().is_attended() && !console::is_dumb() {
            Self::Tree(Live {
                term,
                drawn: 0,
                frame: 0,
            })
        } else {
            Self::Lines(Lines::default())
        }
    }

    /// Shows one event, if that is shown on its own.
    pub(crate) fn event(&mut self, told: &Told) -> Result<(), Failure> {
        match self {
            Self::Tree(_) | Self::Quiet => Ok(()),
            Self::Lines(lines) => {
                let told = told
                    .envelope
                    .as_ref()
                    .map(|envelope| lines.tell(envelope))
                    .unwrap_or_default();
                told.iter().try_for_each(|line| output::line(line))
            }
            Self::Json => {
                output::bytes(&told.json)?;
                output::bytes(b"\n")
            }
        }
    }

    /// Whether it moves by itself and wants to be drawn regularly.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::Tree(_))
    }

    /// Draws the board, if it is drawn.
    pub(crate) fn draw(&mut self, board: &Board, now: Timestamp) -> Result<(), Failure> {
        match self {
            Self::Tree(live) => live
                .draw(board, now)
                .map_err(|error| output::failed("the terminal", &error)),
            Self::Lines(_) | Self::Json | Self::Quiet => Ok(()),
        }
    }

    /// Tells something for people after or beside the events.
    pub(crate) fn note(&mut self, text: &str) {
        if let Self::Tree(live) = self {
            // The next picture goes below the note.
            live.drawn = 0;
        }
        if !matches!(self, Self::Quiet) {
            output::note(text);
        }
    }
}

/// A picture that is replaced by the next one.
#[derive(Debug)]
pub(crate) struct Live {
    term: Term,
    /// Lines of the last picture.
    drawn: usize,
    frame: usize,
}

impl Live {
    fn draw(&mut self, board: &Board, now: Timestamp) -> std::io::Result<()> {
        let (height, width) = self.term.size();
        // The last column is left free: some terminals wrap when it is written.
        let width = usize::from(width).saturating_sub(1);
        let look = Look {
            width,
            height: usize::from(height),
            colors: console::colors_enabled(),
            frame: self.frame,
        };
        let lines = tree(board, now, look);
        self.term.clear_last_lines(self.drawn)?;
        for line in &lines {
            self.term.write_line(line)?;
        }
        self.term.flush()?;
        self.drawn = lines.len();
        self.frame = self.frame.wrapping_add(1);
        Ok(())
    }
}
