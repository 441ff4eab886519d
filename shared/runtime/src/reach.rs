//! Connections to a called service over TLS, with certificates read anew for each of them.

use std::io;
use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::config::ConfigError;
use crate::tls::{certificates, private_key, provider, read, roots, unusable};
use crate::transport::ClientTls;

/// What a called service must show, and what it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    files: Arc<ClientTls>,
}

impl Trust {
    /// Reads the files of `[transport.client]` once, so that what is wrong with them is known before the first call.
    ///
    /// # Errors
    /// [`ConfigError`] with the setting, the file and what is wrong with it.
    pub(crate) fn new(files: &ClientTls) -> Result<Self, ConfigError> {
        if files.ca.is_empty() {
            return Err(ConfigError::Invalid("transport.client.ca: missing, https:// needs it".into()));
        }
        if files.cert.is_empty() != files.key.is_empty() {
            let text = "transport.client: cert and key go together, one of them is missing";
            return Err(ConfigError::Invalid(text.into()));
        }
        config(files)?;
        Ok(Self { files: Arc::new(files.clone()) })
    }

    /// A connection to the host of `uri`, once it has shown a certificate that is trusted.
    pub(crate) async fn connect(self, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let other = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        let host = uri.host().ok_or_else(|| other(format!("{uri} has no host")))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name =
            ServerName::try_from(host.to_owned()).map_err(|cause| other(format!("{host}: {cause}")))?;
        let files = self.files.clone();
        let config = tokio::task::spawn_blocking(move || config(&files))
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)?;
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(TokioIo::new(stream))
    }
}

fn config(files: &ClientTls) -> Result<ClientConfig, ConfigError> {
    let ca = "transport.client.ca";
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|cause| unusable(ca, &files.ca, cause.to_string()))?
        .with_root_certificates(roots(ca, &files.ca, &read(ca, &files.ca)?)?);
    let mut config = if files.cert.is_empty() {
        builder.with_no_client_auth()
    } else {
        let (cert, key) = ("transport.client.cert", "transport.client.key");
        let chain = certificates(cert, &files.cert, &read(cert, &files.cert)?)?;
        let secret = private_key(key, &files.key, &read(key, &files.key)?)?;
        builder.with_client_auth_cert(chain, secret).map_err(|cause| {
            unusable(cert, &files.cert, format!("does not go with {}: {cause}", files.key))
        })?
    };
    config.alpn_protocols = vec!["h2".into()];
    Ok(config)
}
