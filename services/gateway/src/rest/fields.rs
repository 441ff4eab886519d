//! Fields of a JSON request by their types, with everything that is wrong with them.

use std::collections::HashMap;
use std::str::FromStr;

use contracts::inference::InferParameter;
use contracts::inference::infer_parameter::ParameterChoice;
use engine::MAX_RANK;
use runtime::FieldViolation;
use tonic::{Code, Status};

use super::scan::{Kind, NotJson, Scanner};
use crate::wire::shown;

/// Wrong fields that are named; more are counted.
const NAMED: usize = 64;
/// Members of a body at most.
const MOST_MEMBERS: usize = 256;
/// Parameters of a request, an input or an output at most.
const MOST_PARAMETERS: usize = 256;

/// Parameters by name.
pub type Parameters = HashMap<String, InferParameter>;

/// What is wrong with a request, each thing by its field.
#[derive(Debug, Default)]
pub struct Faults {
    named: Vec<FieldViolation>,
    more: usize,
}

impl Faults {
    /// Notes one.
    pub fn add(&mut self, field: impl Into<String>, why: impl Into<String>) {
        if self.named.len() < NAMED {
            self.named.push(FieldViolation::new(field, why));
        } else {
            self.more += 1;
        }
    }

    /// Whether something is known to be wrong with a field or a part of it.
    pub fn has(&self, field: &str) -> bool {
        self.named.iter().any(|bad| bad.field.starts_with(field))
    }

    /// Takes over what is wrong with the parts of `field`.
    pub fn within(&mut self, field: &str, parts: Self) {
        for part in parts.named {
            self.add(format!("{field}{}", part.field), part.description);
        }
        self.more += parts.more;
    }

    /// The refusal, if there is any fault.
    ///
    /// # Errors
    /// INVALID_ARGUMENT that names every field.
    pub fn done(mut self) -> Result<(), Status> {
        if self.more > 0 {
            self.named.push(FieldViolation::new("...", format!("and {} more", self.more)));
        }
        if self.named.is_empty() { Ok(()) } else { Err(runtime::bad_request(self.named)) }
    }
}

impl From<NotJson> for Status {
    fn from(error: NotJson) -> Self {
        let text = format!("the request is {error}");
        runtime::status(Code::InvalidArgument, "MALFORMED_REQUEST", text, [])
    }
}

