//! §9.1 the life of an alert: only quiet windows in a row close it.

use lifecycle::alert::{Alert, Judgement, step, volume_drop};

use super::*;

/// Open since when, whether acknowledged, quiet windows in a row.
type Model = Option<(u64, bool, u32)>;

fn model(before: Model, judged: Judgement, now: u64) -> Model {
    match (before, judged) {
        (None, Judgement::Firing) => Some((now, false, 0)),
        (Some((since, answered, _)), Judgement::Firing) => Some((since, answered, 0)),
        (Some((.., quiet)), Judgement::Quiet) if quiet + 1 == 3 => None,
        (Some((since, answered, quiet)), Judgement::Quiet) => Some((since, answered, quiet + 1)),
        (before, _) => before,
    }
}

fn seen(alert: Option<&Alert>) -> Model {
    let passed = |time: SystemTime| time.duration_since(at(0)).map_or(0, |time| time.as_secs());
    match alert {
        None | Some(Alert::Closed { .. }) => None,
        Some(Alert::Open { since, quiet }) => Some((passed(*since), false, *quiet)),
        Some(Alert::Acknowledged { since, quiet, .. }) => Some((passed(*since), true, *quiet)),
    }
}

proptest! {
    /// Firing opens, answering keeps open, three quiet windows close; silence and doubt change nothing.
    #[test]
    fn an_alert_lives_as_the_model_does(calls in vec(0usize..6, 0..80)) {
        let judgements =
            [Judgement::Firing, Judgement::Quiet, Judgement::Inconclusive { needed: 100 }, Judgement::Undefined];
        let quiet_windows = policy().monitoring.quiet_windows.value;
        let (mut alert, mut want): (Option<Alert>, Model) = (None, None);
        for (now, call) in (0..).zip(calls) {
            if let Some(judged) = judgements.get(call) {
                alert = step(alert, *judged, at(now), quiet_windows);
                want = model(want, *judged, now);
            } else if let Some(known) = alert.clone() {
                let answered = known.acknowledge(if call == 4 { "ml-ops-engineer" } else { " " }, at(now));
                let may = call == 4 && matches!(want, Some((_, false, _)));
                prop_assert_eq!(answered.is_ok(), may);
                if let Ok(answered) = answered {
                    alert = Some(answered);
                    want = want.map(|(since, _, quiet)| (since, true, quiet));
                }
            }
            prop_assert_eq!(seen(alert.as_ref()), want);
        }
    }
}

#[test]
fn only_quiet_windows_close_an_alert() {
    let open = step(None, Judgement::Firing, at(0), 3);
    let open = step(open, Judgement::Undefined, at(60), 3);
    let open = step(open, Judgement::Quiet, at(120), 3);
    let open = step(open, Judgement::Inconclusive { needed: 100 }, at(180), 3);
    let open = step(open, Judgement::Quiet, at(240), 3);
    assert_eq!(open.as_ref().map(Alert::as_str), Some("OPEN"));
    let closed = step(open, Judgement::Quiet, at(300), 3);
    assert_eq!(closed.as_ref().map(Alert::as_str), Some("CLOSED"));
    assert_eq!(volume_drop(80, &[100, 90, 400]), Some(0.2));
    assert_eq!(volume_drop(80, &[]), None);
}
