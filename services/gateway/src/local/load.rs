//! From a file to a warm version.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::{ModelSignature, RunOptions, Session};

use features::preprocessing::FILE_NAME;

use super::complete::{Loaded, complete};
use super::sheet::{Sheet, of_config};
use super::warmup::{self, Sample};
use super::{folder, full_name, preprocessing};
use crate::backends::{Backend, Serving, Stated, Stats};
use crate::gateway::Gateway;
use crate::observe::Observer;
use crate::preprocess::Preprocessor;
use crate::sequence::{Room, Sequences};

/// Loads one version of a model, holds its configuration against it, and warms it up.
///
/// # Errors
/// What is wrong, with the file or the field.
pub async fn load(
    gateway: &Gateway,
    sheet: &Sheet,
    version: i64,
    path: &Path,
) -> Result<Arc<Backend>, String> {
    let config = gateway.config();
    let (file, most) = (path.to_owned(), config.infer.max_artifact_bytes);
    let bytes = blocking(move || folder::read(&file, most)).await?;
    let named = |why: String| format!("{}: {why}", path.display());
    let options = sheet.plan.options.clone();
    let limit = RunOptions::within(options.load_limit);
    let instances = options.instances;
    let session = gateway.engine().load(Bytes::from(bytes), options).await;
    let session = session.map_err(|error| named(error.to_string()))?;
    let loaded =
        Loaded { signature: session.signature(), batches: session.batches(), provider: session.provider() };
    let stated =
        complete(&sheet.config, loaded, &config.infer).map_err(|bad| contradicts(sheet, &bad, path))?;
    let stated = Arc::new(stated);
    let (of, folder, file) = (stated.clone(), sheet.folder.clone(), session.signature().clone());
    let (most, waiting) = (config.admission.message_bytes, config.infer.queue.max(1));
    let sequences = blocking(move || {
        let room = Room { instances, waiting, folder: folder.as_deref(), most };
        Sequences::new(&of.config, &file, room).map_err(|bad| of_config(&bad))
    });
    let sequences = sequences.await?;
    let signature =
        ModelSignature { outputs: stated.signature.outputs.clone(), ..session.signature().clone() };
    let preprocessor = preprocessing::load(path, sheet.folder.as_deref(), signature).await?;
    if preprocessor.is_some() && sequences.is_some() {
        return Err(format!("{FILE_NAME}: models with sequence_batching take no raw columns"));
    }
    let (of, folder, most) = (stated.clone(), sheet.folder.clone(), config.admission.message_bytes);
    let samples =
        blocking(move || warmup::samples(&of, folder.as_deref(), most).map_err(|bad| of_config(&bad)))
            .await?;
    session.warm_up(limit.clone()).await.map_err(|error| named(error.to_string()))?;
    for sample in &samples {
        warm(&session, sample, (&stated, sequences.as_deref()), instances, &limit)
            .await
            .map_err(|why| format!("model_warmup[{}]: {why}", crate::wire::shown(&sample.name)))?;
    }
    tracing::info!(
        model = %crate::wire::shown(&sheet.name), version, digest = session.digest(), provider = %session.provider(),
        "model loaded and warm"
    );
    Ok(Arc::new(backend(gateway, sheet, version, session, (stated, sequences), preprocessor)))
}

/// A file without a configuration cannot contradict one.
fn contradicts(sheet: &Sheet, bad: &[engine::FieldError], file: &Path) -> String {
    match sheet.folder {
        Some(_) => format!("{} (beside {})", of_config(bad), file.display()),
        None => format!("{}: {}", file.display(), of_config(bad)),
    }
}

/// Runs a sample on every instance, as often as it asks for.
async fn warm(
    session: &Arc<dyn Session>,
    sample: &Sample,
    (stated, sequences): (&Stated, Option<&Sequences>),
    instances: usize,
    limit: &RunOptions,
) -> Result<(), String> {
    let inputs = match sequences {
        // Each sample is the beginning of a sequence of its own.
        Some(sequences) => sequences.fresh(sample.inputs.clone()).map_err(|bad| bad.to_string())?,
        None => sample.inputs.clone(),
    };
    let inputs = stated.for_model(inputs);
    for _ in 0..sample.count {
        let run = |_| session.run(inputs.clone(), Vec::new(), limit.clone());
        let runs = futures::future::join_all((0..instances).map(run)).await;
        for run in runs {
            run.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn backend(
    gateway: &Gateway,
    sheet: &Sheet,
    version: i64,
    session: Arc<dyn Session>,
    (stated, sequences): (Arc<Stated>, Option<Arc<Sequences>>),
    preprocessor: Option<Arc<Preprocessor>>,
) -> Backend {
    let (number, infer) = (version.to_string(), &gateway.config().infer);
    let rows = usize::try_from(stated.config.max_batch_size).unwrap_or_default();
    let serving = Serving {
        max_rows: if stated.is_batched() { rows } else { infer.max_rows },
        waiting: sheet.plan.waiting.clone(),
        labels: sheet.labels.clone(),
        cache: stated.config.response_cache.as_ref().is_some_and(|cache| cache.enable),
        sequences,
        preprocessor,
        stated: Some(stated),
    };
    Backend {
        endpoint: sheet.name.clone(),
        deployment: String::new(),
        version: full_name(&sheet.name, &number),
        meters: gateway.meters().backend(&sheet.name, &number),
        number,
        artifact_digest: session.digest().to_owned(),
        dataset_version: String::new(),
        session,
        stats: Stats::default(),
        observer: Observer::idle(),
        serving,
    }
}

/// Work that waits for the disk, off the threads that answer.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(format!("reading failed: {error}")))
}
