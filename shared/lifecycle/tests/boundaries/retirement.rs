//! §10.2: 30 days in a row, 10 % and more; §10.3: 30 days of notice, records kept for years.

use lifecycle::acceptance::Metric;
use lifecycle::alert::{Category, Judgement};
use lifecycle::deployment::Done;
use lifecycle::retirement::{
    Comparison, Criterion, Fact, Retirement, day, degraded_days, is_degraded, judges_performance,
    may_delete_records, primary_direction,
};
use lifecycle::selection_criteria::Direction;

use super::*;

/// One rule that would fire makes a day bad; too few samples of everything make it no day at all.
#[test]
fn a_day_is_judged_by_what_has_enough_samples() {
    let few = Judgement::Inconclusive { needed: 100 };
    assert_eq!(day(&[few, Judgement::Undefined]), None);
    assert_eq!(day(&[few, Judgement::Quiet]), Some(false));
    assert_eq!(day(&[Judgement::Quiet, Judgement::Firing, few]), Some(true));
    for rule in &policy().monitoring.alerts {
        let performance = matches!(rule.category, Category::Performance | Category::Quality);
        assert_eq!(judges_performance(rule), performance, "{}", rule.metric);
    }
}

/// Reading 6: §7.3 says which way its metrics are better; any other metric is declared, whatever it is called.
#[test]
fn the_direction_of_the_primary_metric_is_never_guessed() {
    let policy = &policy().acceptance;
    let told = |metric: Metric, declared| primary_direction(metric.as_str(), Some(metric), declared, policy);
    for metric in Metric::ALL.iter().copied() {
        let more = matches!(metric, Metric::TaskAccuracy | Metric::DemographicParity);
        let (right, wrong) =
            if more { (Direction::Higher, Direction::Lower) } else { (Direction::Lower, Direction::Higher) };
        assert_eq!(told(metric, None), Ok(right), "{metric}");
        assert_eq!(told(metric, Some(right)), Ok(right), "{metric}");
        let contradicts = told(metric, Some(wrong)).expect_err("§7.3 says otherwise");
        assert_eq!(contradicts.reason(), "METRIC_DIRECTION");
    }
    for name in ["f1", "error_free_share", "loss", "rmse", "latency_score"] {
        for declared in Direction::ALL.iter().copied() {
            assert_eq!(primary_direction(name, None, Some(declared), policy), Ok(declared), "{name}");
        }
        let silent = primary_direction(name, None, None, policy).expect_err("nothing says so");
        assert_eq!((silent.reason(), silent.clause()), ("METRIC_DIRECTION", "reading 6"));
    }
}

proptest! {
    /// Day 29 no, day 30 yes; a good day, or one that nobody measured, begins the count anew.
    #[test]
    fn thirty_days_in_a_row(before in vec(any::<Option<bool>>(), 0..40), bad in 0u32..60) {
        let mut days = before;
        days.push(Some(false));
        let fresh = days.len();
        days.extend(vec![Some(true); bad as usize]);
        prop_assert_eq!(degraded_days(&days), bad);
        prop_assert_eq!(is_degraded(&days, &policy().retirement), bad >= 30);
        days[fresh - 1] = None;
        prop_assert_eq!(is_degraded(&days, &policy().retirement), bad >= 30);
    }

    /// 10 % better is enough, 9.99 % is not; counted in ten-thousandths, so that the boundary is met exactly.
    #[test]
    fn ten_percent_better(old in 1u64..=900, off in -30i64..=30, higher in any::<bool>()) {
        let (old, gain) = (old * 10, old as i64 + off);
        let new = if higher { old as i64 + gain } else { old as i64 - gain };
        let comparison = |uncertainty: f64| Comparison {
            old: old as f64 / 10_000.0, new: new as f64 / 10_000.0, uncertainty, higher_is_better: higher,
            old_dataset: "d".into(), new_dataset: "d".into(),
        };
        let policy = &policy().retirement;
        prop_assert_eq!(comparison(0.0).supersedes(policy), off >= 0 && gain > 0, "{} to {}", old, new);
        let elsewhere = Comparison { new_dataset: "e".into(), ..comparison(0.0) };
        prop_assert!(!elsewhere.supersedes(policy));
        prop_assert!(!comparison((new as f64 - old as f64).abs() / 10_000.0 + 1e-9).supersedes(policy));
        for bad in NO_NUMBERS {
            let (new, old) = (Comparison { new: bad, ..comparison(0.0) }, Comparison { old: bad, ..comparison(0.0) });
            prop_assert!(![new, old, comparison(bad)].iter().any(|one| one.supersedes(policy)), "{}", bad);
        }
        let from_nothing = Comparison { old: 0.0, ..comparison(0.0) };
        prop_assert!(!from_nothing.supersedes(policy));
    }

    /// Traffic goes to zero after 30 days of notice, not a moment earlier; security waits for nobody.
    #[test]
    fn thirty_days_of_notice(nanos in nanos(), criterion in select(Criterion::ALL)) {
        let policy = &policy().retirement;
        let done = |when| Done { evidence: "proof".into(), who: "ml-ops-engineer".into(), when };
        let moment = at(0) + around(30 * DAY, nanos);
        let announced = Retirement::new(criterion)
            .complete(&Fact::Announced, done(at(0)), at(0), policy)
            .expect("announced");
        let harmful = [Criterion::SecurityVulnerability, Criterion::ComplianceIssue].contains(&criterion);
        prop_assert_eq!(announced.promises_service(policy), !harmful);
        let ready = announced
            .complete(&Fact::Migrated { remaining: vec![] }, done(at(1)), at(1), policy)
            .expect("migrated");
        prop_assert!(!ready.promises_service(policy), "nobody is left to serve");
        let security = criterion == Criterion::SecurityVulnerability;
        let early = if nanos < 0 && !security { Duration::from_nanos(nanos.unsigned_abs()) } else { Duration::ZERO };
        prop_assert_eq!(ready.notice_left(moment, policy), early);
        let gone = ready.complete(&Fact::Traffic { percent: 0 }, done(moment), moment, policy);
        prop_assert_eq!(gone.is_ok(), early.is_zero());
    }

    /// Records are kept for seven or ten years; a legal hold has no end; an unknown class is kept.
    #[test]
    fn records_outlive_the_model(
        class in select(vec!["standard", "regulated", "for-a-while"]), nanos in nanos(), hold in any::<bool>(),
    ) {
        let years = if class == "standard" { 2_557 } else { 3_653 };
        let now = at(0) + around(years * DAY, nanos);
        let answer = may_delete_records(class, hold, at(0), now, &policy().retirement);
        prop_assert_eq!(answer.is_ok(), nanos >= 0 && !hold && class != "for-a-while");
    }
}

#[test]
fn day_29_no_day_30_yes_and_9_99_percent_no() {
    let policy = &policy().retirement;
    assert!(!is_degraded(&[Some(true); 29], policy));
    assert!(is_degraded(&[Some(true); 30], policy));
    let mut gap = vec![Some(true); 40];
    gap[20] = None;
    assert!(!is_degraded(&gap, policy));
    let better = |new| Comparison {
        old: 0.8,
        new,
        uncertainty: 0.01,
        higher_is_better: true,
        old_dataset: "d".into(),
        new_dataset: "d".into(),
    };
    assert!(better(0.88).supersedes(policy));
    assert!(!better(0.8 * 1.0999).supersedes(policy));
    assert!(!Comparison { uncertainty: f64::NAN, ..better(0.9) }.supersedes(policy));
    assert!(!Comparison { new_dataset: "e".into(), ..better(0.9) }.supersedes(policy));
}
