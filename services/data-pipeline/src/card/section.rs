//! What a card consists of, before it is Markdown or HTML: sections of blocks, all plain data.

use features::leakage::Verdict;
use tabular::show::plot::Gauge;

/// A card.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// What people call the dataset.
    pub title: String,
    /// `ds-v2.1.0`
    pub tag: String,
    /// Resource name of the version.
    pub name: String,
    /// The most important figures, name and value.
    pub figures: Vec<(&'static str, String)>,
    /// The eight sections in the order of the procedure.
    pub sections: Vec<Section>,
}

/// A section; one without blocks lacks its facts.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// As the procedure's template names it: `bias-analysis`.
    pub part: &'static str,
    /// As people read it.
    pub heading: &'static str,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A heading within the section.
    Title(String),
    /// Facts by name.
    Facts(Vec<(&'static str, Cell)>),
    /// Rows and columns.
    Table(Table),
    /// A whole in its parts, drawn where pictures can be.
    Parts(Vec<(String, u64)>),
    /// Values with their shares, 0..=1, one bar each.
    Shares(Vec<(String, f64)>),
    /// Distributions, one box for each column.
    Columns(Vec<Column>),
    /// A text as it stands, folded away where that can be.
    Verbatim {
        /// What it is.
        title: String,
        /// The text.
        text: String,
    },
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its columns.
    pub head: Vec<Head>,
    /// Its rows, each as long as `head`.
    pub rows: Vec<Vec<Cell>>,
}

/// The head of a table's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Of texts.
    Text(&'static str),
    /// Of numbers.
    Number(&'static str),
    /// Of pictures, which a text does not have.
    Picture(&'static str),
}

impl Head {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Number(name) | Self::Picture(name) => name,
        }
    }
}

/// A cell of a table, or a fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Words or a number.
    Text(String),
    /// A name or digest of the system.
    Code(String),
    /// What a check says.
    Verdict(Verdict),
    /// A figure on its scale, and what it says in words.
    Gauge(Gauge, String),
}

impl Cell {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A name or digest; none if it is empty.
    pub fn code(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Empty } else { Self::Code(text) }
    }

    /// A count.
    pub fn count(count: u64) -> Self {
        Self::Text(tabular::show::grouped(count))
    }
}

/// A column's distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Figures by name.
    pub figures: Vec<(&'static str, String)>,
    /// How its values are spread.
    pub shape: Shape,
}

/// How values are spread.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Nothing is known.
    Unknown,
    /// Counts over the bins that `edges` cut.
    Numbers {
        /// Ascending.
        edges: Vec<f64>,
        /// One more than `edges`.
        counts: Vec<u64>,
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// Counts of values, the most frequent first.
    Values(Vec<(String, u64)>),
}

/// What a verdict is called.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
    }
}
