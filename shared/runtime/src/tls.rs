//! What a service shows to its callers: certificates from PEM files, read again while the service runs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

use crate::config::ConfigError;
use crate::transport::ServerTls;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// What a listener speaks, and whether it asks callers for certificates (if any are asked).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/2, for known callers.
    Grpc,
    /// HTTP/1.1, for known callers.
    Http,
    /// HTTP/1.1, for probes and scrapers, that have no certificates.
    Metrics,
}

/// The certificates in force.
pub(crate) struct Certificates {
    files: ServerTls,
    now: ArcSwap<Loaded>,
}

struct Loaded {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    metrics: Arc<ServerConfig>,
    /// Of the files' bytes.
    digest: [u8; 32],
}

impl Certificates {
    /// Reads the files that `[transport.tls]` names; none if it names none.
    ///
    /// # Errors
    /// [`ConfigError`] with the setting, the file and what is wrong with it.
    pub(crate) fn load(files: &ServerTls) -> Result<Option<Arc<Self>>, ConfigError> {
        if files.cert.is_empty() {
            return Ok(None);
        }
        let loaded = Files::read(files)?.loaded(files)?;
        Ok(Some(Arc::new(Self { files: files.clone(), now: ArcSwap::from_pointee(loaded) })))
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self, speaks: Speaks) -> TlsAcceptor {
        let now = self.now.load();
        let config = match speaks {
            Speaks::Grpc => &now.grpc,
            Speaks::Http => &now.http,
            Speaks::Metrics => &now.metrics,
        };
        TlsAcceptor::from(config.clone())
    }

    /// Takes over what is written to the files, until `stop`. Files that cannot be used change nothing.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut told = None;
        loop {
            tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(LOOK) => {} }
            let this = self.clone();
            match tokio::task::spawn_blocking(move || this.look()).await {
                Ok(Ok(changed)) => {
                    told = None;
                    if changed {
                        tracing::info!(files = ?self.files, "certificates were taken over");
                    }
                }
                Ok(Err(error)) => {
                    // Each of them once: this comes every few seconds until it is mended.
                    let text = error.to_string();
                    if told.as_ref() != Some(&text) {
                        tracing::error!(error = text, "certificates cannot be used, those in force stay");
                        told = Some(text);
                    }
                }
                Err(error) => tracing::error!(%error, "certificates were not looked at"),
            }
        }
    }

    /// True if the files hold something else than before, which is in force from now on.
    pub(crate) fn look(&self) -> Result<bool, ConfigError> {
        let files = Files::read(&self.files)?;
        if files.digest() == self.now.load().digest {
            return Ok(false);
        }
        self.now.store(Arc::new(files.loaded(&self.files)?));
        Ok(true)
    }
}

/// The bytes of the files.
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    fn read(at: &ServerTls) -> Result<Self, ConfigError> {
        let asked = !at.client_ca.is_empty();
        Ok(Self {
            cert: read("transport.tls.cert", &at.cert)?,
            key: read("transport.tls.key", &at.key)?,
            client_ca: asked.then(|| read("transport.tls.client_ca", &at.client_ca)).transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut whole = Sha256::new();
        for part in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten() {
            whole.update((part.len() as u64).to_be_bytes());
            whole.update(part);
        }
        whole.finalize().into()
    }

    fn loaded(&self, at: &ServerTls) -> Result<Loaded, ConfigError> {
        let chain = certificates("transport.tls.cert", &at.cert, &self.cert)?;
        let key = private_key("transport.tls.key", &at.key, &self.key)?;
        let roots = match &self.client_ca {
            Some(bytes) => Some(Arc::new(roots("transport.tls.client_ca", &at.client_ca, bytes)?)),
            None => None,
        };
        let config = |speaks: Speaks| -> Result<Arc<ServerConfig>, ConfigError> {
            let wrong = |setting, path: &String, cause: String| unusable(setting, path, cause);
            let builder = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(|cause| wrong("transport.tls.cert", &at.cert, cause.to_string()))?;
            let asked = roots.clone().filter(|_| speaks != Speaks::Metrics);
            let builder = match asked {
                Some(roots) => builder.with_client_cert_verifier(
                    WebPkiClientVerifier::builder_with_provider(roots, provider()).build().map_err(
                        |cause| wrong("transport.tls.client_ca", &at.client_ca, cause.to_string()),
                    )?,
                ),
                None => builder.with_no_client_auth(),
            };
            let mut config = builder.with_single_cert(chain.clone(), key.clone_key()).map_err(|cause| {
                wrong("transport.tls.cert", &at.cert, format!("does not go with {}: {cause}", at.key))
            })?;
            let protocol = if speaks == Speaks::Grpc { "h2" } else { "http/1.1" };
            config.alpn_protocols = vec![protocol.into()];
            Ok(Arc::new(config))
        };
        Ok(Loaded {
            grpc: config(Speaks::Grpc)?,
            http: config(Speaks::Http)?,
            metrics: config(Speaks::Metrics)?,
            digest: self.digest(),
        })
    }
}

/// The cryptography of every connection, named here since a process may have no default.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(crate) fn read(setting: &'static str, path: &str) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|cause| ConfigError::File {
        setting,
        path: path.to_owned(),
        cause: cause.to_string(),
    })
}

