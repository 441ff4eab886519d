//! Tells a story on a terminal: a line that moves while a step is under way, one line for each that came out, a table.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::story::{Outcome, Teller};

/// Width that a line of the table is wrapped at.
const WIDTH: usize = 118;

/// Shows progress on standard output; plain lines where that is no terminal.
pub struct Screen {
    bar: ProgressBar,
    title: Mutex<String>,
}

impl Screen {
    /// A screen of this process.
    pub fn new() -> Self {
        let bar =
            if std::io::stdout().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed_precise}] {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, title: Mutex::default() }
    }

    /// One line.
    pub fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            println!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    /// Nothing moves any more.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Teller for Screen {
    fn chapter(&self, title: &str) {
        self.line(&format!("\n== {title}"));
    }

    fn begin(&self, title: &str) {
        title.clone_into(&mut self.title.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.bar.set_message(title.to_owned());
    }

    fn progress(&self, what: &str) {
        let title = self.title.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.bar.set_message(format!("{title}: {what}"));
    }

    fn end(&self, outcome: &Outcome) {
        self.line(&line(outcome));
    }
}

fn line(outcome: &Outcome) -> String {
    let mark = if outcome.expected { "ok " } else { "BAD" };
    let Outcome { title, clause, said, took, .. } = outcome;
    format!("{mark} {:>6.1} s  {title} ({clause})\n               {}", took.as_secs_f64(), wrapped(said))
}

/// Long texts go on below, indented.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && WIDTH < lines[last].len() + word.len() {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines.join("\n               ")
}

/// What happened, one row for each step: mark, clause, seconds, title.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut rows = vec![format!("{:3} {:22} {:>8}  {}", "", "clause", "seconds", "what happened")];
    for outcome in outcomes {
        let mark = if outcome.expected { "ok" } else { "BAD" };
        let Outcome { title, clause, took, .. } = outcome;
        rows.push(format!("{mark:3} {clause:22} {:>8.1}  {title}", took.as_secs_f64()));
    }
    let bad = outcomes.iter().filter(|outcome| !outcome.expected).count();
    rows.push(format!("{} steps, {} as they must be, {bad} not", outcomes.len(), outcomes.len() - bad));
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_what_went_wrong() {
        let good = Outcome {
            title: "plan".into(),
            clause: "§4.1".into(),
            said: String::new(),
            expected: true,
            took: Duration::ZERO,
        };
        let bad = Outcome { expected: false, ..good.clone() };
        let table = table(&[good, bad]);
        assert!(table.contains("2 steps, 1 as they must be, 1 not"), "{table}");
    }
}
