//! Installs ONNX Runtime from its wheel on PyPI: pinned version, pinned digest, unpacked under the user's data folder.
//!
//! Any Python 3 with pip will do: the wheel is named in full, so it does not depend on the Python that fetches it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use engine::{ONNXRUNTIME_CPU_VERSION, ONNXRUNTIME_GPU_VERSION};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::python::finished;

/// Longest time of the download.
const PATIENCE: Duration = Duration::from_mins(20);

/// One wheel: which it is and what its bytes must be.
#[derive(Clone)]
struct Pin {
    package: &'static str,
    version: &'static str,
    platform: &'static str,
    sha256: &'static str,
}

/// The Python version of every pinned wheel; the shared library inside does not depend on it.
const PYTHON: &str = "3.12";
const ABI: &str = "cp312";

const CPU_X86_64: Pin = Pin {
    package: "onnxruntime",
    version: ONNXRUNTIME_CPU_VERSION,
    platform: "manylinux_2_28_x86_64",
    sha256: "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
};
const CPU_AARCH64: Pin = Pin {
    package: "onnxruntime",
    version: ONNXRUNTIME_CPU_VERSION,
    platform: "manylinux_2_28_aarch64",
    sha256: "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
};
const GPU_X86_64: Pin = Pin {
    package: "onnxruntime-gpu",
    version: ONNXRUNTIME_GPU_VERSION,
    platform: "manylinux_2_28_x86_64",
    sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
};

/// Beginning of the name of a folder that is being filled.
const PARTIAL: &str = ".partial-";

/// Takes the libraries out of a wheel by their base names, so that no path in it can lead elsewhere.
const UNPACK: &str = r"
import os, shutil, sys, zipfile
wheel, target = sys.argv[1:]
found = 0
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        folder, name = os.path.split(member.filename)
        library = folder == 'onnxruntime/capi' and name.startswith('libonnxruntime') and '.so' in name
        notice = folder == 'onnxruntime' and name in ('LICENSE', 'ThirdPartyNotices.txt')
        if library or notice:
            with archive.open(member) as source, open(os.path.join(target, name), 'wb') as out:
                shutil.copyfileobj(source, out)
            found += library
sys.exit(0 if found else 'the wheel has no libonnxruntime')
";

/// The library to use: `ORT_DYLIB_PATH` if it is set, else an installed GPU build, else the CPU build, which is installed
/// where it is not.
///
/// # Errors
/// If `ORT_DYLIB_PATH` names no file, or as [`install`].
pub async fn ensure() -> anyhow::Result<PathBuf> {
    if std::env::var_os("ORT_DYLIB_PATH").is_some_and(|path| !path.is_empty()) {
        return Ok(engine::locate_library()?);
    }
    if let (Some(root), Ok(gpu)) = (engine::library_folder(), pin(true))
        && let Some(library) = installed(&root.join(folder_name(gpu, true)), gpu)
    {
        return Ok(library);
    }
    install(false).await
}

/// Folder of a build below the folder of all.
fn folder_name(pin: &Pin, gpu: bool) -> String {
    if gpu { format!("{}-gpu", pin.version) } else { pin.version.to_owned() }
}

/// Installs ONNX Runtime, unless that very wheel is installed, and returns the path of the library.
///
/// Two at once wait for each other; one that dies half-way leaves nothing that the next would take for whole.
///
/// # Errors
/// If there is no wheel for this host, no Python with pip, no network, no room, or the bytes are not the pinned ones.
pub async fn install(gpu: bool) -> anyhow::Result<PathBuf> {
    let pin = pin(gpu)?;
    let root = engine::library_folder().context("neither XDG_DATA_HOME nor HOME is set")?;
    install_into(&root, pin, gpu).await
}

fn pin(gpu: bool) -> anyhow::Result<&'static Pin> {
    Ok(match (std::env::consts::OS, std::env::consts::ARCH, gpu) {
        ("linux", "x86_64", false) => &CPU_X86_64,
        ("linux", "aarch64", false) => &CPU_AARCH64,
        ("linux", "x86_64", true) => &GPU_X86_64,
        (os, arch, _) => {
            bail!("no ONNX Runtime is pinned for {os} on {arch}; set ORT_DYLIB_PATH to one of yours")
        }
    })
}

