//! A refusal as people read it: what the service said, the reason, and every bad field.

use runtime::status::{field_violations, reason};
use tonic::Status;

/// One refusal in lines: `FAILED_PRECONDITION VERSION_NOT_SUCCESSOR: …`, then one line for each bad field.
pub fn text(status: &Status) -> String {
    let reason = reason(status).map_or_else(String::new, |reason| format!(" {reason}"));
    let mut lines = vec![format!("{}{reason}: {}", code(status), status.message())];
    lines.extend(
        field_violations(status).into_iter().map(|bad| format!("  {}: {}", bad.field, bad.description)),
    );
    lines.join("\n")
}

/// The code in the spelling of the protocol, `FAILED_PRECONDITION`.
pub fn code(status: &Status) -> String {
    let mut spelt = String::new();
    for (place, letter) in format!("{:?}", status.code()).chars().enumerate() {
        if 0 < place && letter.is_uppercase() {
            spelt.push('_');
        }
        spelt.extend(letter.to_uppercase());
    }
    spelt
}

/// An error of a command: a refusal in full, anything else as its chain of causes.
pub fn of_error(error: &anyhow::Error) -> String {
    match error.chain().find_map(|cause| cause.downcast_ref::<Status>()) {
        Some(status) => text(status),
        None => format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_and_every_field_are_told() {
        let bad = [("name", "required"), ("size", "too large")];
        let bad = bad.map(|(field, why)| runtime::FieldViolation::new(field, why));
        let status = runtime::bad_request(bad.to_vec());
        let told = text(&status);
        assert!(told.starts_with("INVALID_ARGUMENT"), "{told}");
        assert!(told.contains("\n  name: required\n  size: too large"), "{told}");
    }
}
