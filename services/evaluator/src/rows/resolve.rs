//! Which columns go into which input tensor: as the interface says, otherwise worked out from the signature.

use super::Layout;
use crate::{Error, plan::Plan, table::Table};
use engine::{DataType, ModelSignature, TensorSpec};

/// Maps a table's columns to a model's inputs. What the interface leaves open is worked out: one input per column where
/// the names agree, otherwise one tensor of all feature columns in the dataset's order.
///
/// # Errors
/// [`Error::DoesNotFit`] that names the input and the columns.
pub fn resolve(signature: &ModelSignature, plan: &Plan, table: &Table) -> Result<Layout, Error> {
    let mut layout = Layout::default();
    for (spec, columns) in assign(signature, plan, table)? {
        for column in &columns {
            table.required(column, &format!("feature column of input {}", spec.name))?;
            if *column == plan.label_column {
                return Err(Error::unfit(
                    format!("input {}", spec.name),
                    "the label column would be a feature",
                ));
            }
        }
        layout.add(spec, columns)?;
    }
    Ok(layout)
}

type Assigned<'a> = Vec<(&'a TensorSpec, Vec<String>)>;

fn assign<'a>(signature: &'a ModelSignature, plan: &Plan, table: &Table) -> Result<Assigned<'a>, Error> {
    let inputs = &signature.inputs;
    if inputs.is_empty() {
        return Err(Error::unfit(
            "model",
            "it has no inputs: nothing that is in a row can change its answer",
        ));
    }
    let features = &plan.features;
    if !plan.input_tensor.is_empty() {
        return around(signature, plan, table);
    }
    let named = |spec: &TensorSpec| {
        let known = table.column(&spec.name).is_some() && spec.name != plan.label_column;
        known && (features.is_empty() || features.contains(&spec.name))
    };
    if inputs.iter().all(named) {
        return Ok(inputs.iter().map(|spec| (spec, vec![spec.name.clone()])).collect());
    }
    match (&inputs[..], features.is_empty()) {
        ([only], true) => Ok(vec![(only, fitting(only, plan, table)?)]),
        ([only], false) => Ok(vec![(only, features.clone())]),
        (several, false) if several.len() == features.len() => {
            Ok(several.iter().zip(features).map(|(spec, column)| (spec, vec![column.clone()])).collect())
        }
        (several, _) => {
            let missing: Vec<String> =
                several.iter().filter(|spec| !named(spec)).map(ToString::to_string).collect();
            let known: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
            let why = format!("no feature column has this name; the split has {}", known.join(", "));
            Err(Error::unfit(format!("inputs {}", missing.join(", ")), why))
        }
    }
}

/// The named tensor takes the features that no other input is called after.
fn around<'a>(signature: &'a ModelSignature, plan: &Plan, table: &Table) -> Result<Assigned<'a>, Error> {
    let main = signature.inputs.iter().find(|spec| spec.name == plan.input_tensor).ok_or_else(|| {
        let known: Vec<&str> = signature.inputs.iter().map(|spec| spec.name.as_str()).collect();
        Error::unfit(
            format!("input tensor {:?}", plan.input_tensor),
            format!("the model takes {}", known.join(", ")),
        )
    })?;
    let others = signature.inputs.iter().filter(|spec| spec.name != main.name);
    let mut assigned = Vec::new();
    for spec in others {
        table.required(&spec.name, "column of an input")?;
        assigned.push((spec, vec![spec.name.clone()]));
    }
    let columns = if plan.features.is_empty() {
        fitting(main, plan, table)?
    } else {
        let taken = |name: &String| assigned.iter().any(|(_, columns)| columns.contains(name));
        plan.features.iter().filter(|name| !taken(name)).cloned().collect()
    };
    assigned.push((main, columns));
    Ok(assigned)
}

/// The columns that a lone tensor can take: all that are no label and no group column; of its kind if that fits better.
fn fitting(spec: &TensorSpec, plan: &Plan, table: &Table) -> Result<Vec<String>, Error> {
    let candidates = || table.columns().iter().filter(|column| !plan.not_features.contains(&column.name));
    let all: Vec<String> = candidates().map(|column| column.name.clone()).collect();
    let numeric = spec.datatype != DataType::Bytes;
    let of_kind: Vec<String> = candidates()
        .filter(|column| column.cells.is_numeric() == numeric)
        .map(|column| column.name.clone())
        .collect();
    let row: Vec<i64> = spec.shape().into_iter().skip(1).collect();
    let open = spec.dims.is_none() || row.iter().any(|size| *size < 0);
    let width = if open { None } else { Some(row.iter().product::<i64>()) };
    let holds = |columns: &Vec<String>| width.is_none_or(|width| width == columns.len() as i64);
    for choice in [of_kind.clone(), all] {
        if !choice.is_empty() && holds(&choice) {
            return Ok(choice);
        }
    }
    let wanted = width.map_or("any number of".to_owned(), |width| width.to_string());
    let why = format!(
        "it takes {wanted} columns of {}, the split has {} that are neither label nor group: {}; name feature_columns in the model's interface",
        if numeric { "numbers" } else { "text" },
        of_kind.len(),
        of_kind.iter().take(40).cloned().collect::<Vec<_>>().join(", ")
    );
    Err(Error::unfit(format!("input {spec}"), why))
}
