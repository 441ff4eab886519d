//! Whether two profiles can be of the same rows.

use crate::profile::{Bounded, ColumnProfile, Counted, NumberProfile, TableProfile};

impl TableProfile {
    /// What shows that two profiles are not of the same rows: exact counters that differ, bounds that do not meet. Empty
    /// where the same table was profiled in other parts.
    pub fn disagreements(&self, other: &Self) -> Vec<String> {
        let mut found = Found(Vec::new());
        found.equal("rows", &self.rows, &other.rows);
        found.equal("digest", &self.digest, &other.digest);
        let names = |profile: &Self| -> Vec<String> {
            profile.columns.iter().map(|column| column.name.clone()).collect()
        };
        found.equal("columns", &names(self), &names(other));
        for (here, there) in self.columns.iter().zip(&other.columns) {
            found.column(here, there);
        }
        found.0
    }
}

struct Found(Vec<String>);

impl Found {
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, here: &T, there: &T) {
        if here != there {
            self.0.push(format!("{what}: {here:?} and {there:?}"));
        }
    }

    fn meet(&mut self, what: &str, here: Option<Bounded>, there: Option<Bounded>) {
        let met = match (here, there) {
            (Some(here), Some(there)) => here.lower <= there.upper && there.lower <= here.upper,
            (None, None) => true,
            _ => false,
        };
        if !met {
            self.0.push(format!("{what}: {here:?} and {there:?}"));
        }
    }

    fn column(&mut self, here: &ColumnProfile, there: &ColumnProfile) {
        let of = |what: &str| format!("{what} of {:?}", here.name);
        self.equal(&of("kind"), &here.kind, &there.kind);
        self.equal(&of("missing"), &here.missing, &there.missing);
        self.equal(&of("min"), &here.min, &there.min);
        self.equal(&of("max"), &here.max, &there.max);
        // Registers take the larger of two: no order and no grouping changes them.
        self.equal(&of("distinct"), &here.distinct, &there.distinct);
        self.frequent(&of("frequent"), &here.top, &there.top);
        match (&here.numbers, &there.numbers) {
            (Some(here), Some(there)) => self.numbers(&of("numbers"), here, there),
            (None, None) => {}
            _ => self.0.push(of("numbers of one only")),
        }
    }

    fn frequent(&mut self, what: &str, here: &[Counted], there: &[Counted]) {
        let exact = |counted: &[Counted]| counted.iter().all(|one| one.at_least == one.at_most);
        if exact(here) && exact(there) {
            self.equal(what, &here, &there);
        }
        for one in here {
            let apart = |other: &Counted| one.at_most < other.at_least || other.at_most < one.at_least;
            // Long values are shown cut off, so one text may stand for several.
            let mut same = there.iter().filter(|other| other.value == one.value).peekable();
            if same.peek().is_some() && same.all(apart) {
                self.0.push(format!("{what}: {one:?} is counted otherwise"));
            }
        }
    }

    fn numbers(&mut self, what: &str, here: &NumberProfile, there: &NumberProfile) {
        self.equal(&format!("{what}: not finite"), &here.not_finite, &there.not_finite);
        self.meet(&format!("{what}: mean"), here.mean, there.mean);
        self.meet(&format!("{what}: variance"), here.variance, there.variance);
        self.equal(&format!("{what}: quantiles"), &here.quantiles.len(), &there.quantiles.len());
        for (here, there) in here.quantiles.iter().zip(&there.quantiles) {
            self.meet(&format!("{what}: quantile {}", here.at), Some(here.value), Some(there.value));
        }
    }
}
