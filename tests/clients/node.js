// Loads proto/ at run time, registers a data source, reads it back, is refused, and infers.
//
// usage: node node.js PROTO_FOLDER REGISTRY GATEWAY KEYS.json ENDPOINT   (NODE_PATH has @grpc/grpc-js, @grpc/proto-loader)
"use strict";

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [protos, registry, gateway, keysJson, endpoint] = process.argv.slice(2);
const keys = JSON.parse(keysJson);
const files = ["wlp/registry/v1/data_source.proto", "inference/grpc_service.proto"];
const loaded = grpc.loadPackageDefinition(loader.loadSync(files, { includeDirs: [protos], longs: Number, keepCase: true }));

function as(who) {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${keys[who]}`);
  return metadata;
}

function call(client, method, request, who) {
  return new Promise((resolve, reject) =>
    client[method](request, as(who), (error, answer) => (error ? reject(error) : resolve(answer))));
}

async function main() {
  const insecure = grpc.credentials.createInsecure();
  const sources = new loaded.wlp.registry.v1.DataSourceService(registry, insecure);
  const request = {
    data_source_id: "from-node",
    data_source: {
      display_name: "From Node", kind: "SOURCE_KIND_INTERNAL", origin: "a stub",
      considerations: { "access-rights": "own", quality: "good" },
    },
  };
  const made = await call(sources, "CreateDataSource", request, "data-engineer");
  const read = await call(sources, "GetDataSource", { name: made.name }, "client");
  if (read.etag !== made.etag) throw new Error(`read ${read.etag}, made ${made.etag}`);
  const refusal = await call(sources, "CreateDataSource", request, "client").catch((error) => error);
  if (refusal.code !== grpc.status.PERMISSION_DENIED) throw new Error(`not refused: ${JSON.stringify(refusal)}`);

  const inference = new loaded.inference.GRPCInferenceService(gateway, insecure);
  const row = Buffer.from(new Float32Array([-0.5, -0.5, -0.5, -0.5]).buffer);
  const answer = await call(inference, "ModelInfer", {
    model_name: endpoint,
    inputs: [{ name: "x", datatype: "FP32", shape: [1, 4] }],
    raw_input_contents: [row],
  }, "client");
  console.log(JSON.stringify({ label: Number(answer.raw_output_contents[0].readBigInt64LE()), version: answer.model_version }));
  sources.close();
  inference.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
