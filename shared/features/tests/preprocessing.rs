//! No skew: whatever the rows are and however they come, the artifact gives the same bits.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use features::preprocessing::{Asked, Given, Raw, Replay, bits};
use features::transform::{DatePart, Derivation, Derived, Form};
use features::{Error, Fitted, Operation, Preprocessing, Values};
use statistics::random::SplitMix64;

const ROWS: usize = 1_000_000;

/// Rows of every type, with what programs treat differently among them.
fn rows(dice: &mut SplitMix64, count: usize) -> RecordBatch {
    let floats = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, 5e-324, 1e300, -1e300, -f64::NAN];
    let texts = [
        "",
        "new level",
        "\u{c9}",
        "E\u{301}",
        "\u{fb01}",
        "\u{130}I\u{131}i",
        "\u{df}\u{1e9e}",
        "\u{200b}",
        "a b  a",
        "\u{1f468}\u{200d}\u{1f4bb}",
        "\u{ff12}",
        "\u{0}",
        "na\u{ef}ve, no!",
        "\u{3a3}\u{3c3}\u{3c2}",
    ];
    let mut some = |trap: usize| dice.below(trap) == 0;
    let nulls: Vec<bool> = (0..count * 6).map(|_| some(12)).collect();
    let there = |column: usize, row: usize| !nulls[column * count + row];
    let mut number = |_| {
        if dice.below(6) == 0 { floats[dice.below(floats.len())] } else { dice.next_f64() * 200.0 - 50.0 }
    };
    let x: Vec<f64> = (0..count).map(&mut number).collect();
    let y: Vec<f64> = (0..count).map(&mut number).collect();
    let n: Vec<i64> = (0..count)
        .map(|_| match dice.below(20) {
            0 => i64::MAX,
            1 => i64::MIN,
            _ => dice.below(12) as i64 - 3,
        })
        .collect();
    let words = ["a", "bb", "Ccc", "d\u{e9}j\u{e0}", "unaffable", "ok!"];
    let t: Vec<String> = (0..count)
        .map(|_| match dice.below(3) {
            0 => texts[dice.below(texts.len())].to_owned(),
            1 => words[dice.below(words.len())].to_owned(),
            _ => format!("{} {}", words[dice.below(words.len())], words[dice.below(words.len())]),
        })
        .collect();
    let when: Vec<i64> = (0..count).map(|_| (dice.next_u64() >> 12) as i64 - (1 << 51)).collect();
    let flag: Vec<bool> = (0..count).map(|_| dice.below(2) == 0).collect();
    let float = |column: usize, values: &[f64]| -> ArrayRef {
        Arc::new(
            values
                .iter()
                .enumerate()
                .map(|(row, it)| there(column, row).then_some(*it))
                .collect::<Float64Array>(),
        )
    };
    let columns: [(&str, ArrayRef); 6] = [
        ("x", float(0, &x)),
        ("y", float(1, &y)),
        (
            "n",
            Arc::new(
                n.iter().enumerate().map(|(row, it)| there(2, row).then_some(*it)).collect::<Int64Array>(),
            ),
        ),
        (
            "t",
            Arc::new(
                t.iter()
                    .enumerate()
                    .map(|(row, it)| there(3, row).then_some(it.as_str()))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "when",
            Arc::new(
                when.iter()
                    .enumerate()
                    .map(|(row, it)| there(4, row).then_some(*it))
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone(features::schema::UTC),
            ),
        ),
        (
            "flag",
            Arc::new(
                flag.iter()
                    .enumerate()
                    .map(|(row, it)| there(5, row).then_some(*it))
                    .collect::<BooleanArray>(),
            ),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn derived(name: &str, from: &[&str], how: Derivation) -> Operation {
    let from = from.iter().map(ToString::to_string).collect();
    Operation::Derive(Derived { name: name.into(), from, how })
}

/// Every operation that there is.
fn plan() -> Vec<Operation> {
    let copy = |name: &str, from: &str| derived(name, &[from], Derivation::Sum);
    let band = Derivation::Band {
        thresholds: vec![0.0, 6.0],
        labels: vec!["low".into(), "mid".into(), "high".into()],
    };
    vec![
        copy("x1", "x"),
        copy("x2", "x"),
        copy("x3", "x"),
        copy("x4", "x"),
        copy("n1", "n"),
        derived("both", &["x", "y"], Derivation::Mean),
        derived("band", &["n"], band),
        derived("length", &["t"], Derivation::Length),
        Operation::FillMean("x1".into()),
        Operation::FillMedian("x2".into()),
        Operation::FillMode("n".into()),
        Operation::FillConstant("flag".into(), "true".into()),
        Operation::FillConstant("when".into(), "2020-02-29T12:00:00Z".into()),
        Operation::Clip("x1".into(), 0.05),
        Operation::ClipTo("x2".into(), 0.0, 10.0),
        Operation::Standardise("x1".into()),
        Operation::MinMax("x2".into()),
        Operation::Robust("x3".into()),
        Operation::Log1p("x4".into()),
        Operation::Bucketise("both".into(), 8),
        Operation::Hash("n1".into(), 16),
        Operation::OneHot("band".into()),
        Operation::Unicode("t".into(), Form::Nfkc),
        Operation::Lowercase("t".into()),
    ]
}

/// The ends of a text column, one of them at a time.
fn ends() -> Vec<Operation> {
    let vocabulary = ["[PAD]", "[UNK]", "un", "##aff", "##able", "a", "bb", "##b", "b", "ok", "!", ","];
    vec![
        Operation::Ordinal("t".into()),
        Operation::Frequency("t".into()),
        Operation::OneHot("t".into()),
        Operation::Hash("t".into(), 64),
        Operation::Tokenise("t".into(), 8),
        Operation::TokenisePattern("t".into(), r"\w+|[^\w\s]".into(), 8),
        Operation::WordPiece("t".into(), vocabulary.map(str::to_owned).to_vec(), 6),
    ]
}

fn made(operations: &[Operation], training: &RecordBatch) -> Preprocessing {
    let fitted = Fitted::fit(operations, training).unwrap();
    Preprocessing::new(Raw::of(training).unwrap(), &fitted.steps, &BTreeSet::new(), |_| true).unwrap()
}

fn artifacts() -> Vec<Preprocessing> {
    let training = rows(&mut SplitMix64::new(1), 3000);
    let with = |end: Operation| {
        let mut operations = plan();
        if end != Operation::Ordinal("t".into()) {
            operations.push(Operation::DateParts(
                "when".into(),
                vec![
                    DatePart::Year,
                    DatePart::Month,
                    DatePart::Day,
                    DatePart::Weekday,
                    DatePart::Hour,
                    DatePart::Minute,
                ],
            ));
        }
        operations.push(end);
        let artifact = made(&operations, &training);
        Preprocessing::read(artifact.json().as_bytes()).unwrap()
    };
    ends().into_iter().map(with).collect()
}

/// A million rows, in batches of every size and one by one: the same bits.
#[test]
fn batches_and_single_rows_give_the_same_bits() {
    std::thread::scope(|scope| {
        for seed in [7, 8] {
            scope.spawn(move || same_bits(seed, ROWS / 2));
        }
    });
}

fn same_bits(seed: u64, rows_in_all: usize) {
    let (mut dice, mut done, mut turn) = (SplitMix64::new(seed), 0, 0);
    let replays: Vec<Replay> = artifacts().iter().map(all).collect();
    while done < rows_in_all {
        let count = (1 + dice.below(12_000)).min(rows_in_all - done);
        let batch = rows(&mut dice, count);
        let replay = &replays[turn % replays.len()];
        let whole = replay.apply(&batch).unwrap();
        let singles: Vec<RecordBatch> =
            (0..count).map(|row| replay.apply(&batch.slice(row, 1)).unwrap()).collect();
        let joined = concat_batches(&whole.schema(), &singles).unwrap();
        assert_eq!(bits(&whole).unwrap(), bits(&joined).unwrap(), "rows {done} to {}", done + count);
        (done, turn) = (done + count, turn + 1);
    }
}

fn all(artifact: &Preprocessing) -> Replay {
    let names: Vec<String> = artifact.outputs.iter().map(|output| output.name.clone()).collect();
    artifact.replay(&names).unwrap()
}

/// Values as a request carries them are the values of the data.
#[test]
fn requests_bring_what_the_data_held() {
    let training = rows(&mut SplitMix64::new(1), 500);
    let artifact = made(&[Operation::Standardise("y".into())], &training);
    for input in &artifact.inputs {
        let values = Values::in_batch(&training, &input.name).unwrap();
        // What no request may carry is skipped here and refused there.
        let held = |row: &usize| match values.number(*row) {
            Some(number) => number.is_finite() && number.abs() < 9e15,
            None => true,
        };
        let kept: Vec<usize> = (0..training.num_rows()).filter(held).collect();
        let texts: Vec<Option<String>> = kept.iter().map(|row| values.text(*row).map(Into::into)).collect();
        let given = match input.asked() {
            Asked::Fp64 => {
                Given::Floats(kept.iter().map(|row| values.number(*row).unwrap_or(f64::NAN)).collect())
            }
            Asked::Bytes => {
                Given::Texts(texts.iter().map(|text| text.as_deref().unwrap_or("").as_bytes()).collect())
            }
            Asked::Int64 | Asked::Bool => panic!("nothing is missing in {}", input.name),
        };
        let read = input.array(given).unwrap();
        let read = Values::of(&input.name, &read).unwrap();
        for (at, row) in kept.into_iter().enumerate() {
            let empty = values.text(row).is_some_and(|text| text.trim().is_empty());
            let (ours, theirs) = (read.text(at), values.text(row));
            assert!(
                ours == theirs || (empty && ours.is_none()),
                "{} row {row}: {ours:?} {theirs:?}",
                input.name
            );
        }
    }
}

#[test]
fn the_artifact_reads_back_and_a_change_of_any_part_is_seen() {
    for artifact in artifacts() {
        let json = artifact.json();
        assert_eq!(Preprocessing::read(json.as_bytes()).unwrap().json(), json);
    }
    let artifact = &artifacts()[0];
    let (json, tampered) =
        (artifact.json(), artifact.json().replace("\"op\":\"log1p\"", "\"op\":\"hash\",\"buckets\":3"));
    assert_ne!(json, tampered);
    assert!(matches!(Preprocessing::read(tampered.as_bytes()), Err(Error::Golden { .. })));
    let mut other = artifact.clone();
    let mean = other.steps.iter_mut().find_map(|step| match step {
        features::transform::Step::Scale { shift, .. } => Some(shift),
        _ => None,
    });
    let shift = mean.unwrap();
    *shift = f64::from_bits(shift.to_bits() + 1);
    assert_ne!(other.digest(), artifact.digest());
    assert!(
        matches!(Preprocessing::read(other.json().as_bytes()), Err(Error::Golden { .. })),
        "one bit is seen"
    );
    for bad in ["", "{}", "[]", "{\"format\":\"wlp-preprocessing/2\"}", &json[..json.len() - 1]] {
        assert!(matches!(Preprocessing::read(bad.as_bytes()), Err(Error::Preprocessing(_))), "{bad:.40}");
    }
}

/// What serving needs of the inputs follows from the columns that the model takes.
#[test]
fn only_what_the_model_takes_is_asked_of_requests() {
    let training = rows(&mut SplitMix64::new(3), 400);
    let operations = [
        derived("both", &["x", "y"], Derivation::Sum),
        derived("cut", &["n"], Derivation::Sum),
        Operation::Standardise("both".into()),
        Operation::OneHot("flag".into()),
        Operation::Bucketise("cut".into(), 4),
    ];
    let fitted = Fitted::fit(&operations, &training).unwrap();
    let never = BTreeSet::from(["n".to_owned()]);
    let artifact = Preprocessing::new(Raw::of(&training).unwrap(), &fitted.steps, &never, |_| true).unwrap();
    let names: Vec<&str> = artifact.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(
        names,
        ["x", "y", "t", "when", "flag=false", "flag=true", "both"],
        "nothing is made of the label"
    );
    let replay = artifact.replay(&["both".to_owned(), "flag=true".to_owned()]).unwrap();
    let asked: Vec<&str> = replay.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(asked, ["x", "y", "flag"]);
    let part = replay.apply(&training).unwrap();
    let whole = artifact.apply(&training).unwrap();
    assert_eq!(part.column(0), whole.column_by_name("both").unwrap());
    assert_eq!(part.column(1), whole.column_by_name("flag=true").unwrap());
    assert_eq!(artifact.replay(&["cut".to_owned()]).unwrap_err(), Error::Missing("cut".into()));
    let narrow = training.project(&[0]).unwrap();
    assert_eq!(replay.apply(&narrow).unwrap_err(), Error::Missing("y".into()));
}

/// The choices that other programs make otherwise, by hand.
#[test]
fn rules_of_fitting_are_those_that_are_stated() {
    let x: ArrayRef =
        Arc::new(Float64Array::from(vec![Some(4.0), None, Some(1.0), Some(f64::NAN), Some(2.0), Some(3.0)]));
    let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(2), Some(1), Some(4)]));
    let t: ArrayRef =
        Arc::new(StringArray::from(vec![Some("b"), Some("a"), Some("b"), None, Some("b"), Some("a")]));
    let batch =
        RecordBatch::try_from_iter_with_nullable([("x", x, true), ("n", n, true), ("t", t, true)]).unwrap();
    let after = |operation: Operation, column: &str| -> Vec<Option<f64>> {
        let made = Fitted::fit(&[operation], &batch).unwrap().apply(&batch).unwrap();
        let values = Values::in_batch(&made, column).unwrap();
        (0..values.len()).map(|row| values.number(row)).collect()
    };
    assert_eq!(after(Operation::FillMean("x".into()), "x")[1], Some(2.5));
    assert_eq!(after(Operation::FillMean("n".into()), "n")[2], Some(2.0), "10/5");
    assert_eq!(after(Operation::FillMedian("x".into()), "x")[3], Some(2.0), "the lower median");
    assert_eq!(after(Operation::Standardise("x".into()), "x")[0], Some(1.5 / 1.25_f64.sqrt()), "ddof 0");
    assert_eq!(
        after(Operation::Robust("x".into()), "x")[0],
        Some((4.0 - 2.0) / (3.0 - 1.0)),
        "no interpolation"
    );
    assert_eq!(
        after(Operation::Bucketise("x".into(), 2), "x"),
        [Some(1.0), None, Some(0.0), None, Some(1.0), Some(1.0)]
    );
    assert_eq!(after(Operation::Frequency("t".into()), "t")[..2], [Some(0.6), Some(0.4)]);
    assert_eq!(after(Operation::Log1p("x".into()), "x")[2], Some(libm_log1p(1.0)));
    for bad in [
        Operation::Bucketise("x".into(), 1),
        Operation::ClipTo("x".into(), 2.0, 1.0),
        Operation::Hash("t".into(), 0),
        Operation::TokenisePattern("t".into(), "(".into(), 3),
        Operation::WordPiece("t".into(), vec!["a".into()], 3),
        Operation::DateParts("x".into(), Vec::new()),
    ] {
        assert!(matches!(Fitted::fit(&[bad], &batch), Err(Error::Parameter { .. })));
    }
}

