#![allow(clippy::unwrap_used)]

use super::*;
use crate::table::{Cells, Column};
use engine::Dim;

fn table(columns: &[(&str, bool)]) -> Table {
    let column = |(name, text): &(&str, bool)| Column {
        name: (*name).to_owned(),
        cells: if *text { Cells::Texts(vec![None]) } else { Cells::Floats(vec![None]) },
    };
    Table::new(columns.iter().map(column).collect()).unwrap()
}

fn signature(inputs: &[(&str, DataType, i64)]) -> ModelSignature {
    let spec = |(name, datatype, width): &(&str, DataType, i64)| TensorSpec {
        name: (*name).to_owned(),
        datatype: *datatype,
        dims: Some(vec![Dim::Any(()), if *width < 0 { Dim::Any(()) } else { Dim::Fixed(*width) }]),
    };
    ModelSignature { inputs: inputs.iter().map(spec).collect(), ..ModelSignature::default() }
}

fn plan(features: &[&str]) -> Plan {
    Plan {
        features: features.iter().map(|name| (*name).to_owned()).collect(),
        label_column: "y".into(),
        not_features: vec!["y".into()],
        ..crate::plan::tests::plan()
    }
}

fn columns(signature: &ModelSignature, plan: &Plan, table: &Table) -> Result<Vec<Vec<String>>, Error> {
    Ok(resolve(signature, plan, table)?.slots.into_iter().map(|slot| slot.columns).collect())
}

#[test]
fn two_wide_tensors_share_by_width_or_by_kind() {
    let mixed = table(&[("a", false), ("b", true), ("c", false), ("d", true), ("y", false)]);
    let two = signature(&[("num", DataType::Fp32, 2), ("cat", DataType::Bytes, 2)]);
    let wanted = vec![vec!["a".to_owned(), "c".into()], vec!["b".into(), "d".into()]];
    assert_eq!(columns(&two, &plan(&[]), &mixed).unwrap(), wanted);
    assert_eq!(columns(&two, &plan(&["a", "c", "b", "d"]), &mixed).unwrap(), wanted);
    assert_eq!(columns(&two, &plan(&["a", "b", "c", "d"]), &mixed).unwrap(), wanted, "by kind");

    let numbers = table(&[("a", false), ("b", false), ("c", false), ("y", false)]);
    let alike = signature(&[("INPUT0", DataType::Int32, 1), ("INPUT1", DataType::Int32, 2)]);
    let wanted = vec![vec!["c".to_owned()], vec!["a".into(), "b".into()]];
    assert_eq!(columns(&alike, &plan(&["c", "a", "b"]), &numbers).unwrap(), wanted);
    assert!(columns(&alike, &plan(&[]), &numbers).is_err(), "nobody knows which is which");
    assert!(resolve(&alike, &plan(&["a", "b", "c", "y"]), &numbers).is_err(), "one too many");
}

#[test]
fn a_lone_tensor_is_never_filled_with_columns_that_may_be_others() {
    let credit = table(&[("id", false), ("limit", false), ("sex", false), ("age", false), ("y", false)]);
    let three = signature(&[("x", DataType::Fp32, 3)]);
    let mut grouped = plan(&[]);
    grouped.not_features.push("sex".into());
    grouped.group_inputs.push("sex".into());
    let refused = columns(&three, &grouped, &credit).unwrap_err().to_string();
    assert!(refused.contains("sex") && refused.contains("feature_columns"), "{refused}");
    let mut keyed = plan(&[]);
    keyed.keys.push("id".into());
    assert!(columns(&three, &keyed, &credit).is_err(), "is the key a feature?");
    grouped.features = vec!["limit".into(), "sex".into(), "age".into()];
    assert_eq!(columns(&three, &grouped, &credit).unwrap(), [["limit", "sex", "age"]]);
}

#[test]
fn a_tensor_of_open_width_takes_all_columns_or_none() {
    let open = signature(&[("x", DataType::Fp32, -1)]);
    let plain = table(&[("a", false), ("b", false), ("y", false)]);
    assert_eq!(columns(&open, &plan(&[]), &plain).unwrap(), [["a", "b"]]);
    let mixed = table(&[("a", false), ("b", false), ("note", true), ("y", false)]);
    assert!(columns(&open, &plan(&[]), &mixed).is_err(), "a text column is left over");
}
