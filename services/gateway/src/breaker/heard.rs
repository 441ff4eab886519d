//! What the other gateways have counted, by gateway.

use std::collections::BTreeMap;

use super::Counts;

/// What each other gateway last said. By gateway, so that one whose word is missing for a while (an emptied store, a slow
/// start) is not taken for new when it speaks again.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    by: BTreeMap<String, Counts>,
    /// Counted before this was kept by gateway: whoever is heard first has already been counted so far.
    nameless: Counts,
}

impl Heard {
    /// As it was written down: of all gateways, and by gateway.
    pub(super) fn restore(all: Counts, by: BTreeMap<String, Counts>) -> Self {
        let named = by.values().fold(Counts::default(), |sum, counts| sum.plus(*counts));
        Self { nameless: all.since(named), by }
    }

    /// By gateway, to be written down.
    pub(super) fn by_gateway(&self) -> &BTreeMap<String, Counts> {
        &self.by
    }

    /// Of all others.
    pub(super) fn total(&self) -> Counts {
        self.by.values().fold(self.nameless, |sum, counts| sum.plus(*counts))
    }

    /// Takes in what a gateway has counted in all, and gives what of it is new.
    pub(super) fn news(&mut self, gateway: &str, told: Counts) -> Counts {
        let before = self.by.get(gateway).copied().unwrap_or_else(|| {
            let known = self.nameless.at_most(told);
            self.nameless = self.nameless.since(known);
            known
        });
        self.by.insert(gateway.to_owned(), told);
        told.since(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(canary_errors: u64, canary_requests: u64) -> Counts {
        Counts { canary_errors, canary_requests, ..Counts::default() }
    }

    #[test]
    fn a_word_is_new_once() {
        let mut heard = Heard::default();
        assert_eq!(heard.news("a", counts(1, 10)), counts(1, 10));
        assert_eq!(heard.news("a", counts(1, 10)), counts(0, 0));
        assert_eq!(heard.news("b", counts(2, 5)), counts(2, 5));
        assert_eq!(heard.news("a", counts(3, 20)), counts(2, 10));
        assert_eq!(heard.total(), counts(5, 25));
        let mut again = Heard::restore(heard.total(), heard.by_gateway().clone());
        assert_eq!(again.news("b", counts(2, 6)), counts(0, 1));
        // It lost its disk and counts anew.
        assert_eq!(again.news("a", counts(0, 2)), counts(0, 0));
        assert_eq!(again.news("a", counts(1, 3)), counts(1, 1));
    }

    #[test]
    fn what_was_counted_without_names_is_not_counted_again() {
        let mut heard = Heard::restore(counts(3, 30), BTreeMap::new());
        assert_eq!(heard.news("a", counts(2, 20)), counts(0, 0));
        assert_eq!(heard.news("b", counts(2, 12)), counts(1, 2));
        assert_eq!(heard.total(), counts(4, 32));
    }
}
