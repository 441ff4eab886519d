//! A file as a table: recognised, its types settled, its rows read in bounded memory.

use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use features::Kind;

use crate::block::{Block, Part, Plan, Possible, Rows};
use crate::columnar::{self, Arrow, Parquet};
use crate::csv::Csv;
use crate::declared::Declared;
use crate::dialect::{self, Dialect};
use crate::encoding::{Encoding, decoded};
use crate::error::{Cause, Error, Result};
use crate::format::{self, Format};
use crate::jsonl::{Jsonl, Lines};
use crate::limits::Limits;
use crate::source::Source;
use crate::typing::{self, ANY};

/// Bytes from which format, encoding and dialect are found.
const HEAD: usize = 1 << 18;

/// A file that was recognised.
#[derive(Debug)]
pub struct Table {
    /// Its bytes.
    pub source: Source,
    /// What it may cost.
    pub limits: Limits,
    /// Its format.
    pub format: Format,
    /// The encoding of a text.
    pub encoding: Option<Encoding>,
    /// The dialect of a delimited text.
    pub dialect: Option<Dialect>,
    /// The columns in order.
    pub columns: Vec<Column>,
    /// What was found and may surprise.
    pub notes: Vec<String>,
    /// Rows, where the file tells of them before it is read.
    pub rows: Option<u64>,
    parquet: Option<Parquet>,
    /// Nothing but ASCII was seen: the encoding may still turn out to be another.
    ascii: bool,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name and type.
    pub plan: Plan,
    /// The type as the file has it.
    pub stored: String,
    /// Whether its values are shown as text because they are nothing else that we know.
    pub other: bool,
}

impl Table {
    /// Recognises a file; the types of a text's columns are those of its first rows until [`Table::settle`].
    ///
    /// # Errors
    /// If it cannot be read, is nothing that is read, or meets a limit.
    pub fn open(path: &Path, limits: Limits, declared: Option<&Declared>) -> Result<Self> {
        let source = Source::open(path)?;
        let head = source.head(HEAD, &limits)?;
        let damaged = |what: String| Error::new(Cause::Damaged, path, what);
        let mut table = Self {
            source,
            limits,
            format: Format::Csv,
            encoding: None,
            dialect: None,
            columns: Vec::new(),
            notes: Vec::new(),
            rows: None,
            parquet: None,
            ascii: false,
        };
        match format::binary(&head).map_err(damaged)? {
            Some(found) => table.open_columnar(found, declared)?,
            None => table.open_text(&head, declared)?,
        }
        table.check_names()?;
        Ok(table)
    }

    fn open_columnar(&mut self, found: Format, declared: Option<&Declared>) -> Result<()> {
        self.format = found;
        let fields = if found == Format::Parquet {
            let parquet = Parquet::open(&self.source, &self.limits)?;
            self.rows = Some(parquet.rows);
            let fields = parquet.fields();
            self.parquet = Some(parquet);
            fields
        } else {
            Arrow::open(&self.source, found == Format::ArrowStream, &self.limits)?.fields()
        };
        for field in fields {
            let kind = columnar::kind(field.data_type());
            let other = kind.is_none();
            let plan = plan(field.name().clone(), kind.unwrap_or(Kind::Utf8), declared);
            let plan = Plan { kind: kind.unwrap_or(Kind::Utf8), ..plan };
            self.columns.push(Column { plan, stored: field.data_type().to_string(), other });
        }
        Ok(())
    }

    fn open_text(&mut self, head: &[u8], declared: Option<&Declared>) -> Result<()> {
        let path = self.source.path.clone();
        let whole = head.len() < HEAD;
        let encoding = Encoding::detect(head, whole);
        self.ascii = encoding == Encoding::Utf8 && head.is_ascii();
        self.encoding = Some(encoding);
        let text = beginning(head, encoding);
        self.format = format::text(&text, &path).map_err(|what| Error::new(Cause::Damaged, &path, what))?;
        if self.format == Format::Jsonl {
            return self.settle_from(declared, true);
        }
        let found = dialect::detect(text.as_bytes(), whole);
        self.format = if found.delimiter == '\t' { Format::Tsv } else { Format::Csv };
        self.dialect = Some(found);
        self.settle_from(declared, true)
    }