/// Reads a body that is one object, or nothing at all: `each` takes the value of every member.
///
/// # Errors
/// INVALID_ARGUMENT for what is not JSON and for every wrong field.
pub fn members(
    body: &[u8],
    mut each: impl FnMut(&mut Scanner<'_>, &str, &mut Faults) -> Result<(), NotJson>,
) -> Result<(), Status> {
    let (mut scanner, mut faults, mut given) = (Scanner::new(body)?, Faults::default(), 0_usize);
    if !body.trim_ascii().is_empty() {
        if is(&mut scanner, Kind::Object, "the request", &mut faults)? {
            scanner.object(|scanner, name| {
                given += 1;
                if given > MOST_MEMBERS {
                    return scanner.skip().map(|_| ());
                }
                each(scanner, name, &mut faults)
            })?;
        }
        scanner.end()?;
    }
    if given > MOST_MEMBERS {
        faults.add("the request", format!("{given} members, at most {MOST_MEMBERS} are taken"));
    }
    faults.done()
}

/// Whether a value of that kind comes. Another is taken and named; null counts as not given.
///
/// # Errors
/// [`NotJson`].
pub fn is(
    scanner: &mut Scanner<'_>,
    wanted: Kind,
    field: &str,
    faults: &mut Faults,
) -> Result<bool, NotJson> {
    let found = scanner.kind()?;
    if found == wanted {
        return Ok(true);
    }
    scanner.skip()?;
    if found != Kind::Null {
        faults.add(field, format!("is {found}, required {wanted}"));
    }
    Ok(false)
}

/// Keeps a value that was given; a second one for the same field is named.
pub fn once<T>(slot: &mut Option<T>, value: Option<T>, field: &str, faults: &mut Faults) {
    if slot.is_some() && value.is_some() {
        faults.add(field, "is given twice");
    }
    *slot = slot.take().or(value);
}

/// A string.
///
/// # Errors
/// [`NotJson`].
pub fn text(scanner: &mut Scanner<'_>, field: &str, faults: &mut Faults) -> Result<Option<String>, NotJson> {
    let there = is(scanner, Kind::Text, field, faults)?;
    Ok(if there { Some(scanner.text()?.into_owned()) } else { None })
}

/// True or false.
///
/// # Errors
/// [`NotJson`].
pub fn boolean(scanner: &mut Scanner<'_>, field: &str, faults: &mut Faults) -> Result<Option<bool>, NotJson> {
    if is(scanner, Kind::Bool, field, faults)? { scanner.literal() } else { Ok(None) }
}

/// A whole number that the type has.
///
/// # Errors
/// [`NotJson`].
pub fn whole<T: FromStr>(
    scanner: &mut Scanner<'_>,
    field: &str,
    faults: &mut Faults,
) -> Result<Option<T>, NotJson> {
    if !is(scanner, Kind::Number, field, faults)? {
        return Ok(None);
    }
    let digits = scanner.number()?;
    let value = digits.parse().ok();
    if value.is_none() {
        faults.add(field, format!("is {}, required a whole number in range", shown(digits)));
    }
    Ok(value)
}

/// Dimensions.
///
/// # Errors
/// [`NotJson`].
pub fn shape(
    scanner: &mut Scanner<'_>,
    field: &str,
    faults: &mut Faults,
) -> Result<Option<Vec<i64>>, NotJson> {
    if !is(scanner, Kind::List, field, faults)? {
        return Ok(None);
    }
    let (mut dims, mut rank, mut local) = (Vec::new(), 0, Faults::default());
    scanner.list(|scanner| {
        let dim = whole::<i64>(scanner, &format!("[{rank}]"), &mut local)?;
        rank += 1;
        dims.extend(dim.filter(|_| rank <= MAX_RANK));
        Ok(())
    })?;
    if rank > MAX_RANK {
        faults.add(field, format!("{rank} dimensions, at most {MAX_RANK} are taken"));
        return Ok(None);
    }
    let whole = dims.len() == rank;
    if !whole && local.named.is_empty() {
        faults.add(field, "has a dimension that is null");
    }
    faults.within(field, local);
    Ok(whole.then_some(dims))
}

/// Parameters: strings, numbers, true and false by name.
///
/// # Errors
/// [`NotJson`].
pub fn parameters(
    scanner: &mut Scanner<'_>,
    field: &str,
    faults: &mut Faults,
) -> Result<Option<Parameters>, NotJson> {
    if !is(scanner, Kind::Object, field, faults)? {
        return Ok(None);
    }
    let (mut all, mut given) = (Parameters::new(), 0_usize);
    scanner.object(|scanner, name| {
        given += 1;
        if given > MOST_PARAMETERS {
            return scanner.skip().map(|_| ());
        }
        let field = format!("{field}[{}]", shown(name));
        if let Some(choice) = choice(scanner, &field, faults)? {
            let parameter = InferParameter { parameter_choice: Some(choice) };
            if all.insert(name.to_owned(), parameter).is_some() {
                faults.add(field, "is given twice");
            }
        }
        Ok(())
    })?;
    if given > MOST_PARAMETERS {
        faults.add(field, format!("{given} parameters, at most {MOST_PARAMETERS} are taken"));
    }
    Ok(Some(all))
}

/// The value of a parameter as the protocol has it.
fn choice(
    scanner: &mut Scanner<'_>,
    field: &str,
    faults: &mut Faults,
) -> Result<Option<ParameterChoice>, NotJson> {
    Ok(match scanner.kind()? {
        Kind::Null | Kind::Bool => scanner.literal()?.map(ParameterChoice::BoolParam),
        Kind::Text => Some(ParameterChoice::StringParam(scanner.text()?.into_owned())),
        Kind::Number => {
            let digits = scanner.number()?;
            let whole = digits.parse::<i64>().ok().map(ParameterChoice::Int64Param);
            let large = || digits.parse::<u64>().ok().map(ParameterChoice::Uint64Param);
            let real = || digits.parse::<f64>().ok().filter(|it| it.is_finite());
            let choice = whole.or_else(large).or_else(|| real().map(ParameterChoice::DoubleParam));
            if choice.is_none() {
                faults.add(field, "is a number that no parameter has");
            }
            choice
        }
        found @ (Kind::List | Kind::Object) => {
            scanner.skip()?;
            faults.add(field, format!("is {found}, required a string, a number, true or false"));
            None
        }
    })
}

/// Takes a parameter of the transport out, which must be true or false.
pub fn take_boolean(all: &mut Parameters, name: &str, field: &str, faults: &mut Faults) -> Option<bool> {
    if let Some(ParameterChoice::BoolParam(value)) = all.remove(name)?.parameter_choice {
        return Some(value);
    }
    faults.add(format!("{field}[{name}]"), format!("required {}", Kind::Bool));
    None
}

/// Takes a number of bytes out.
pub fn take_size(all: &mut Parameters, name: &str, field: &str, faults: &mut Faults) -> Option<u64> {
    match all.remove(name)?.parameter_choice {
        Some(ParameterChoice::Int64Param(value)) if value >= 0 => Some(value.unsigned_abs()),
        Some(ParameterChoice::Uint64Param(value)) => Some(value),
        _ => {
            faults.add(format!("{field}[{name}]"), "required a number of bytes");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(
        text: &str,
        reader: impl Fn(&mut Scanner<'_>, &str, &mut Faults) -> Result<Option<T>, NotJson>,
    ) -> Result<Option<T>, String> {
        let mut faults = Faults::default();
        let value = reader(&mut Scanner::over(text), "f", &mut faults).unwrap();
        faults.done().map(|()| value).map_err(|status| status.message().to_owned())
    }

    #[test]
    fn parameters_are_what_the_protocol_has() {
        let given = r#"{"s": "x", "b": true, "i": -7, "u": 18446744073709551615, "d": 0.5, "n": null}"#;
        let all = read(given, parameters).unwrap().unwrap();
        let choice = |name: &str| all.get(name).and_then(|it| it.parameter_choice.clone());
        assert_eq!(choice("s"), Some(ParameterChoice::StringParam("x".into())));
        assert_eq!(choice("b"), Some(ParameterChoice::BoolParam(true)));
        assert_eq!(choice("i"), Some(ParameterChoice::Int64Param(-7)));
        assert_eq!(choice("u"), Some(ParameterChoice::Uint64Param(u64::MAX)));
        assert_eq!(choice("d"), Some(ParameterChoice::DoubleParam(0.5)));
        assert_eq!(choice("n"), None);
        let wrong = read(r#"{"l": [1], "o": {}, "x": 1e999, "t": 1, "t": 2}"#, parameters).unwrap_err();
        for named in ["f[l]: is a list", "f[o]: is an object", "f[x]: is a number", "f[t]: is given twice"] {
            assert!(wrong.contains(named), "{wrong}");
        }
        let many = format!("{{{}}}", (0..300).map(|n| format!("\"p{n}\": 1")).collect::<Vec<_>>().join(","));
        assert_eq!(read(&many, parameters).unwrap_err(), "f: 300 parameters, at most 256 are taken");
    }

    #[test]
    fn every_wrong_field_is_named_and_null_is_not_given() {
        assert_eq!(read("\"a\"", text), Ok(Some("a".into())));
        assert_eq!(read("null", text), Ok(None));
        assert_eq!(read("5", text), Err("f: is a number, required a string".into()));
        assert_eq!(read("true", boolean), Ok(Some(true)));
        assert_eq!(read("255", whole::<u8>), Ok(Some(255)));
        assert_eq!(read("256", whole::<u8>), Err("f: is 256, required a whole number in range".into()));
        assert_eq!(read("[1, -1]", shape), Ok(Some(vec![1, -1])));
        let wrong = read("[1, 1.5, \"2\"]", shape).unwrap_err();
        assert_eq!(
            wrong,
            "f[1]: is 1.5, required a whole number in range; f[2]: is a string, required a number"
        );
        assert_eq!(read("[null]", shape), Err("f: has a dimension that is null".into()));
        let long = format!("[{}]", vec!["1"; 5000].join(","));
        assert_eq!(read(&long, shape), Err("f: 5000 dimensions, at most 8 are taken".into()));
    }

    #[test]
    fn a_body_of_nothing_has_no_members_and_another_must_be_an_object() {
        let names = |body: &[u8]| {
            let mut names = Vec::new();
            let read = members(body, |scanner, name, _| {
                names.push(name.to_owned());
                scanner.skip().map(|_| ())
            });
            read.map(|()| names).map_err(|status| status.message().to_owned())
        };
        assert_eq!(names(b" \n"), Ok(Vec::new()));
        assert_eq!(names(br#"{"a": 1, "b": [2]}"#), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(names(b"[]"), Err("the request: is a list, required an object".into()));
        assert_eq!(
            names(b"{} x"),
            Err("the request is not JSON at byte 3: something is left after the end".into())
        );
    }
}
