//! What models and data are made of in tests: tables by seed, ONNX files for the fake engine, reports of test tools.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use engine::fake::{Behaviour, Outputs};
use engine::{DataType, Dim, EngineError, ModelSignature, Tensor, TensorSpec};
use sha2::{Digest, Sha256};

/// `sha256:<hex>` of bytes.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// `sha256:<hex>` of a text that stands for a document.
pub fn digest_of(text: &str) -> String {
    digest(text.as_bytes())
}

/// A generator of pseudo-random numbers (SplitMix64): the same seed, the same numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next share, 0..1.
    pub fn share(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next index below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.draw() % end.max(1) as u64) as usize
    }
}

/// Number of numeric columns of a made table.
pub const FEATURES: usize = 4;

/// One row of a made table: four numbers in -1..1, a group, and the label that follows from the numbers alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// `x0` to `x3`.
    pub numbers: [f32; FEATURES],
    /// `north` or `south`, independent of the label.
    pub group: &'static str,
    /// 1 if the numbers add up to more than nothing.
    pub label: i64,
}

/// The label that a row's numbers ask for; the numbers keep away from the border, so that small attacks fail.
pub fn label_of(numbers: &[f32]) -> i64 {
    i64::from(numbers.iter().sum::<f32>() > 0.0)
}

/// Rows by a seed; labels and groups are drawn by lot, so that every n-th row is like all rows.
pub fn rows(seed: u64, count: usize) -> Vec<Row> {
    let mut random = Random::new(seed);
    let mut row = |_: usize| {
        let positive = random.share() < 0.5;
        let mut numbers = [0.0_f32; FEATURES];
        for number in &mut numbers {
            let size = 0.3 + 0.7 * random.share() as f32;
            *number = if positive { size } else { -size };
        }
        Row { numbers, group: ["north", "south"][random.below(2)], label: label_of(&numbers) }
    };
    (0..count).map(&mut row).collect()
}

/// The rows as CSV with a header: `x0,x1,x2,x3,region,label`.
pub fn csv(rows: &[Row]) -> String {
    let mut text = String::from("x0,x1,x2,x3,region,label\n");
    for Row { numbers: [a, b, c, d], group, label } in rows {
        let _ = writeln!(text, "{a},{b},{c},{d},{group},{label}");
    }
    text
}

/// The rows as CSV with every tenth cell missing, every twentieth row out of range and every twelfth row twice.
pub fn dirty_csv(rows: &[Row]) -> String {
    let mut text = String::from("x0,x1,x2,x3,region,label\n");
    for (at, Row { numbers, group, label }) in rows.iter().enumerate() {
        let cell = |column: usize| match (at + column) % 10 {
            0 => "?".to_owned(),
            _ if at % 20 == 7 && column == 1 => "99".to_owned(),
            _ => numbers[column].to_string(),
        };
        let line = format!("{},{},{},{},{group},{label}\n", cell(0), cell(1), cell(2), cell(3));
        text.push_str(&line);
        if at % 12 == 0 {
            text.push_str(&line);
        }
    }
    text
}

/// `x` FP32 [rows, 4] in; `label` INT64 [rows] and `scores` FP32 [rows, 2] out.
pub fn signature() -> ModelSignature {
    let rows = || Dim::Symbol("rows".into());
    let spec = |name: &str, datatype, dims| TensorSpec { name: name.into(), datatype, dims: Some(dims) };
    ModelSignature {
        inputs: vec![spec("x", DataType::Fp32, vec![rows(), Dim::Fixed(FEATURES as i64)])],
        outputs: vec![
            spec("label", DataType::Int64, vec![rows()]),
            spec("scores", DataType::Fp32, vec![rows(), Dim::Fixed(2)]),
        ],
        ..ModelSignature::default()
    }
}

/// The bytes of a model of [`signature`]; another seed is another training.
pub fn model(seed: i64) -> Bytes {
    engine::fake::model(&signature(), seed)
}

/// A fake model that answers as [`label_of`] does, but wrongly for `wrong` of all rows, 0..=1, spread by the row's own
/// numbers.
pub fn classifier(wrong: f64) -> Behaviour {
    let outputs: Outputs = Arc::new(move |_, inputs| {
        let bad = |error: engine::TensorError| EngineError::ModelFault(error.to_string());
        let input = inputs.first().ok_or_else(|| EngineError::ModelFault("no input".into()))?;
        let values = input.to_f64().map_err(bad)?;
        let mut labels = Vec::new();
        let mut scores = Vec::new();
        for row in values.chunks(FEATURES) {
            let sum: f64 = row.iter().sum();
            let coarse: Vec<i64> = row.iter().map(|value| (value * 8.0).round() as i64).collect();
            let seed =
                coarse.iter().fold(7_u64, |seed, part| seed.wrapping_mul(31).wrapping_add(*part as u64));
            let flip = Random::new(seed).share() < wrong;
            let positive = (sum > 0.0) != flip;
            labels.push(i64::from(positive));
            scores.extend(if positive { [0.05_f32, 0.95] } else { [0.95, 0.05] });
        }
        let rows = labels.len() as i64;
        Ok(vec![
            Tensor::of("label", vec![rows], &labels).map_err(bad)?,
            Tensor::of("scores", vec![rows, 2], &scores).map_err(bad)?,
        ])
    });
    Behaviour { outputs: Some(outputs), ..Behaviour::default() }
}

/// A JUnit report as pytest writes it.
pub fn junit(passed: usize, failed: usize) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><testsuites><testsuite name=\"pytest\" errors=\"0\" \
         failures=\"{failed}\" skipped=\"0\" tests=\"{}\" time=\"1.0\">",
        passed + failed
    );
    for at in 0..passed {
        let _ = write!(text, "<testcase classname=\"model\" name=\"test_{at}\" time=\"0.01\" />");
    }
    for at in 0..failed {
        let _ = write!(
            text,
            "<testcase classname=\"model\" name=\"test_bad_{at}\" time=\"0.01\"><failure message=\"assert 1 == 2\">no</failure></testcase>"
        );
    }
    text + "</testsuite></testsuites>"
}