/// `ln 2`, to the last bit.
fn libm_log1p(_one: f64) -> f64 {
    std::f64::consts::LN_2
}

/// -0 and 0 are one level and NaN is none; two spellings of a letter are two levels until a form joins them.
#[test]
fn categories_by_their_text() {
    let x: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, 0.0, f64::NAN, 1.5]));
    let t: ArrayRef = Arc::new(StringArray::from(vec!["\u{e9}", "e\u{301}", "\u{e9}", "z"]));
    let batch = RecordBatch::try_from_iter_with_nullable([("x", x, true), ("t", t, true)]).unwrap();
    let names = |operations: &[Operation]| -> Vec<String> {
        let made = Fitted::fit(operations, &batch).unwrap().apply(&batch).unwrap();
        made.schema_ref().fields().iter().map(|field| field.name().clone()).collect()
    };
    assert_eq!(names(&[Operation::OneHot("x".into())]), ["x=0", "x=1.5", "t"]);
    assert_eq!(names(&[Operation::OneHot("t".into())]).len(), 4, "two spellings");
    let joined = [Operation::Unicode("t".into(), Form::Nfc), Operation::OneHot("t".into())];
    assert_eq!(names(&joined), ["x", "t=z", "t=\u{e9}"]);
}

/// The golden rows are nobody's row, and the same training rows give the same artifact whatever else there is.
#[test]
fn an_artifact_is_a_function_of_the_training_rows() {
    let training = rows(&mut SplitMix64::new(5), 300);
    let operations = [Operation::FillMedian("x".into()), Operation::Standardise("y".into())];
    assert_eq!(made(&operations, &training).json(), made(&operations, &training.slice(0, 300)).json());
    let fewer = made(&operations, &training.slice(0, 299));
    assert_ne!(made(&operations, &training).digest(), fewer.digest());
}