    /// Settles the types of a text's columns by all of its rows. Columnar files have theirs.
    ///
    /// # Errors
    /// If it cannot be read, or meets a limit.
    pub fn settle(&mut self, declared: Option<&Declared>) -> Result<()> {
        if self.encoding.is_none() {
            return Ok(());
        }
        self.settle_from(declared, false)?;
        self.check_names()
    }

    fn settle_from(&mut self, declared: Option<&Declared>, beginning: bool) -> Result<()> {
        let before: Vec<Column> = std::mem::take(&mut self.columns);
        let mut plans: Vec<Plan> = Vec::new();
        let mut possible: Possible = Vec::new();
        let mut renamed = Vec::new();
        let (mut input, names) = self.input()?;
        let add = |names: Vec<String>, plans: &mut Vec<Plan>, possible: &mut Possible| {
            plans.extend(names.into_iter().map(|name| plan(name, Kind::Utf8, declared)));
            possible.resize(plans.len(), (ANY, false));
        };
        if let Some(names) = names {
            add(dialect::names(&names, &mut renamed), &mut plans, &mut possible);
        }
        loop {
            let names: Vec<String> = plans.iter().map(|plan| plan.name.clone()).collect();
            let mut block = match &mut input {
                Input::Csv(csv) => match csv.next(plans.len())? {
                    Some(block) => block,
                    None => break,
                },
                Input::Jsonl(jsonl) => {
                    let Some(lines) = jsonl.lines()? else { break };
                    let (mut block, new) = lines.cut(&names, self.limits.cell_bytes);
                    if !new.is_empty() {
                        self.check_width(plans.len() + new.len())?;
                        add(new, &mut plans, &mut possible);
                        let names: Vec<String> = plans.iter().map(|plan| plan.name.clone()).collect();
                        block = lines.cut(&names, self.limits.cell_bytes).0;
                    }
                    block
                }
                _ => break,
            };
            let names: Vec<String> = plans.iter().map(|plan| plan.name.clone()).collect();
            if !block.check(&names, self.limits.cell_bytes) && self.ascii {
                self.encoding = Some(Encoding::Latin1);
                self.ascii = false;
                self.notes.push("is not UTF-8 everywhere: read as windows-1252 (Latin-1)".into());
                self.columns = before;
                return self.settle_from(declared, beginning);
            }
            block.narrow(&plans, &mut possible);
            if beginning {
                break;
            }
        }
        if plans.is_empty() {
            return Err(Error::new(Cause::Damaged, &self.source.path, "no row of it can be read"));
        }
        if before.is_empty() {
            self.notes.append(&mut renamed);
        }
        self.columns = plans
            .into_iter()
            .zip(possible)
            .map(|(plan, (mask, seen))| {
                // Without a value in the first rows any type is possible; the narrowest shows what comes later.
                let inferred = if seen || beginning { typing::narrowest(mask) } else { Kind::Utf8 };
                let kind = if plan.declared { plan.kind } else { inferred };
                Column { plan: Plan { kind, ..plan }, stored: "text".into(), other: false }
            })
            .collect();
        for (now, then) in self.columns.iter().zip(&before) {
            if now.plan.kind != then.plan.kind && !beginning {
                let (name, now, then) = (&now.plan.name, now.plan.kind.as_str(), then.plan.kind.as_str());
                self.notes.push(format!(
                    "column {name:?} is {now} and not {then}, as its first rows would have it"
                ));
            }
        }
        Ok(())
    }

