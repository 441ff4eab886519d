//! A version that is served with a preprocessing is evaluated with it: the kernels of the gateway make the model's columns of
//! raw rows, and the same rule says which of them fill which input.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use contracts::common::v1::ColumnProfile;
use engine::{DataType, ModelSignature, TensorSpec};
use features::preprocessing::{Input, Need, assign};
use features::schema::UTC;
use features::transform::read_time;
use features::{Kind, Preprocessing, Values};

use crate::Error;
use crate::plan::Plan;
use crate::table::{Cells, Column, Table};

/// Doubles up to here are whole numbers one by one.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The rows of an evaluation.
#[derive(Debug)]
pub struct Rows {
    /// The split that is measured.
    pub table: Table,
    /// The training split, where it can be read.
    pub train: Option<Table>,
    /// Profiles of its columns.
    pub profiles: Vec<ColumnProfile>,
}

/// What stands before a model.
#[derive(Debug)]
pub struct Before {
    artifact: Preprocessing,
    columns: Vec<String>,
}

impl Before {
    /// An artifact; all its columns are taken until [`Before::name_features`].
    pub fn new(artifact: Preprocessing) -> Self {
        let columns = artifact.outputs.iter().map(|output| output.name.clone()).collect();
        Self { artifact, columns }
    }

    /// Takes the columns that fill the model's inputs, and puts them into the plan, in the inputs' order, as the gateway fills
    /// them.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`].
    pub fn name_features(&mut self, model: &ModelSignature, plan: &mut Plan) -> Result<(), Error> {
        let need = |spec: &TensorSpec| {
            let shape = spec.dims.is_some().then(|| spec.shape());
            Need::of(&spec.name, spec.datatype == DataType::Bytes, shape.as_deref())
        };
        let needs: Vec<Need> = model.inputs.iter().map(need).collect();
        let (outputs, layout) = (&self.artifact.outputs, &self.artifact.layout);
        let assigned = assign(outputs, layout, &plan.features, &plan.input_tensor, &needs)
            .map_err(|why| Error::unfit("preprocessing", why))?;
        plan.features = assigned.into_iter().flat_map(|given| given.columns).collect();
        self.columns = plan.features.clone();
        self.columns.sort_unstable();
        self.columns.dedup();
        for output in outputs.iter().filter(|output| !output.missing_text.is_empty()) {
            plan.missing_texts.insert(output.name.clone(), output.missing_text.clone());
        }
        Ok(())
    }

    /// The model's columns of raw rows, beside all others: label, groups, keys. `own` is what the rows' dataset
    /// version did to its columns.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] with every column that is missing, or that is not raw any more.
    pub fn apply(&self, rows: Rows, own: &Self) -> Result<Rows, Error> {
        let replay = self.artifact.replay(&self.columns);
        let replay = replay.map_err(|error| Error::unfit("preprocessing", error.to_string()))?;
        let changed = own.artifact.changes();
        let listed = |names: Vec<&str>| names.join(", ");
        let not_raw: Vec<&str> = replay
            .inputs
            .iter()
            .map(|input| input.name.as_str())
            .filter(|name| changed.contains(name))
            .collect();
        if !not_raw.is_empty() {
            let why = format!(
                "the dataset version transformed {} itself: required raw columns, or rows that the preprocessing made",
                listed(not_raw)
            );
            return Err(Error::unfit("rows", why));
        }
        let there = |input: &&Input| rows.table.column(&input.name).is_none();
        let missing: Vec<&str> =
            replay.inputs.iter().filter(there).map(|input| input.name.as_str()).collect();
        if !missing.is_empty() {
            return Err(Error::unfit("rows", format!("raw columns are missing: {}", listed(missing))));
        }
        let made: BTreeSet<&str> = self.columns.iter().map(String::as_str).collect();
        let run = |table: &Table| -> Result<Table, Error> {
            let mut columns = Vec::with_capacity(replay.inputs.len());
            for input in &replay.inputs {
                let cells = &table.required(&input.name, "raw column")?.cells;
                columns.push((input.name.as_str(), raw(input, cells, table.rows())?, true));
            }
            let raw = RecordBatch::try_from_iter_with_nullable(columns);
            let raw = raw.map_err(|error| Error::Damaged(error.to_string()))?;
            let applied = replay.apply(&raw);
            let applied = applied.map_err(|error| Error::unfit("preprocessing", error.to_string()))?;
            let mut columns = Vec::new();
            for name in &self.columns {
                let values = Values::in_batch(&applied, name);
                let values = values.map_err(|error| Error::unfit("preprocessing", error.to_string()))?;
                columns.push(Column { name: name.clone(), cells: cells(values) });
            }
            let kept = table.columns().iter().filter(|column| !made.contains(column.name.as_str()));
            columns.extend(kept.cloned());
            Table::new(columns)
        };
        let (table, train) = (run(&rows.table)?, rows.train.as_ref().map(run).transpose()?);
        // A profile of a raw column says nothing of what was made of it.
        let profiles = rows.profiles.into_iter().filter(|profile| !made.contains(profile.column.as_str()));
        Ok(Rows { table, train, profiles: profiles.collect() })
    }
}

