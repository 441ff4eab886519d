//! The generated service traits, implemented for [`Pipeline`]: one file for each service.

mod builds;
mod differences;
mod reads;
mod uploads;

pub use uploads::Uploads;

use contracts::longrunning::operations_server::OperationsServer;
use contracts::pipeline::v1::dataset_build_service_server::DatasetBuildServiceServer;
use contracts::pipeline::v1::dataset_read_service_server::DatasetReadServiceServer;
use contracts::pipeline::v1::upload_service_server::UploadServiceServer;
use runtime::ServiceBuilder;

use crate::Pipeline;

/// Messages of this size are taken and sent: a plan with thousands of columns, an audit sample.
const MESSAGE_BYTES: usize = 32 << 20;

/// Adds every service of the data-pipeline.
pub fn mount(builder: ServiceBuilder, pipeline: &Pipeline) -> ServiceBuilder {
    builder
        .add(UploadServiceServer::new(pipeline.clone()).max_decoding_message_size(MESSAGE_BYTES))
        .add(DatasetBuildServiceServer::new(pipeline.clone()).max_decoding_message_size(MESSAGE_BYTES))
        .add(
            DatasetReadServiceServer::new(pipeline.clone())
                .max_decoding_message_size(MESSAGE_BYTES)
                .max_encoding_message_size(MESSAGE_BYTES),
        )
        .add(OperationsServer::new(pipeline.clone()).max_encoding_message_size(MESSAGE_BYTES))
}
