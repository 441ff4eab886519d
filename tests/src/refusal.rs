//! Answers and refusals, with what a reader of a failed test needs to see.

use std::fmt::Debug;

use runtime::status::{field_violations, precondition_violations, reason};
use tonic::{Code, Response, Status};

/// What came back from a call.
pub trait Answered<T> {
    /// The answer.
    ///
    /// # Panics
    /// With the whole refusal if there was one.
    fn told(self) -> T;

    /// The refusal, which must have this code and this `google.rpc.ErrorInfo` reason.
    ///
    /// # Panics
    /// If the call was answered, or refused otherwise.
    fn refused(self, code: Code, why: &str) -> Refusal;
}

impl<T: Debug> Answered<T> for Result<Response<T>, Status> {
    #[track_caller]
    fn told(self) -> T {
        match self {
            Ok(response) => response.into_inner(),
            Err(status) => panic!("refused: {}", Refusal(status)),
        }
    }

    #[track_caller]
    fn refused(self, code: Code, why: &str) -> Refusal {
        match self {
            Ok(response) => panic!("answered, required {code:?}/{why}: {:?}", response.into_inner()),
            Err(status) => {
                let refusal = Refusal(status);
                let same = refusal.0.code() == code && refusal.reason() == why;
                assert!(same, "required {code:?}/{why}, observed {refusal}");
                refusal
            }
        }
    }
}

/// A status with its `google.rpc` details.
#[derive(Debug, Clone)]
pub struct Refusal(pub Status);

impl Refusal {
    /// `ErrorInfo.reason`; empty without one.
    pub fn reason(&self) -> String {
        reason(&self.0).unwrap_or_default()
    }

    /// The bad fields that it names, sorted.
    pub fn fields(&self) -> Vec<String> {
        let mut fields: Vec<_> = field_violations(&self.0).into_iter().map(|bad| bad.field).collect();
        fields.sort();
        fields
    }

    /// What was wanting: clause, subject and text of each precondition.
    pub fn wanting(&self) -> Vec<String> {
        let all = precondition_violations(&self.0);
        all.into_iter().map(|bad| format!("{} {}: {}", bad.r#type, bad.subject, bad.description)).collect()
    }

    /// The text names each of these.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn names(self, words: &[&str]) -> Self {
        let text = self.to_string();
        for word in words {
            assert!(text.contains(word), "{word:?} is not named by: {text}");
        }
        self
    }

    /// Exactly these fields are bad.
    ///
    /// # Panics
    /// If others are.
    #[track_caller]
    pub fn bad_fields(self, fields: &[&str]) -> Self {
        let mut wanted: Vec<_> = fields.iter().map(|&field| field.to_owned()).collect();
        wanted.sort();
        assert_eq!(self.fields(), wanted, "{self}");
        self
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}/{}: {}", self.0.code(), self.reason(), self.0.message())?;
        for bad in field_violations(&self.0) {
            write!(f, "; {}: {}", bad.field, bad.description)?;
        }
        self.wanting().iter().try_for_each(|one| write!(f, "; {one}"))
    }
}