/// The cells of a raw column as the type that the preprocessing was fitted on.
fn raw(input: &Input, cells: &Cells, rows: usize) -> Result<ArrayRef, Error> {
    let refuse = |row: usize| {
        let found = cells.text(row).unwrap_or_default();
        let shown: String = found.chars().take(40).collect();
        let why = format!("{shown:?} in row {row}, required {}", input.kind.as_str());
        Error::unfit(format!("raw column {:?}", input.name), why)
    };
    Ok(match (input.kind, cells) {
        (Kind::Float64, Cells::Floats(cells)) => Arc::new(Float64Array::from(cells.clone())),
        (Kind::Float64, Cells::Integers(cells)) => {
            Arc::new(cells.iter().map(|cell| cell.map(|it| it as f64)).collect::<Float64Array>())
        }
        (Kind::Int64, Cells::Integers(cells)) => Arc::new(Int64Array::from(cells.clone())),
        (Kind::Int64, Cells::Floats(cells)) => {
            let fits = |cell: &Option<f64>| {
                cell.is_none_or(|it| it.is_nan() || (it.fract() == 0.0 && it.abs() <= EXACT))
            };
            if let Some(row) = cells.iter().position(|cell| !fits(cell)) {
                return Err(refuse(row));
            }
            let whole = |cell: &Option<f64>| cell.filter(|it| !it.is_nan()).map(|it| it as i64);
            Arc::new(cells.iter().map(whole).collect::<Int64Array>())
        }
        (Kind::Bool, Cells::Bools(cells)) => Arc::new(BooleanArray::from(cells.clone())),
        (Kind::Utf8, cells) => Arc::new((0..rows).map(|row| cells.text(row)).collect::<StringArray>()),
        (Kind::Timestamp, Cells::Texts(cells)) => {
            let mut times = Vec::with_capacity(cells.len());
            for (row, cell) in cells.iter().enumerate() {
                let time = cell.as_deref().map(|text| read_time(text).ok_or_else(|| refuse(row)));
                times.push(time.transpose()?);
            }
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone(UTC))
        }
        _ => return Err(refuse(0)),
    })
}

