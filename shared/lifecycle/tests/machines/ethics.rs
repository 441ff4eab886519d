//! §7.4 an ethics review: five items, then the votes of the board, and no contributor among them.

use lifecycle::ethics::{EthicsItem, ItemRecord, approved, record_item, vote};

use super::given::gates::review;
use super::*;

#[derive(Clone, Debug)]
enum Act {
    Item(usize, &'static str),
    Vote(&'static str),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let people = || select(vec!["ethics-reviewer", "board-a", "board-b", "ml-engineer"]);
    vec(
        prop_oneof![
            (0usize..5, people()).prop_map(|(item, who)| Act::Item(item, who)),
            people().prop_map(Act::Vote)
        ],
        0..40,
    )
}

proptest! {
    /// However people act, an approved review has five items by non-contributors, then a quorum of other board members.
    #[test]
    fn ethics_approval_comes_last_and_never_from_a_contributor(acts in acts()) {
        let ethics = &policy().ethics;
        let mut review = review();
        for (time, act) in acts.into_iter().enumerate() {
            let time = at(time as u64);
            match act {
                Act::Item(item, who) => {
                    let assessor = Approval::new(who, Role::EthicsReviewer, time);
                    let record = ItemRecord { item: EthicsItem::ALL[item], evidence_digest: digest('b'), assessor };
                    if record_item(&review, &record, ethics).is_ok() { review.items.push(record); }
                }
                Act::Vote(who) => {
                    let ballot = Approval::new(who, Role::EthicsBoard, time);
                    if vote(&review, &ballot, ethics).is_ok() { review.votes.push(ballot); }
                }
            }
        }
        prop_assert!(review.votes.is_empty() || review.items.len() == 5);
        let who: BTreeSet<&str> = review.votes.iter().map(|vote| vote.principal.as_str()).collect();
        prop_assert!(!who.contains("ml-engineer") && !review.items.iter().any(|i| i.assessor.principal == "ml-engineer"));
        prop_assert_eq!(approved(&review, ethics).is_ok(), who.len() >= ethics.quorum.value);
    }
}
