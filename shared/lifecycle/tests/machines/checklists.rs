//! §8.2 the three lists: before the deployment all at once, in it and after it in order, each once, with proof, the
//! canary watched for an hour.

use lifecycle::checklist::{
    Acknowledgement, Checklist, DeployItem, PostItem, PreFacts, Rehearsal, check_pre,
};

use super::given::rollout::facts;
use super::*;

#[derive(Clone, Copy, Debug)]
enum Call {
    Deploy(DeployItem),
    Post(PostItem),
    /// Whatever comes next.
    Forward,
}

fn calls() -> impl Strategy<Value = Vec<(Call, u64, bool)>> {
    let call = prop_oneof![
        1 => any_of(DeployItem::ALL).prop_map(Call::Deploy),
        1 => any_of(PostItem::ALL).prop_map(Call::Post),
        3 => Just(Call::Forward),
    ];
    let wait = select(vec![0, 1, 1_800, 3_599, 3_600]);
    vec((call, wait, prop::bool::weighted(0.9)), 0..50)
}

proptest! {
    /// The lists stand where the model does, and the record closes only when all eleven items are done.
    #[test]
    fn items_are_ticked_in_their_order(calls in calls()) {
        let policy = &policy().deployment;
        let mut lists = Checklist::default();
        let (mut ticked, mut now, mut canary) = (0usize, 10, 0);
        for (call, wait, proven) in calls {
            now += wait;
            let record = Done { evidence: if proven { "proof".into() } else { " ".into() }, ..done(now) };
            let place = match call {
                Call::Deploy(item) => item as usize,
                Call::Post(item) => 7 + item as usize,
                Call::Forward if ticked < 11 => ticked,
                Call::Forward => continue,
            };
            let watched = place != 4 || now - canary >= 3_600; // "Monitor for 1 hour"
            let may = place == ticked && proven && watched;
            let answer = match place {
                0..7 => lists.clone().deploy_done(DeployItem::ALL[place], record, at(now), policy),
                _ => lists.clone().post_done(PostItem::ALL[place - 7], record, at(now), policy),
            };
            prop_assert_eq!(answer.is_ok(), may, "item {} of {} ticked: {:?}", place, ticked, answer);
            if let Ok(next) = answer {
                lists = next;
                ticked += 1;
                if place == 3 { canary = now; }
            }
            prop_assert_eq!(lists.deploy().len() + lists.post().len(), ticked);
            prop_assert_eq!(lists.close(policy).is_ok(), ticked == 11);
        }
    }

    /// Nothing is ticked for the future.
    #[test]
    fn no_item_is_dated_ahead(ahead in 0u64..100) {
        let answer = Checklist::default().deploy_done(
            DeployItem::DeployToStaging, done(100 + ahead), at(100), &policy().deployment,
        );
        prop_assert_eq!(answer.is_ok(), ahead == 0);
    }
}

#[test]
fn every_missing_pre_item_is_refused() {
    let policy = &policy().deployment;
    assert_eq!(
        check_pre(&PreFacts::default(), at(1), policy).expect_err("nothing is there").findings().len(),
        7
    );
    let mut late = facts();
    late.newest_record = Some(at(1));
    assert!(check_pre(&late, at(2), policy).is_err());
    let mut unrehearsed = facts();
    unrehearsed.rollback_plan = unrehearsed.rollback_plan.map(|r| Rehearsal { restored: false, ..r });
    assert!(check_pre(&unrehearsed, at(2), policy).is_err());
    let mut silent = facts();
    silent.on_call = Some(Acknowledgement { notified: at(0), acknowledged: None });
    assert!(check_pre(&silent, at(2), policy).is_err());
}
