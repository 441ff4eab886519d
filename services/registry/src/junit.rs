//! JUnit XML as test tools write it, read as hostile input: no document types, no entities of its own, bounded depth and
//! counts. Only counts and names are taken from it; the bytes are named by their digest.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Bytes of a report at most.
pub const REPORT_BYTES: usize = 8 << 20;
/// Nested elements at most; JUnit needs five.
const DEPTH: usize = 32;
/// Names of failed tests that are kept.
const FAILURES: usize = 100;
/// Characters of a kept name.
const NAME_CHARS: usize = 200;

/// What a report says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed or ended in an error.
    pub failed: u32,
    /// Tests that did not run.
    pub skipped: u32,
    /// `class::name` of the first failed ones.
    pub failures: Vec<String>,
}

#[derive(Default)]
struct Case {
    name: String,
    failed: bool,
    skipped: bool,
}

/// Counts the test cases of a report.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read(content: &[u8]) -> Result<Counts, String> {
    if REPORT_BYTES < content.len() {
        return Err(format!("{} bytes, at most {REPORT_BYTES} are taken", content.len()));
    }
    let text = std::str::from_utf8(content).map_err(|_| "is not UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text);
    let mut counts = Counts::default();
    let mut open: Vec<String> = Vec::new();
    let mut case: Option<Case> = None;
    let mut rooted = false;
    loop {
        match reader.read_event().map_err(|error| format!("is not XML: {error}"))? {
            Event::Start(start) => {
                rooted = element(&start, &open, rooted, &mut case)?;
                open.push(name(&start));
                if DEPTH < open.len() {
                    return Err(format!("is nested deeper than {DEPTH} elements"));
                }
            }
            Event::Empty(start) => {
                rooted = element(&start, &open, rooted, &mut case)?;
                if name(&start) == "testcase" {
                    count(&mut counts, case.take())?;
                }
            }
            Event::End(_) => {
                if open.pop().is_some_and(|ended| ended == "testcase") {
                    count(&mut counts, case.take())?;
                }
            }
            Event::DocType(_) => return Err("has a document type: none is taken".into()),
            Event::GeneralRef(reference) => {
                let known = matches!(&*reference, "lt" | "gt" | "amp" | "apos" | "quot");
                if !known && !reference.is_char_ref() {
                    return Err("has an entity of its own: none is taken".into());
                }
            }
            Event::Eof if !open.is_empty() => return Err("ends before its elements do".into()),
            Event::Eof if !rooted => return Err("has no testsuites or testsuite".into()),
            Event::Eof => return Ok(counts),
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

/// Looks at one element; gives whether the document has its root.
fn element(
    start: &BytesStart<'_>,
    open: &[String],
    rooted: bool,
    case: &mut Option<Case>,
) -> Result<bool, String> {
    let name = name(start);
    if open.is_empty() {
        if rooted || !matches!(name.as_str(), "testsuites" | "testsuite") {
            return Err(format!("has the root element {name:?}, required one testsuites or testsuite"));
        }
        attributes(start)?;
        return Ok(true);
    }
    let named = attributes(start)?;
    match name.as_str() {
        "testcase" if case.is_some() => return Err("has a testcase inside a testcase".into()),
        "testcase" => *case = Some(Case { name: named, ..Case::default() }),
        // only direct children of a case are its outcome: the text of a failure may hold anything
        "failure" | "error" | "rerunFailure" | "rerunError"
            if open.last().is_some_and(|last| last == "testcase") =>
        {
            for case in case.iter_mut() {
                case.failed = true;
            }
        }
        // an error outside a case: a suite that could not be set up
        "error" | "failure" => return Err(format!("has a {name} outside a testcase")),
        "skipped" => case.iter_mut().for_each(|case| case.skipped = true),
        _ => {}
    }
    Ok(rooted)
}

/// Checks every attribute and gives `class::name`.
fn attributes(start: &BytesStart<'_>) -> Result<String, String> {
    let (mut class, mut own) = (String::new(), String::new());
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| format!("is not XML: {error}"))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| format!("has an attribute that cannot be read: {error}"))?;
        match attribute.key.local_name().as_ref() {
            "classname" => class = value.into_owned(),
            "name" => own = value.into_owned(),
            _ => {}
        }
    }
    let whole = if class.is_empty() { own } else { format!("{class}::{own}") };
    Ok(whole.chars().filter(|letter| !letter.is_control()).take(NAME_CHARS).collect())
}

fn name(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

fn count(counts: &mut Counts, case: Option<Case>) -> Result<(), String> {
    let Some(case) = case else { return Ok(()) };
    let counter = match (case.failed, case.skipped) {
        (true, _) => &mut counts.failed,
        (false, true) => &mut counts.skipped,
        (false, false) => &mut counts.passed,
    };
    *counter = counter.checked_add(1).ok_or("has too many tests")?;
    if case.failed && counts.failures.len() < FAILURES {
        counts.failures.push(case.name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_pytest_is_counted() {
        let report = r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest"
          errors="1" failures="1" skipped="1" tests="4"><testcase classname="test_model" name="test_shape[a&amp;b]" />
          <testcase classname="test_model" name="test_bad"><failure message="x &lt; y">assert &lt;</failure></testcase>
          <testcase classname="test_model" name="test_worse"><error message="m">E</error></testcase>
          <testcase classname="test_model" name="test_gpu"><skipped message="none" /></testcase>
          </testsuite></testsuites>"#;
        let counts = read(report.as_bytes()).expect("a report");
        assert_eq!((counts.passed, counts.failed, counts.skipped), (1, 2, 1));
        assert_eq!(counts.failures, ["test_model::test_bad", "test_model::test_worse"]);
    }

    #[test]
    fn hostile_reports_are_refused() {
        let deep = format!("<testsuites>{}", "<properties>".repeat(40));
        for (report, why) in [
            ("<!DOCTYPE x [<!ENTITY a \"b\">]><testsuites/>", "document type"),
            ("<testsuites>&lol;</testsuites>", "entity"),
            ("<testsuites><testcase name=\"&lol;\"/></testsuites>", "attribute"),
            ("<testsuites><testcase name='a'>", "ends before"),
            ("<testsuites></testsuite>", "not XML"),
            ("<html/>", "root element"),
            ("", "no testsuites"),
            ("<testsuite/><testsuite/>", "root element"),
            (deep.as_str(), "deeper"),
        ] {
            let refused = read(report.as_bytes()).expect_err(report);
            assert!(refused.contains(why), "{report}: {refused}");
        }
        assert!(read(b"<testsuite>\xff</testsuite>").is_err());
    }
}
