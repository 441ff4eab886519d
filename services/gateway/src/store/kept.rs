//! The last route table, policies and references.

use std::io;

use contracts::registry::v1::RouteTable;
use lifecycle::Policy;
use prost::Message;

use super::Files;

const TABLE: &str = "routes.pb";

impl Files {
    /// The last table that was accepted. A damaged file counts as none: the registry has the table.
    ///
    /// # Errors
    /// Of the file system.
    pub fn route_table(&self) -> io::Result<Option<RouteTable>> {
        let Some(bytes) = self.read(TABLE)? else { return Ok(None) };
        let table = RouteTable::decode(bytes.as_slice());
        if let Err(error) = &table {
            tracing::error!(%error, "the kept route table is damaged");
        }
        Ok(table.ok())
    }

    /// Keeps a table.
    ///
    /// # Errors
    /// Of the file system.
    pub async fn keep_route_table(&self, table: &RouteTable) -> io::Result<()> {
        self.write_later(TABLE.to_owned(), table.encode_to_vec()).await
    }

    /// A kept policy of that digest.
    pub fn policy(&self, digest: &str) -> Option<Policy> {
        let bytes = self.read(&policy_file(digest)).ok()??;
        let policy = Policy::parse(&String::from_utf8(bytes).ok()?).ok()?;
        (policy.digest() == digest).then_some(policy)
    }

    /// Keeps a policy's text.
    ///
    /// # Errors
    /// Of the file system.
    pub async fn keep_policy(&self, digest: &str, yaml: String) -> io::Result<()> {
        self.write_later(policy_file(digest), yaml.into_bytes()).await
    }

    /// A kept message of the registry.
    pub fn reference<M: Message + Default>(&self, name: &str) -> Option<M> {
        let bytes = self.read(&reference_file(name)).ok()??;
        M::decode(bytes.as_slice()).ok()
    }

    /// Keeps a message of the registry.
    ///
    /// # Errors
    /// Of the file system.
    pub async fn keep_reference<M: Message>(&self, name: &str, message: &M) -> io::Result<()> {
        self.write_later(reference_file(name), message.encode_to_vec()).await
    }
}

fn policy_file(digest: &str) -> String {
    format!("policies/{}.yaml", digest.trim_start_matches("sha256:").replace(['/', '.'], "_"))
}

fn reference_file(name: &str) -> String {
    format!("references/{}.pb", Files::safe(name))
}