pub(crate) fn unusable(setting: &'static str, path: &str, cause: String) -> ConfigError {
    ConfigError::Unusable { setting, path: path.to_owned(), cause }
}

/// The certificates of a PEM file, at least one.
pub(crate) fn certificates(
    setting: &'static str,
    path: &str,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|cause| unusable(setting, path, cause.to_string()))?;
    if found.is_empty() {
        return Err(unusable(setting, path, "it holds no certificate, required PEM".into()));
    }
    Ok(found)
}

/// The first private key of a PEM file.
pub(crate) fn private_key(
    setting: &'static str,
    path: &str,
    bytes: &[u8],
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    PrivateKeyDer::from_pem_slice(bytes)
        .map_err(|cause| unusable(setting, path, format!("no private key can be read from it: {cause}")))
}

/// The certificates of a PEM file as roots.
pub(crate) fn roots(setting: &'static str, path: &str, bytes: &[u8]) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(setting, path, bytes)? {
        roots.add(certificate).map_err(|cause| unusable(setting, path, cause.to_string()))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::ClientConfig;

    /// Writes a certificate that stands for itself, and gives it back.
    fn write(folder: &std::path::Path) -> CertificateDer<'static> {
        let made =
            rcgen::generate_simple_self_signed(vec!["here.example".to_owned()]).expect("a certificate");
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
        made.cert.der().clone()
    }

    async fn shakes_hands(with: &Certificates, trusted: &CertificateDer<'static>) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).expect("a root");
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let name = "here.example".try_into().expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let acceptor = with.acceptor(Speaks::Grpc);
        let (shaken, _) = tokio::join!(connector.connect(name, theirs), acceptor.accept(ours));
        shaken.is_ok()
    }

    #[tokio::test]
    async fn what_is_written_to_the_files_is_taken_over_and_what_is_broken_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = write(folder.path());
        let [cert, key] = ["cert.pem", "key.pem"].map(|file| folder.path().join(file).display().to_string());
        let files = ServerTls { cert, key, client_ca: String::new() };
        let certificates = Certificates::load(&files).expect("usable").expect("switched on");
        assert!(shakes_hands(&certificates, &old).await);
        assert!(!certificates.look().expect("usable"), "nothing has changed");

        let new = write(folder.path());
        assert!(certificates.look().expect("usable"));
        assert!(shakes_hands(&certificates, &new).await && !shakes_hands(&certificates, &old).await);

        std::fs::write(folder.path().join("cert.pem"), "half a").expect("written");
        let refused = certificates.look().expect_err("broken").to_string();
        assert!(refused.contains("transport.tls.cert") && refused.contains("cert.pem"), "{refused}");
        assert!(shakes_hands(&certificates, &new).await, "those in force stay");
    }
}
