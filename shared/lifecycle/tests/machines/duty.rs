//! §10.1 duties: four clocks and one event; done once, by the role of the table, within the period or late.

use lifecycle::duty::{Activity, Duty, Frequency, Standing, after_change, schedule};

use super::*;

fn role_of(activity: Activity) -> Role {
    match activity {
        Activity::PerformanceReview => Role::MlOpsEngineer,
        Activity::DriftAssessment => Role::MlEngineer,
        Activity::SecurityScan => Role::Security,
        Activity::DocumentationUpdate => Role::Developer,
        Activity::RetrainingEvaluation => Role::MlLead,
    }
}

/// Least and most days of a period.
fn days(frequency: Frequency) -> Option<(u64, u64)> {
    match frequency {
        Frequency::Weekly => Some((7, 7)),
        Frequency::Monthly => Some((28, 31)),
        Frequency::Quarterly => Some((89, 92)),
        Frequency::PerChange => None,
    }
}

proptest! {
    /// Periods follow each other without a gap, each as long as its name says, and only the last one is not over.
    #[test]
    fn periods_cover_time_without_a_gap(anchor in 0u64..400 * DAY, lasts in 0u64..800 * DAY) {
        let now = anchor + lasts;
        for row in &policy().duties.activities {
            let duties = schedule(row, at(anchor), at(now));
            let Some((least, most)) = days(row.frequency) else {
                prop_assert!(duties.is_empty(), "{} is no clock", row.activity);
                continue;
            };
            let mut from = at(anchor);
            for duty in &duties {
                let long = duty.due.duration_since(duty.from).expect("due after its start").as_secs();
                prop_assert!((least * DAY..=most * DAY).contains(&long), "{} lasts {} s", row.activity, long);
                prop_assert_eq!(duty.from, from);
                from = duty.due;
            }
            prop_assert!(from > at(now) && duties.last().is_some_and(|last| last.from <= at(now)));
        }
    }

    /// A duty is done once, by its role, not before its period; late work stays late.
    #[test]
    fn a_duty_is_done_as_the_model_says(
        activity in any_of(Activity::ALL),
        calls in vec((any::<bool>(), any_of(Role::ALL), select(vec![0u64, 99, 100, 199, 200, 201, 300])), 1..8),
    ) {
        let policy = &policy().duties;
        let mut duty = Duty { activity, from: at(100), due: at(200), done: None };
        let mut finished = None;
        for (right, other, time) in calls {
            let role = if right { role_of(activity) } else { other };
            let want = match () {
                () if role != role_of(activity) => "ROLE_MAY_NOT",
                () if finished.is_some() => "ALREADY_DONE",
                () if time < 100 => "TOO_EARLY",
                () => "",
            };
            let answer = duty.clone().complete(by(role, time), policy);
            prop_assert_eq!(reason(&answer), want);
            if let Ok(next) = answer {
                duty = next;
                finished = Some(time);
            }
            let standing = match finished {
                None if time > 200 => Standing::Overdue,
                None => Standing::Open,
                Some(time) if time > 200 => Standing::DoneLate,
                Some(_) => Standing::Done,
            };
            prop_assert_eq!(duty.standing(at(time)), standing);
            let late = matches!(duty.standing(at(time)), Standing::Overdue | Standing::DoneLate);
            prop_assert_eq!(duty.nonconformity(at(time), policy).is_some(), late);
        }
    }
}

/// A change starts one duty, due a week later; a clock is not moved by it.
#[test]
fn a_change_asks_for_its_documentation() {
    for row in &policy().duties.activities {
        let duty = after_change(row, at(5), &policy().duties);
        let due = duty.map(|duty| (duty.from, duty.due));
        let documents = row.activity == Activity::DocumentationUpdate;
        assert_eq!(due, documents.then_some((at(5), at(5 + 7 * DAY))), "{}", row.activity);
    }
}

#[test]
fn duties_over_a_virtual_year() {
    let policy = &policy().duties;
    let expected = [52, 12, 12, 0, 4];
    for (row, count) in policy.activities.iter().zip(expected) {
        let year = at(365 * DAY);
        let duties = schedule(row, at(0), year);
        let due = duties.iter().filter(|duty| duty.due <= year).count();
        assert_eq!(due, count, "{}", row.activity);
        let late = duties.iter().filter(|duty| duty.standing(year) == Standing::Overdue).count();
        assert_eq!(late, duties.iter().filter(|duty| duty.due < year).count());
        for one in duties {
            let by = Approval::new("somebody", row.role, one.due);
            assert_eq!(one.complete(by, policy).expect("right role").standing(year), Standing::Done);
        }
    }
}
