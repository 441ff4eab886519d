//! Training of people: a role that needs a course acts only with a record of it that holds.

use std::time::SystemTime;

use crate::policy::people::People;
use crate::rejection::{Findings, Rejection};
use crate::role::Role;

/// That somebody took a course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingRecord {
    /// Who.
    pub principal: String,
    /// For which role.
    pub role: Role,
    /// Which course or procedure.
    pub course: String,
    /// Which version of it.
    pub course_version: String,
    /// When.
    pub taken: SystemTime,
}

/// Whether `principal` is trained for `role` at `now`, on the course's version in force.
/// # Errors
/// `TRAINING_MISSING` with one finding per course that is missing, of another version, or over.
pub fn check(
    principal: &str,
    role: Role,
    records: &[TrainingRecord],
    version_in_force: &str,
    now: SystemTime,
    policy: &People,
) -> Result<(), Rejection> {
    let mut found = Findings::new();
    for row in policy.courses.iter().filter(|row| row.role == role) {
        let own: Vec<&TrainingRecord> = records
            .iter()
            .filter(|record| {
                record.principal == principal && record.role == role && record.course == row.course
            })
            .collect();
        let holds = own.iter().any(|record| {
            let age = now.duration_since(record.taken).ok(); // a record from the future holds nothing
            record.course_version == version_in_force && age.is_some_and(|age| age < row.valid_for.get())
        });
        let required = format!("version {version_in_force}, within {}", row.valid_for);
        let observed = if own.is_empty() { "missing" } else { "another version, or expired" };
        found.require(holds, &row.clause, &format!("training {} for {role}", row.course), required, observed);
    }
    found.into_result("TRAINING_MISSING", principal)
}
