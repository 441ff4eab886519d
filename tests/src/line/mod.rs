//! One model line through the registry's own verbs, each step by the principal who may take it: the shortest honest way to
//! any stage. Project, data source, dataset, model and deployment share one id.
//!
//! What a service would measure (dataset versions, evaluations, a canary's health) is handed in under that service's key,
//! so that a scenario can put any number before the rules. Scenarios of the services themselves use the whole mesh.

mod built;
mod data;
mod evidence;
mod model;
mod plan;
mod rollout;

pub use data::dataset_version;
pub use evidence::{Numbers, evaluation};
pub use rollout::healthy;

use contracts::common::v1::Task;

use crate::net::{By, Net};

/// Names of a line's resources, and the mesh it lives in.
#[derive(Clone)]
pub struct Line {
    net: Net,
    /// Id of everything in it.
    pub id: String,
    /// What its models do.
    pub task: Task,
}

impl Line {
    /// A line of that id; nothing is recorded yet.
    pub fn new(net: &Net, id: &str) -> Self {
        Self { net: net.clone(), id: id.to_owned(), task: Task::BinaryClassification }
    }

    /// The same line for models of another task.
    pub fn doing(self, task: Task) -> Self {
        Self { task, ..self }
    }

    /// The mesh as a principal calls it.
    pub fn by(&self, who: &str) -> By {
        self.net.by(who)
    }

    /// `projects/{id}`
    pub fn project(&self) -> String {
        format!("projects/{}", self.id)
    }

    /// `dataSources/{id}`
    pub fn source(&self) -> String {
        format!("dataSources/{}", self.id)
    }

    /// `datasets/{id}`
    pub fn dataset(&self) -> String {
        format!("datasets/{}", self.id)
    }

    /// `datasets/{id}/versions/1.0.0`
    pub fn data(&self) -> String {
        format!("{}/versions/1.0.0", self.dataset())
    }

    /// `models/{id}`
    pub fn model(&self) -> String {
        format!("models/{}", self.id)
    }

    /// `models/{id}/versions/{number}`
    pub fn version(&self, number: &str) -> String {
        format!("{}/versions/{number}", self.model())
    }

    /// `deployments/{id}`
    pub fn deployment(&self) -> String {
        format!("deployments/{}", self.id)
    }

    /// `deployments/{id}/rollouts/{rollout}`
    pub fn rollout(&self, rollout: &str) -> String {
        format!("{}/rollouts/{rollout}", self.deployment())
    }

    /// Plan, data, a trained and registered `1.0.0` made of seed 1.
    pub async fn to_version(&self) {
        self.plan().await;
        self.data_ready().await;
        self.train("first").await;
        self.register("1.0.0", "first", 1).await;
    }

    /// As [`Line::to_version`], and everything that a version needs before it may roll out.
    pub async fn to_approved(&self) {
        self.to_version().await;
        self.approve("1.0.0").await;
    }

    /// Submits, tests, evaluates, decides G1 and G2, reviews, decides G3.
    pub async fn approve(&self, number: &str) {
        self.submit(number).await;
        self.tests(number, 5, 0).await;
        self.evaluate(number, Numbers::good()).await;
        self.ethics(number).await;
        self.qa(number).await;
        self.gates(number).await;
    }
}
