//! The makers of the demo: scripts that lie in a folder and are run there.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;

use super::Python;
use crate::reach::{Reach, To};
use crate::story::{Comparison, Data, Makers, Shortlist, Suite, Trained, Variant, names};

/// Version of the test runner in the requirements.
const PYTEST: &str = "9.2.0";
const SCRIPTS: [(&str, &str); 7] = [
    ("audit.py", include_str!("../../demo/audit.py")),
    ("compare_models.py", include_str!("../../demo/compare_models.py")),
    ("export_data.py", include_str!("../../demo/export_data.py")),
    ("test_integration.py", include_str!("../../demo/test_integration.py")),
    ("test_model.py", include_str!("../../demo/test_model.py")),
    ("train.py", include_str!("../../demo/train.py")),
    ("wlp_client.py", include_str!("../../demo/wlp_client.py")),
];

/// The makers of the demo: scikit-learn's digits, models in ONNX, pytest.
pub struct PythonMakers {
    python: Python,
    folder: PathBuf,
    reach: Arc<dyn Reach>,
}

impl PythonMakers {
    /// Writes the scripts to `folder`, where models and reports come too.
    ///
    /// # Errors
    /// Of the file system.
    pub fn new(python: Python, folder: PathBuf, reach: Arc<dyn Reach>) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, text) in SCRIPTS {
            fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        Ok(Self { python, folder, reach })
    }

    fn address(&self, to: To) -> anyhow::Result<String> {
        let at: SocketAddr =
            self.reach.address(to).with_context(|| format!("the {} has no socket", to.name()))?;
        Ok(at.to_string())
    }

    fn model(&self, variant: Variant) -> PathBuf {
        self.folder.join(format!("{}.onnx", variant.name()))
    }

    async fn run(&self, arguments: &[&str], variables: &[(&str, String)]) -> anyhow::Result<String> {
        self.python.run(&self.folder, arguments, variables).await
    }
}

#[async_trait]
impl Makers for PythonMakers {
    async fn export_data(&self) -> anyhow::Result<Data> {
        self.run(&["export_data.py", "."], &[]).await?;
        let read =
            |name: &str| fs::read(self.folder.join(name)).with_context(|| format!("{name} was not written"));
        Ok(Data { clean: read("digits.csv")?, dirty: read("dirty.csv")? })
    }

    async fn audit(&self, dataset_version: &str, rows: u32) -> anyhow::Result<String> {
        let (pipeline, registry) = (self.address(To::DataPipeline)?, self.address(To::Registry)?);
        let (key, rows) = (self.reach.key("qa-engineer")?, rows.to_string());
        let said =
            self.run(&["audit.py", &pipeline, &registry, &key, dataset_version, &rows, "2026"], &[]).await?;
        Ok(said.trim().to_owned())
    }

    async fn compare(&self, seed: u64, on: Option<Shortlist<'_>>) -> anyhow::Result<Comparison> {
        let name = if on.is_some() { "compared-on-dataset.json" } else { "compared-on-source.json" };
        let mut arguments = vec!["compare_models.py".to_owned(), seed.to_string(), name.to_owned()];
        if let Some(Shortlist { dataset_version, candidates }) = on {
            let key = self.reach.key(names::AUTHOR)?;
            arguments.extend([self.address(To::DataPipeline)?, key, dataset_version.to_owned()]);
            arguments.extend(candidates.iter().cloned());
        }
        self.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await?;
        let text = fs::read(self.folder.join(name)).with_context(|| format!("{name} was not written"))?;
        serde_json::from_slice(&text).with_context(|| name.to_owned())
    }

    fn candidate(&self) -> &'static str {
        "kernel-ridge"
    }

    async fn train(&self, variant: Variant, dataset_version: &str, project: &str) -> anyhow::Result<Trained> {
        let (pipeline, registry) = (self.address(To::DataPipeline)?, self.address(To::Registry)?);
        let (key, run) = (self.reach.key(names::AUTHOR)?, format!("digits-{}", variant.name()));
        let (name, out) = (variant.name(), self.model(variant).display().to_string());
        let arguments = ["train.py", &pipeline, &registry, &key, dataset_version, project, &run, name, &out];
        let said = self.run(&arguments, &[]).await?;
        let words: Vec<&str> = said.trim().splitn(3, ' ').collect();
        let [digest, accuracy, search] = words[..] else { anyhow::bail!("train.py printed {said:?}") };
        Ok(Trained {
            run: format!("trainingRuns/{run}"),
            artifact_digest: digest.to_owned(),
            validation_accuracy: accuracy.parse()?,
            search: search.to_owned(),
        })
    }

    async fn test(
        &self,
        variant: Variant,
        suite: Suite,
        trained: &Trained,
        dataset_version: &str,
    ) -> anyhow::Result<Vec<u8>> {
        let script = match suite {
            Suite::Unit => "test_model.py",
            Suite::Integration => "test_integration.py",
        };
        let report = self.folder.join(format!("{}-{}.xml", variant.name(), suite.category()));
        let variables = [
            ("WLP_MODEL", self.model(variant).display().to_string()),
            ("WLP_DIGEST", trained.artifact_digest.clone()),
            ("WLP_DATASET", dataset_version.to_owned()),
            ("WLP_REGISTRY", self.address(To::Registry)?),
            ("WLP_PIPELINE", self.address(To::DataPipeline)?),
            ("WLP_KEY", self.reach.key("qa-engineer")?),
        ];
        let junit = format!("--junitxml={}", report.display());
        // Tests that fail are in the report: the gate judges them, not the exit status.
        let ran =
            self.run(&["-m", "pytest", "-q", "-p", "no:cacheprovider", &junit, script], &variables).await;
        match fs::read(&report) {
            Ok(xml) => Ok(xml),
            Err(_) => Err(ran.err().unwrap_or_else(|| anyhow::anyhow!("pytest left no report"))),
        }
    }

    fn test_tool(&self) -> (String, String) {
        ("pytest".into(), PYTEST.into())
    }
}
