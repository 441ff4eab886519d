//! Who this gateway is, and whose signatures it believes.

use std::io;

use storage::audit::{VerifyingKey, public_key_from_pem};

use super::Files;

const NAME: &str = "gateway-id";
const KEY: &str = "registry-key.pem";

impl Files {
    /// The configured name, or the one made at the first start.
    ///
    /// # Errors
    /// Of the file system.
    pub fn identity(&self, configured: &str) -> io::Result<String> {
        if !configured.is_empty() {
            return Ok(configured.to_owned());
        }
        if let Some(kept) = self.read(NAME)?
            && let Ok(name) = String::from_utf8(kept)
            && contracts::name::is_id(&name)
        {
            return Ok(name);
        }
        let name = format!("gateway-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        self.write(NAME, name.as_bytes())?;
        Ok(name)
    }

    /// The pinned key of the registry: the configured file, or the one kept from the first contact.
    ///
    /// # Errors
    /// If a file is there and holds no Ed25519 public key.
    pub fn registry_key(&self, configured: &str) -> anyhow::Result<Option<VerifyingKey>> {
        let pem = if configured.is_empty() {
            self.read(KEY)?.map(String::from_utf8).transpose()?
        } else {
            Some(std::fs::read_to_string(configured)?)
        };
        Ok(pem.map(|pem| public_key_from_pem(&pem)).transpose()?)
    }

    /// Pins the key that the registry showed first.
    ///
    /// # Errors
    /// If it is no key or cannot be kept.
    pub fn pin_registry_key(&self, pem: &str) -> anyhow::Result<VerifyingKey> {
        let key = public_key_from_pem(pem)?;
        self.write(KEY, pem.as_bytes())?;
        Ok(key)
    }
}