async fn install_into(root: &Path, pin: &Pin, gpu: bool) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
    let folder = root.join(folder_name(pin, gpu));
    let lock = File::create(root.join("install.lock")).context("cannot make the lock file")?;
    // Freed when the file is closed, also by a crash.
    let _lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
        .await?
        .context("cannot lock the folder")?;
    if let Some(library) = installed(&folder, pin) {
        return Ok(library);
    }
    sweep(root);
    let work = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(root).context("no room to unpack")?;
    let wheel = download(pin, work.path()).await?;
    let (file, of) = (wheel.clone(), pin.clone());
    tokio::task::spawn_blocking(move || verify(&file, &of)).await??;
    let unpacked = work.path().join("unpacked");
    fs::create_dir(&unpacked)?;
    let mut unpack = Command::new("python3");
    unpack.arg("-c").arg(UNPACK).arg(&wheel).arg(&unpacked);
    python(unpack, "unpacking the wheel").await?;
    fs::write(unpacked.join("wheel.sha256"), pin.sha256)?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    // The last step, in one piece: a folder of that name is always whole.
    fs::rename(&unpacked, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    installed(&folder, pin).with_context(|| format!("{} lacks the library", folder.display()))
}

/// Removes what installations left that were killed; whoever holds the lock has none of its own yet.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The library, if this very wheel is unpacked there.
fn installed(folder: &Path, pin: &Pin) -> Option<PathBuf> {
    let digest = fs::read_to_string(folder.join("wheel.sha256")).ok()?;
    let library = folder.join(format!("libonnxruntime.so.{}", pin.version));
    (digest == pin.sha256 && library.is_file()).then_some(library)
}

async fn download(pin: &Pin, into: &Path) -> anyhow::Result<PathBuf> {
    let requirements = into.join("requirements.txt");
    let Pin { package, version, platform, sha256 } = pin;
    fs::write(&requirements, format!("{package}=={version} --hash=sha256:{sha256}\n"))?;
    let wheels = into.join("wheels");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--implementation=cp", "--require-hashes"])
        .args([
            format!("--python-version={PYTHON}"),
            format!("--abi={ABI}"),
            format!("--platform={platform}"),
        ])
        .arg("--dest")
        .arg(&wheels)
        .arg("--requirement")
        .arg(&requirements);
    python(pip, "downloading the wheel with pip").await?;
    let found = fs::read_dir(&wheels)?.flatten().map(|entry| entry.path());
    found
        .into_iter()
        .find(|path| path.extension().is_some_and(|kind| kind == "whl"))
        .context("pip left no wheel")
}

/// pip has checked the digest; a pip that is old or configured otherwise may not have.
fn verify(wheel: &Path, pin: &Pin) -> anyhow::Result<()> {
    let (mut file, mut hasher, mut buffer) = (File::open(wheel)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let observed = hex::encode(hasher.finalize());
    if observed != pin.sha256 {
        bail!("{} {}: sha256 {observed}, required {}", pin.package, pin.version, pin.sha256);
    }
    Ok(())
}

async fn python(command: Command, doing: &str) -> anyhow::Result<()> {
    finished(command, PATIENCE, doing).await.context("Python 3 with pip is needed").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_pinned_digest_is_not_taken_for_installed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let library = folder.path().join(format!("libonnxruntime.so.{}", CPU_X86_64.version));
        fs::write(&library, b"x").expect("written");
        assert_eq!(installed(folder.path(), &CPU_X86_64), None);
        fs::write(folder.path().join("wheel.sha256"), CPU_AARCH64.sha256).expect("written");
        assert_eq!(installed(folder.path(), &CPU_X86_64), None);
        fs::write(folder.path().join("wheel.sha256"), CPU_X86_64.sha256).expect("written");
        assert_eq!(installed(folder.path(), &CPU_X86_64), Some(library));
    }

    #[test]
    fn what_a_killed_installation_left_is_removed() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for name in [".partial-x", CPU_X86_64.version] {
            fs::create_dir(root.path().join(name)).expect("made");
        }
        sweep(root.path());
        assert!(!root.path().join(".partial-x").exists());
        assert!(root.path().join(CPU_X86_64.version).exists());
    }

    #[test]
    fn other_bytes_than_the_pinned_ones_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let wheel = folder.path().join("x.whl");
        fs::write(&wheel, b"other").expect("written");
        let error = verify(&wheel, &CPU_X86_64).expect_err("refused").to_string();
        assert!(error.contains("required 99e1074c"), "{error}");
    }
}
