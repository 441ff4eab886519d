//! Names of what the story makes.

/// The model line.
pub const PROJECT: &str = "projects/digits";
/// Where the data comes from.
pub const SOURCE: &str = "dataSources/sklearn-digits";
/// The data.
pub const DATASET: &str = "datasets/digits";
/// Its fit version.
pub const DATASET_VERSION: &str = "datasets/digits/versions/1.0.0";
/// The model.
pub const MODEL: &str = "models/digits";
/// The endpoint: `model_name` of the Open Inference Protocol.
pub const ENDPOINT: &str = "digits";
/// The deployment.
pub const DEPLOYMENT: &str = "deployments/digits";
/// Who writes the plan: an ML engineer who is ML lead too.
pub const PLANNER: &str = "engineer-and-lead";
/// Who makes the versions: an ML engineer who is QA engineer too.
pub const AUTHOR: &str = "engineer-and-tester";
