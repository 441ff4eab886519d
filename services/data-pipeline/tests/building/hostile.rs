//! Bad files and bad plans: an error that says what and where, and the service goes on.

use super::{Bench, csv, plan};
use contracts::pipeline::v1::*;

#[tokio::test]
async fn hostile_files_are_refused_with_what_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let small = |config: &mut data_pipeline::Config| {
        config.limits.columns = 100;
        config.limits.cell_bytes = 1000;
        config.limits.rows = 1000;
    };
    let bench = Bench::over(folder.path(), "sqlite::memory:", super::Told::default(), small).await;
    let wide: String = (0..2_000).map(|at| format!("c{at},")).collect();
    let long = format!("a,b\n1,{}\n", "x".repeat(5000));
    let deep = format!("{{\"a\":{}1{}}}\n", "[".repeat(5_000), "]".repeat(5_000));
    let parquet = [b"PAR1".as_slice(), &[0xFF; 64], b"PAR1"].concat();
    let rows = csv(2000);
    let files: [(&[u8], DataFormat, &str); 12] = [
        (b"a,b\n1,2,3\n", DataFormat::Csv, "row 1 (line 2): another number of cells than columns"),
        (b"\n\n", DataFormat::Csv, "nothing but white space"),
        (b"a,b\n", DataFormat::Csv, "have no rows"),
        (b"__split\nx\n", DataFormat::Csv, "column \"__split\": the name is reserved"),
        (wide.as_bytes(), DataFormat::Csv, "2001 columns, at most 100 are taken"),
        (long.as_bytes(), DataFormat::Csv, "row 1 (line 2), column \"b\": a cell is too long"),
        (rows.as_bytes(), DataFormat::Csv, "row 1001 (line 1002): has more than 1000 rows"),
        (b"{\"a\":}\n", DataFormat::Jsonl, "no row of it can be read"),
        (deep.as_bytes(), DataFormat::Jsonl, "no row of it can be read"),
        (&parquet, DataFormat::Parquet, "cannot be read"),
        (&parquet, DataFormat::Unspecified, "cannot be read"),
        (b"a,b\n1,2\n", DataFormat::Parquet, "is CSV, and the request says Parquet"),
    ];
    for (at, (bytes, format, what)) in files.into_iter().enumerate() {
        let ended = bench.build(&format!("1.0.{at}"), bytes, format, BuildPlan::default()).await;
        let refused = ended.expect_err(what);
        assert_eq!(refused.code, tonic::Code::InvalidArgument as i32, "{refused:?}");
        assert!(refused.message.contains(what), "required {what:?}, observed {:?}", refused.message);
    }
    let bom = [b"\xEF\xBB\xBFa,b\r\n".as_slice(), b"1,\"x \"\"y\"\",\r\nz\"\r\n2,\r\n"].concat();
    let taken = bench.build("2.0.0", &bom, DataFormat::Csv, BuildPlan::default()).await.unwrap();
    assert_eq!(
        (taken.columns[0].name.as_str(), taken.rows),
        ("a", 2),
        "a byte order mark is no part of a name"
    );
}

#[tokio::test]
async fn every_bad_field_of_a_plan_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let bad = BuildPlan {
        columns: vec![ColumnRule { name: "x".into(), r#type: "decimal".into(), ..Default::default() }],
        splits: Some(Splits { train: 0.5, validation: f64::NAN, test: 0.9, ..Default::default() }),
        transforms: vec![TransformRule { column: "cohort".into(), kind: 99, ..Default::default() }],
        group_columns: vec!["cohort".into()],
        ..Default::default()
    };
    let refused = bench.ask("1.0.0", csv(10).as_bytes(), DataFormat::Csv, bad).await.unwrap_err();
    let named: Vec<_> =
        runtime::status::field_violations(&refused).into_iter().map(|bad| bad.field).collect();
    let fields = [
        "plan.columns[0].type",
        "plan.transforms[0].kind",
        "plan.transforms[0].column",
        "plan.splits.validation",
        "plan.splits",
    ];
    assert_eq!(named, fields);

    let mut unknown = plan();
    unknown.label_column = "z".into();
    unknown.key_columns = vec!["k".into()];
    unknown.group_columns.push("g".into());
    let ended = bench.build("1.0.0", csv(10).as_bytes(), DataFormat::Csv, unknown).await.unwrap_err();
    assert_eq!(ended.code, tonic::Code::InvalidArgument as i32);
    let told = super::told(&ended);
    let named: Vec<_> = runtime::status::field_violations(&told).into_iter().map(|bad| bad.field).collect();
    let every = ["plan.key_columns[0]", "plan.group_columns[1]", "plan.label_column"];
    assert!(
        every.iter().all(|field| named.iter().any(|one| one == field)),
        "a program reads them: {named:?}"
    );
    for name in ["plan.label_column: \"z\"", "plan.key_columns[0]: \"k\"", "plan.group_columns[1]: \"g\""] {
        assert!(ended.message.contains(name), "{name}: {}", ended.message);
    }
}

#[tokio::test]
async fn a_source_that_is_not_approved_is_refused_with_its_clause() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let digest = bench.upload(csv(10).as_bytes()).await;
    let input = DataInput {
        data_source: "dataSources/proposed".into(),
        digest,
        format: DataFormat::Csv.into(),
        ..Default::default()
    };
    let operation = bench.ask_for("1.0.0", vec![input], plan()).await.unwrap();
    let ended = bench.end::<contracts::registry::v1::DatasetVersion>(&operation.name).await.unwrap_err();
    assert_eq!(ended.code, tonic::Code::FailedPrecondition as i32);
    assert_eq!(runtime::status::reason(&super::told(&ended)).as_deref(), Some("SOURCE_NOT_USABLE"));
    let clause = runtime::status::precondition_violations(&super::told(&ended));
    assert_eq!((clause[0].r#type.as_str(), clause[0].subject.as_str()), ("§5.1", "dataSources/proposed"));
    assert_eq!(ended.message, "§5.1 dataSources/proposed: required an approved source, observed proposed");
}