    /// A reader at the beginning of the rows, and the cells of the first row or their number.
    fn input(&self) -> Result<(Input, Option<Vec<String>>)> {
        let path = self.source.path.clone();
        Ok(match self.format {
            Format::Csv | Format::Tsv => {
                let dialect =
                    self.dialect.unwrap_or(Dialect { delimiter: ',', quote: Some('"'), header: true });
                let open = || -> Result<Csv> {
                    let bytes =
                        decoded(self.source.bytes(&self.limits)?, self.encoding.unwrap_or(Encoding::Utf8));
                    Ok(Csv::new(path.clone(), bytes, dialect, self.limits))
                };
                let mut csv = open()?;
                let mut names = csv.first()?;
                if !dialect.header {
                    names = (1..=names.len()).map(|at| format!("column_{at}")).collect();
                    csv = open()?;
                }
                (Input::Csv(Box::new(csv)), Some(names))
            }
            Format::Jsonl => {
                let bytes =
                    decoded(self.source.bytes(&self.limits)?, self.encoding.unwrap_or(Encoding::Utf8));
                (Input::Jsonl(Box::new(Jsonl::new(path, bytes, self.limits))), None)
            }
            Format::Parquet => (Input::Groups, None),
            Format::ArrowFile | Format::ArrowStream => {
                let stream = self.format == Format::ArrowStream;
                (Input::Arrow(Box::new(Arrow::open(&self.source, stream, &self.limits)?)), None)
            }
        })
    }

    fn check_width(&self, count: usize) -> Result<()> {
        if self.limits.columns < count {
            let what = format!("has more than {} columns", self.limits.columns);
            return Err(Error::new(Cause::Limit, &self.source.path, what));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        let path = &self.source.path;
        self.check_width(self.columns.len())?;
        if self.columns.is_empty() {
            return Err(Error::new(Cause::Damaged, path, "has no columns"));
        }
        let mut seen = std::collections::HashSet::new();
        for column in &self.columns {
            let name = &column.plan.name;
            let bad = |cause, what: &str| Err(Error::new(cause, path, what).in_column(name));
            if self.limits.name_bytes < name.len() {
                return bad(Cause::Limit, "has a name that is too long");
            }
            if name.chars().any(char::is_control) {
                return bad(Cause::Damaged, "has a name with control characters");
            }
            if !seen.insert(name) {
                return bad(Cause::Damaged, "stands twice");
            }
        }
        Ok(())
    }

    /// Reads the rows from the beginning; several threads may share the reader.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn reader(&self) -> Result<Reader<'_>> {
        let (input, _) = self.input()?;
        self.source.read.store(0, Ordering::Relaxed);
        let place = Place { input, next: 0, row: 1 };
        let plans: Vec<Plan> = self.columns.iter().map(|column| column.plan.clone()).collect();
        let names = plans.iter().map(|plan| plan.name.clone()).collect();
        Ok(Reader { table: self, plans, names, place: Mutex::new(place), stale: AtomicBool::new(false) })
    }
}

fn plan(name: String, kind: Kind, declared: Option<&Declared>) -> Plan {
    let own = declared.and_then(|declared| declared.columns.get(&name)).and_then(|column| column.kind);
    let sentinels = declared.map(|declared| declared.sentinels(&name)).unwrap_or_default();
    Plan { name, kind: own.unwrap_or(kind), declared: own.is_some(), sentinels }
}

/// The beginning of a text, decoded; what is cut off at its end is left out.
fn beginning(head: &[u8], encoding: Encoding) -> String {
    let mut head = head;
    if matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be) {
        head = &head[..head.len() / 2 * 2];
        let upper = if encoding == Encoding::Utf16Le { 1 } else { 2 };
        if head.len() >= 2 && (0xD8..0xDC).contains(&head[head.len() - if upper == 1 { 1 } else { 2 }]) {
            head = &head[..head.len() - 2];
        }
    }
    let mut bytes = Vec::new();
    // An error further in is met again, and named, when the rows are read.
    let _ = decoded(Box::new(Cursor::new(head.to_vec())), encoding).read_to_end(&mut bytes);
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let end = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            if bytes.len() - end < 4 {
                bytes.truncate(end);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }
}

enum Input {
    Csv(Box<Csv>),
    Jsonl(Box<Jsonl>),
    Groups,
    Arrow(Box<Arrow>),
}

struct Place {
    input: Input,
    next: usize,
    row: u64,
}

