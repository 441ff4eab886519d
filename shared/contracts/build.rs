//! Compiles `proto/` with protox (no system protoc), and checks the method x role table against the descriptors: a method
//! without a row, or a row without a method, fails the build.

use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // From the package's folder, where build scripts run: clones that share a target folder share this binary.
    let root = Path::new("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    println!("cargo:rerun-if-changed=access.yaml");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let descriptors = protox::compile(&files, [root])?;
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let methods = methods(&descriptors);
    let table = table(&fs::read_to_string("access.yaml")?)?;
    fs::write(out.join("access.rs"), render(&methods, &table)?)?;
    tonic_prost_build::configure()
        // Bytes of a message must not depend on the order of a hash map: they are digested and signed.
        .btree_map(".wlp")
        .bytes(".inference.ModelInferRequest.raw_input_contents")
        .bytes(".inference.ModelInferResponse.raw_output_contents")
        .bytes(".inference.InferTensorContents.bytes_contents")
        .bytes(".wlp.registry.v1.UploadArtifactRequest.chunk")
        .bytes(".wlp.registry.v1.DownloadArtifactResponse.chunk")
        .bytes(".wlp.pipeline.v1.UploadDataRequest.chunk")
        .bytes(".wlp.pipeline.v1.ReadSplitResponse.chunk")
        .boxed(".inference.ModelStreamInferResponse.infer_response")
        .compile_fds(descriptors)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

/// Every RPC of the mesh as `/package.Service/Method`, with those of health and reflection that each service serves too.
fn methods(descriptors: &prost_types::FileDescriptorSet) -> BTreeSet<String> {
    let mut methods: BTreeSet<String> = [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.health.v1.Health/List",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ]
    .map(String::from)
    .into();
    for file in &descriptors.file {
        for service in &file.service {
            for method in &service.method {
                methods.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    methods
}

/// Reads `access.yaml`: `/package.Service/Method: [role, ...]`, one line each, `#` for comments.
fn table(text: &str) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut table = BTreeMap::new();
    for line in
        text.lines().map(|line| line.split('#').next().unwrap_or("").trim()).filter(|line| !line.is_empty())
    {
        let (method, roles) =
            line.split_once(": ").ok_or_else(|| format!("access.yaml: not a row: {line}"))?;
        let roles: Vec<String> = roles
            .trim_matches(['[', ']'])
            .split(',')
            .map(|role| role.trim().trim_matches('"').to_owned())
            .filter(|role| !role.is_empty())
            .collect();
        if roles.is_empty() {
            return Err(format!("access.yaml: {method} has no role").into());
        }
        if table.insert(method.to_owned(), roles).is_some() {
            return Err(format!("access.yaml: {method} has two rows").into());
        }
    }
    Ok(table)
}

fn render(methods: &BTreeSet<String>, table: &BTreeMap<String, Vec<String>>) -> Result<String, Failure> {
    let missing: Vec<_> = methods.iter().filter(|method| !table.contains_key(*method)).collect();
    let unknown: Vec<_> = table.keys().filter(|method| !methods.contains(*method)).collect();
    if !missing.is_empty() || !unknown.is_empty() {
        return Err(format!(
            "access.yaml: methods without a row: {missing:#?}; rows without a method: {unknown:#?}"
        )
        .into());
    }
    let mut code = String::from("&[\n");
    for (method, roles) in table {
        writeln!(code, "    ({method:?}, &{roles:?}),")?;
    }
    code.push_str("]\n");
    Ok(code)
}