/// Values as cells, bit for bit.
fn cells(values: Values<'_>) -> Cells {
    match values {
        Values::Float64(array) => Cells::Floats(array.iter().collect()),
        Values::Int64(array) => Cells::Integers(array.iter().collect()),
        Values::Bool(array) => Cells::Bools(array.iter().collect()),
        Values::Utf8(array) => Cells::Texts(array.iter().map(|text| text.map(str::to_owned)).collect()),
        Values::Timestamp(_) => {
            let text = |row| values.text(row).map(std::borrow::Cow::into_owned);
            Cells::Texts((0..values.len()).map(text).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use engine::Dim;
    use features::preprocessing::Raw;
    use features::{Fitted, Operation};

    fn training() -> RecordBatch {
        let columns: [(&str, ArrayRef); 3] = [
            ("age", Arc::new(Float64Array::from(vec![Some(20.0), None, Some(50.0)]))),
            ("n", Arc::new(Int64Array::from(vec![1, 2, 4]))),
            ("job", Arc::new(StringArray::from(vec!["a", "b", "a"]))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
    }

    fn before(operations: &[Operation]) -> Before {
        let fitted = Fitted::fit(operations, &training()).unwrap();
        let raw = Raw::of(&training()).unwrap();
        Before::new(Preprocessing::new(raw, &fitted.steps, &BTreeSet::new(), |_| true).unwrap())
    }

    fn operations() -> Vec<Operation> {
        vec![
            Operation::FillMean("age".into()),
            Operation::Standardise("age".into()),
            Operation::OneHot("job".into()),
        ]
    }

    fn rows() -> Rows {
        let column = |name: &str, cells| Column { name: name.into(), cells };
        let table = Table::new(vec![
            column("age", Cells::Floats(vec![Some(35.0), None, Some(-0.0)])),
            column("n", Cells::Floats(vec![Some(3.0), None, Some(9.0)])),
            column("job", Cells::Texts(vec![Some("b".into()), Some("never".into()), None])),
            column("y", Cells::Integers(vec![Some(1), Some(0), Some(1)])),
        ]);
        let profile = |column: &str| ColumnProfile { column: column.into(), ..ColumnProfile::default() };
        Rows { table: table.unwrap(), train: None, profiles: vec![profile("age"), profile("y")] }
    }

    #[test]
    fn raw_rows_become_the_bits_that_a_request_becomes() {
        let before = before(&operations());
        let made = before.apply(rows(), &self::before(&[])).unwrap();
        let names: Vec<&str> = made.table.columns().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["age", "n", "job=a", "job=b", "job", "y"], "a raw column may name groups");
        let raw: [(&str, ArrayRef); 3] = [
            ("age", Arc::new(Float64Array::from(vec![Some(35.0), None, Some(-0.0)]))),
            ("n", Arc::new(Int64Array::from(vec![Some(3), None, Some(9)]))),
            ("job", Arc::new(StringArray::from(vec![Some("b"), Some("never"), None]))),
        ];
        let raw =
            RecordBatch::try_from_iter_with_nullable(raw.map(|(name, array)| (name, array, true))).unwrap();
        let applied = before.artifact.apply(&raw).unwrap();
        for name in ["age", "n", "job=a", "job=b"] {
            let (cells, values) =
                (&made.table.column(name).unwrap().cells, Values::in_batch(&applied, name).unwrap());
            for row in 0..3 {
                let bits = |it: Option<f64>| it.map(f64::to_bits);
                assert_eq!(bits(cells.number(row).unwrap()), bits(values.number(row)), "{name} of row {row}");
            }
        }
        let profiled: Vec<&str> = made.profiles.iter().map(|profile| profile.column.as_str()).collect();
        assert_eq!(profiled, ["y"], "the range of an age is none of a standardised one");
    }

    #[test]
    fn rows_that_are_not_raw_or_lack_columns_are_refused() {
        let before = before(&operations());
        let own = self::before(&[Operation::Robust("age".into())]);
        let refused = before.apply(rows(), &own).unwrap_err().to_string();
        assert!(refused.contains("transformed age itself"), "{refused}");
        let few = Rows { table: Table::new(rows().table.columns()[2..].to_vec()).unwrap(), ..rows() };
        let refused = before.apply(few, &self::before(&[])).unwrap_err().to_string();
        assert!(refused.contains("missing: age, n"), "{refused}");
        let mut odd = rows().table.columns().to_vec();
        odd[1].cells = Cells::Floats(vec![Some(1.0), Some(0.5), None]);
        let odd = Rows { table: Table::new(odd).unwrap(), ..rows() };
        let refused = before.apply(odd, &self::before(&[])).unwrap_err().to_string();
        assert!(refused.contains("\"n\"") && refused.contains("row 1"), "{refused}");
    }

    #[test]
    fn the_plan_names_the_columns_that_the_gateway_fills() {
        let dims = Some(vec![Dim::Any(()), Dim::Fixed(4)]);
        let inputs = vec![TensorSpec { name: "x".into(), datatype: DataType::Fp32, dims }];
        let model = ModelSignature { inputs, ..ModelSignature::default() };
        let mut plan = crate::plan::tests::plan();
        let mut before = before(&operations());
        before.name_features(&model, &mut plan).unwrap();
        assert_eq!(plan.features, ["age", "n", "job=a", "job=b"]);
    }
}