/// A piece of the file that one thread decodes.
pub enum Job {
    /// Rows of a delimited text.
    Block(Box<Block>),
    /// Lines of JSON.
    Lines(Lines),
    /// Row groups of a Parquet file and their first row.
    Groups(Vec<usize>, u64),
    /// A batch and its first row.
    Batch(RecordBatch, u64),
}

/// Reads a table's rows. Jobs are the same however many threads take them.
pub struct Reader<'a> {
    table: &'a Table,
    plans: Vec<Plan>,
    names: Vec<String>,
    place: Mutex<Place>,
    stale: AtomicBool,
}

impl Reader<'_> {
    /// The next job and its number, or `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or meets a limit.
    pub fn next(&self) -> Result<Option<(usize, Job)>> {
        let mut place = self.place();
        let (at, row) = (place.next, place.row);
        let job = match &mut place.input {
            Input::Csv(csv) => csv.next(self.plans.len())?.map(|block| Job::Block(Box::new(block))),
            Input::Jsonl(jsonl) => jsonl.lines()?.map(Job::Lines),
            Input::Groups => self
                .table
                .parquet
                .as_ref()
                .and_then(|it| it.job(at))
                .map(|(groups, row)| Job::Groups(groups, row)),
            Input::Arrow(arrow) => arrow.next(&self.table.source, row)?.map(|batch| Job::Batch(batch, row)),
        };
        place.next += 1;
        if let Some(Job::Batch(batch, _)) = &job {
            place.row += batch.num_rows() as u64;
            let limits = &self.table.limits;
            if limits.rows < place.row || limits.cells < place.row.saturating_mul(self.plans.len() as u64) {
                let what = format!("has more than {} rows or {} cells", limits.rows, limits.cells);
                return Err(Error::new(Cause::Limit, &self.table.source.path, what).at_row(place.row));
            }
        }
        Ok(job.map(|job| (at, job)))
    }

    /// Decodes a job. `false` if a value does not fit the types of the first rows: then the table is to be settled and read
    /// again.
    ///
    /// # Errors
    /// If the bytes are damaged, or of `take`.
    pub fn decode(&self, job: Job, take: &mut dyn FnMut(Part) -> Result<()>) -> Result<bool> {
        if self.is_stale() {
            return Ok(false);
        }
        let part = |batch: RecordBatch, rows: Rows| {
            let markers = vec![Vec::new(); batch.num_columns()];
            Part { batch, rows, markers, rejects: Vec::new() }
        };
        match job {
            Job::Block(block) => return self.typed(*block, take),
            Job::Lines(lines) => {
                let (block, new) = lines.cut(&self.names, self.table.limits.cell_bytes);
                if !new.is_empty() {
                    return Ok(self.found_stale());
                }
                return self.typed(block, take);
            }
            Job::Groups(groups, first) => {
                let Some(parquet) = &self.table.parquet else { return Ok(true) };
                let mut each = |row, batch| take(part(batch, Rows::From(row)));
                parquet.decode(&self.table.source, groups, first, &mut each)?;
            }
            Job::Batch(batch, row) => take(part(batch, Rows::From(row)))?,
        }
        Ok(true)
    }

    fn typed(&self, mut block: Block, take: &mut dyn FnMut(Part) -> Result<()>) -> Result<bool> {
        if !block.check(&self.names, self.table.limits.cell_bytes) && self.table.ascii {
            return Ok(self.found_stale());
        }
        let (row, line) = block.places.last().copied().unwrap_or_default();
        let limits = &self.table.limits;
        if limits.cells < row.saturating_mul(self.plans.len() as u64) {
            let what = format!("has more than {} cells", limits.cells);
            return Err(Error::new(Cause::Limit, &self.table.source.path, what).at_row(row).at_line(line));
        }
        match block.typed(&self.plans) {
            Some(part) => take(part).map(|()| true),
            None => Ok(self.found_stale()),
        }
    }

    /// Whether a value was met that does not fit.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    fn found_stale(&self) -> bool {
        self.stale.store(true, Ordering::Relaxed);
        false
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
