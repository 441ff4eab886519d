//! §6.4 to §10.3: the states of a model version, and every way from one to another.
//!
//! `REJECTED`, `ROLLED_BACK`, `RETIRED` and `REVOKED` are ends: a rollback is final (§8.3) and there is no way back from a
//! retirement (§10.3). An end leads nowhere but to `REVOKED`, because bytes can turn out to be unsafe at any time.

use std::fmt;

use crate::approval::join;
use crate::refuse;
use crate::rejection::Rejection;

/// The state of a model version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Registered.
    Draft,
    /// Submitted: stands before its gates.
    Evaluating,
    /// G1, G2 and G3 hold.
    Approved,
    /// A gate was refused on complete evidence.
    Rejected,
    /// Takes a share of the traffic below 100 %.
    Canary,
    /// The stable version of a deployment.
    Production,
    /// Was the stable version until a later one took its place.
    Superseded,
    /// Taken off traffic for good.
    RolledBack,
    /// Its retirement is announced; it may serve until its traffic goes to zero.
    Deprecated,
    /// Its retirement is complete.
    Retired,
    /// Not safe.
    Revoked,
}

use State::{
    Approved, Canary, Deprecated, Draft, Evaluating, Production, Rejected, Retired, Revoked, RolledBack,
    Superseded,
};

