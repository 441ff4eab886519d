//! Which messages are resources: kind, form of the name, what they are grouped under, where their state is.

use contracts::monitor::v1::{Alert, Duty, Feedback, FeedbackFinding, feedback};
use prost_types::Timestamp;

use super::Resource;

fn state(text: &str) -> String {
    text.strip_prefix("STATE_").unwrap_or(text).to_owned()
}

impl Resource for Alert {
    const KIND: &'static str = "alert";
    const FORM: &'static str = "alerts/{alert}";

    fn name(&self) -> &str {
        &self.name
    }

    fn parent(&self) -> &str {
        &self.deployment
    }

    fn state(&self) -> String {
        state(self.state().as_str_name())
    }

    fn stamp(&mut self, etag: String, _: Option<Timestamp>) {
        self.etag = etag;
    }
}

impl Resource for Feedback {
    const KIND: &'static str = "feedback";
    const FORM: &'static str = "feedback/{feedback}";

    fn name(&self) -> &str {
        &self.name
    }

    fn parent(&self) -> &str {
        &self.deployment
    }

    /// A complaint is OPEN until the registry has an incident for it; see [`crate::tasks::watch_clocks`].
    fn state(&self) -> String {
        if self.kind() == feedback::Kind::Complaint { "OPEN".into() } else { String::new() }
    }

    fn stamp(&mut self, _: String, create_time: Option<Timestamp>) {
        self.create_time = create_time;
    }
}

impl Resource for FeedbackFinding {
    const KIND: &'static str = "finding";
    const FORM: &'static str = "findings/{finding}";

    fn name(&self) -> &str {
        &self.name
    }

    fn parent(&self) -> &str {
        &self.subject
    }

    fn state(&self) -> String {
        state(self.state().as_str_name())
    }

    fn stamp(&mut self, etag: String, create_time: Option<Timestamp>) {
        (self.etag, self.create_time) = (etag, create_time);
    }
}

impl Resource for Duty {
    const KIND: &'static str = "duty";
    const FORM: &'static str = "duties/{duty}";

    fn name(&self) -> &str {
        &self.name
    }

    fn parent(&self) -> &str {
        &self.subject
    }

    fn state(&self) -> String {
        state(self.state().as_str_name())
    }

    /// `create_time` is when the duty's period began, not when the row was written.
    fn stamp(&mut self, etag: String, _: Option<Timestamp>) {
        self.etag = etag;
    }
}
