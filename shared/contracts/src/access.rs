//! Who may call what: the table of `access.yaml`, checked against the descriptors when this crate is built.

/// `(method, roles)`: `"public"` needs no key, `"*"` any caller with a key. Sorted by method.
pub const TABLE: &[(&str, &[&str])] = include!(concat!(env!("OUT_DIR"), "/access.rs"));

/// The roles that may call `method`, `/package.Service/Method`; none for a method that does not exist.
pub fn roles(method: &str) -> &'static [&'static str] {
    TABLE.binary_search_by(|(name, _)| name.cmp(&method)).map_or(&[], |at| TABLE[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_rows_and_refuses_the_unknown() {
        assert_eq!(roles("/wlp.registry.v1.EvaluationService/CreateEvaluation"), ["evaluator"]);
        assert!(roles("/wlp.registry.v1.EvaluationService/DropEverything").is_empty());
        assert!(TABLE.is_sorted_by_key(|(name, _)| *name));
    }
}