impl State {
    /// Every state.
    pub const ALL: &'static [Self] = &[
        Draft, Evaluating, Approved, Rejected, Canary, Production, Superseded, RolledBack, Deprecated,
        Retired, Revoked,
    ];

    /// The spelling of records: `ROLLED_BACK`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Draft => "DRAFT",
            Evaluating => "EVALUATING",
            Approved => "APPROVED",
            Rejected => "REJECTED",
            Canary => "CANARY",
            Production => "PRODUCTION",
            Superseded => "SUPERSEDED",
            RolledBack => "ROLLED_BACK",
            Deprecated => "DEPRECATED",
            Retired => "RETIRED",
            Revoked => "REVOKED",
        }
    }

    /// Whether a version in this state may take traffic of an endpoint.
    pub const fn may_serve(self) -> bool {
        matches!(self, Canary | Production | Deprecated)
    }

    /// Whether a version in this state may stand behind a staging endpoint (§8.1 STAGE).
    pub const fn may_stage(self) -> bool {
        self.may_be_prepared() || self.may_serve()
    }

    /// Whether an evaluation of a version in this state may be recorded (§7): what is in use is measured again, what is a
    /// draft, gone or unsafe is not.
    pub const fn may_be_measured(self) -> bool {
        !matches!(self, Draft | Retired | Revoked)
    }

    /// Whether a version in this state stands before its gates: reviewed (§7.4, §8.1 G3) and judged by G1 to G3.
    pub const fn may_be_judged(self) -> bool {
        matches!(self, Evaluating | Approved)
    }

    /// Whether a rollout of a version in this state may be opened and staged (§8.2): it need not have passed its gates yet, and
    /// must not have been decided against.
    pub const fn may_be_prepared(self) -> bool {
        self.may_be_judged()
    }

    /// The states for which `may` holds, in words: `EVALUATING or APPROVED`.
    pub fn named(may: impl Fn(Self) -> bool) -> String {
        let names: Vec<&str> =
            Self::ALL.iter().filter(|state| may(**state)).map(|state| state.as_str()).collect();
        names.join(" or ")
    }

    /// That a version may be dealt with in this state.
    /// # Errors
    /// `VERSION_STATE` with the states for which `may` holds.
    pub fn require(self, may: impl Fn(Self) -> bool, version: &str) -> Result<(), Rejection> {
        if may(self) {
            return Ok(());
        }
        refuse::one("VERSION_STATE", version, "§6.4", "model version", Self::named(may), self.as_str())
    }

    /// Whether a patch may rely on approvals of a version in this state (reading 8): not where it was found wanting.
    pub const fn lends_approvals(self) -> bool {
        !matches!(self, Draft | Rejected | RolledBack | Revoked)
    }

    /// Whether callers may be sent to a version in this state (§10.2, §10.3 step 2).
    pub const fn succeeds(self) -> bool {
        matches!(self, Approved | Canary | Production)
    }

    fn go(self, from: &[Self], to: Self) -> Result<Self, Rejection> {
        if from.contains(&self) {
            return Ok(to);
        }
        refuse::one(
            "VERSION_STATE",
            "model version",
            "§6.4",
            "state of the version",
            join(from),
            self.as_str(),
        )
    }

    /// The author hands it in.
    /// # Errors
    /// `VERSION_STATE`, as every other verb.
    pub fn submit(self) -> Result<Self, Rejection> {
        self.go(&[Draft], Evaluating)
    }

    /// A gate was refused on complete evidence.
    /// # Errors
    /// `VERSION_STATE`.
    pub fn reject(self) -> Result<Self, Rejection> {
        self.go(&[Evaluating], Rejected)
    }

    /// The last of G1, G2 and G3 passed.
    /// # Errors
    /// `VERSION_STATE`.
    pub fn approve(self) -> Result<Self, Rejection> {
        self.go(&[Evaluating], Approved)
    }

    /// The canary starts (§8.2).
    /// # Errors
    /// `VERSION_STATE`.
    pub fn canary(self) -> Result<Self, Rejection> {
        self.go(&[Approved], Canary)
    }

    /// The canary has climbed to all traffic.
    /// # Errors
    /// `VERSION_STATE`.
    pub fn promote(self) -> Result<Self, Rejection> {
        self.go(&[Canary], Production)
    }

    /// A later version took its place. One whose retirement is announced stays announced.
    /// # Errors
    /// `VERSION_STATE`.
    pub fn supersede(self) -> Result<Self, Rejection> {
        if self == Deprecated { Ok(self) } else { self.go(&[Production], Superseded) }
    }

    /// It is taken off traffic (§8.3). Only what serves can be taken off: `serves` says that it is a canary that runs, or
    /// the stable version of its deployment.
    /// # Errors
    /// `VERSION_STATE`, or `VERSION_NOT_SERVING`.
    pub fn roll_back(self, serves: bool) -> Result<Self, Rejection> {
        let gone = self.go(&[Canary, Production, Deprecated], RolledBack)?;
        if serves {
            return Ok(gone);
        }
        let (required, observed) = ("canary or stable version of the deployment", "serves no traffic there");
        refuse::one("VERSION_NOT_SERVING", "rollback", "§8.3", "model version", required, observed)
    }

    /// It takes its place again after the version that superseded it was taken back. One whose retirement is announced does
    /// so as long as service is `promised` ([`crate::retirement::Retirement::promises_service`]), and stays announced.
    /// # Errors
    /// `VERSION_STATE`: no other version left its place for no reason of its own.
    pub fn restore(self, promised: bool) -> Result<Self, Rejection> {
        if promised && self == Deprecated { Ok(self) } else { self.go(&[Superseded], Production) }
    }

    /// Its retirement is announced (§10.3 step 1). What was taken off traffic stays what it is.
    /// # Errors
    /// `VERSION_STATE`.
    pub fn deprecate(self) -> Result<Self, Rejection> {
        match self {
            RolledBack | Revoked => Ok(self),
            _ => self.go(&[Approved, Production, Superseded], Deprecated),
        }
    }

    /// Its retirement is complete (§10.3 step 7). What was taken off traffic stays what it is.
    /// # Errors
    /// `VERSION_STATE`.
    pub fn retire(self) -> Result<Self, Rejection> {
        match self {
            RolledBack | Revoked => Ok(self),
            _ => self.go(&[Deprecated], Retired),
        }
    }

    /// It is not safe (§8.3).
    /// # Errors
    /// `VERSION_STATE` if it was revoked before.
    pub fn revoke(self) -> Result<Self, Rejection> {
        let others: Vec<Self> = Self::ALL.iter().copied().filter(|state| *state != Revoked).collect();
        self.go(&others, Revoked)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENDS: [State; 4] = [Rejected, RolledBack, Retired, Revoked];

    /// The eleven verbs; then a rollback of what does not serve, and a return with a promise of service.
    fn verb(at: usize, state: State) -> Result<State, Rejection> {
        match at {
            0 => state.submit(),
            1 => state.reject(),
            2 => state.approve(),
            3 => state.canary(),
            4 => state.promote(),
            5 => state.supersede(),
            6 => state.roll_back(true),
            7 => state.restore(false),
            8 => state.deprecate(),
            9 => state.retire(),
            10 => state.revoke(),
            11 => state.roll_back(false),
            _ => state.restore(true),
        }
    }

    proptest! {
        /// Whatever is called, an end is left for REVOKED alone, and nothing at an end serves or is staged.
        #[test]
        fn an_end_is_final_and_never_serves(verbs in proptest::collection::vec(0_usize..13, 0..60)) {
            let mut state = Draft;
            for at in verbs {
                let Ok(next) = verb(at, state) else { continue };
                prop_assert!(!ENDS.contains(&state) || next == state || next == Revoked, "{state} -> {next}");
                prop_assert!(next != Production || matches!(state, Canary | Superseded), "{state} -> {next}");
                prop_assert!(next != Canary || state == Approved, "{state} -> {next}");
                prop_assert!(at != 11, "what does not serve was rolled back from {state}");
                state = next;
                prop_assert!(!ENDS.contains(&state) || !(state.may_serve() || state.may_stage()));
            }
        }
    }

    /// What may be done with a version in which state, each state once.
    #[test]
    fn what_a_state_allows() {
        let gone = [Draft, Retired, Revoked];
        for state in State::ALL.iter().copied() {
            assert_eq!(state.may_be_measured(), !gone.contains(&state), "{state}");
            assert_eq!(state.may_be_judged(), [Evaluating, Approved].contains(&state), "{state}");
            assert_eq!(state.may_be_prepared(), state.may_be_judged(), "{state}");
            assert_eq!(state.may_stage(), state.may_be_prepared() || state.may_serve(), "{state}");
            let asked = state.require(State::may_be_judged, "models/m/versions/1.0.0");
            assert_eq!(asked.is_ok(), state.may_be_judged(), "{state}");
        }
        let refused = Draft.require(State::may_be_judged, "models/m/versions/1.0.0").expect_err("a draft");
        assert_eq!(
            (refused.reason(), refused.to_string().as_str()),
            (
                "VERSION_STATE",
                "models/m/versions/1.0.0 refused: §6.4 model version DRAFT, required EVALUATING or APPROVED"
            )
        );
    }

    /// Each verb from each state: what is not listed is refused, with the states that are asked for.
    #[test]
    fn every_way_is_listed() {
        let ways: [&[(State, State)]; 13] = [
            &[(Draft, Evaluating)],
            &[(Evaluating, Rejected)],
            &[(Evaluating, Approved)],
            &[(Approved, Canary)],
            &[(Canary, Production)],
            &[(Production, Superseded), (Deprecated, Deprecated)],
            &[(Canary, RolledBack), (Production, RolledBack), (Deprecated, RolledBack)],
            &[(Superseded, Production)],
            &[
                (Approved, Deprecated),
                (Production, Deprecated),
                (Superseded, Deprecated),
                (RolledBack, RolledBack),
                (Revoked, Revoked),
            ],
            &[(Deprecated, Retired), (RolledBack, RolledBack), (Revoked, Revoked)],
            &[
                (Draft, Revoked),
                (Evaluating, Revoked),
                (Approved, Revoked),
                (Rejected, Revoked),
                (Canary, Revoked),
                (Production, Revoked),
                (Superseded, Revoked),
                (RolledBack, Revoked),
                (Deprecated, Revoked),
                (Retired, Revoked),
            ],
            &[],
            &[(Superseded, Production), (Deprecated, Deprecated)],
        ];
        for (at, ways) in ways.iter().enumerate() {
            for state in State::ALL {
                let wanted = ways.iter().find(|(from, _)| from == state).map(|(_, to)| *to);
                assert_eq!(verb(at, *state).ok(), wanted, "verb {at} from {state}");
            }
        }
        let refused = Superseded.roll_back(true).expect_err("took its leave");
        assert_eq!(
            refused.to_string(),
            "model version refused: §6.4 state of the version SUPERSEDED, required CANARY, PRODUCTION, DEPRECATED"
        );
    }
}
