//! Rollouts in virtual time: requests by the ladder of the policy, judged as the gateway judges them.

use lifecycle::policy::rollout::RolloutPolicy;
use lifecycle::rollback::{Breaker, breaker};
use statistics::CanaryTest;
use statistics::random::SplitMix64;

/// After so many requests a canary that broke counts as not found.
const PATIENCE: u64 = 20_000;

/// What serves, and how well.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    /// Requests of all, per second.
    pub per_second: f64,
    /// Share of its requests that the canary fails while nothing happens.
    pub canary: f64,
    /// Stable's share; without a stable version nobody answers the rest.
    pub stable: Option<f64>,
}

/// A canary that was found.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Its requests since it broke.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
}

/// Which of the next requests fail: the distance to the next failure is drawn, not each request.
#[derive(Debug, Clone)]
struct Failures {
    rate: f64,
    distance: u64,
}

impl Failures {
    fn new(rate: f64, rng: &mut SplitMix64) -> Self {
        let mut new = Self { rate, distance: 0 };
        new.distance = new.draw(rng);
        new
    }

    fn draw(&self, rng: &mut SplitMix64) -> u64 {
        // ln(1 - u) / ln(1 - rate), rounded down, is geometric; rates 0 and 1 give "never" and "at once".
        ((-rng.next_f64()).ln_1p() / (-self.rate).ln_1p()) as u64
    }

    fn among(&mut self, requests: u64, rng: &mut SplitMix64) -> u64 {
        let (mut left, mut failed) = (requests, 0);
        while self.distance < left {
            left -= self.distance + 1;
            failed += 1;
            self.distance = self.draw(rng);
        }
        self.distance -= left;
        failed
    }
}

/// One rollout under way.
#[derive(Debug, Clone)]
pub struct Ladder<'a> {
    policy: &'a RolloutPolicy,
    traffic: Traffic,
    test: CanaryTest,
    rng: SplitMix64,
    canary: Failures,
    stable: Failures,
    /// Stable requests that are due, times the canary's percent.
    due: u64,
}

impl<'a> Ladder<'a> {
    /// A rollout before its first request; the same seed gives the same rollout.
    pub fn new(policy: &'a RolloutPolicy, traffic: Traffic, seed: u64) -> Self {
        let rules = &policy.breaker;
        let test = CanaryTest::new(rules.max_error_rate.value, rules.healthy_error_rate.value)
            .expect("a policy's numbers make a test");
        let mut rng = SplitMix64::new(seed);
        let canary = Failures::new(traffic.canary, &mut rng);
        let stable = Failures::new(traffic.stable.unwrap_or(0.0), &mut rng);
        Self { policy, traffic, test, rng, canary, stable, due: 0 }
    }

    /// Requests that the canary gets in a step of the policy.
    pub fn requests(&self, step: usize) -> u64 {
        let step = &self.policy.steps[step];
        let share = f64::from(step.traffic_percent) / 100.0;
        let served = self.traffic.per_second * share * step.dwell.get().as_secs_f64();
        (served as u64).max(step.min_requests)
    }

    /// The next request of the canary, and stable's before it. True if it failed.
    fn serve(&mut self, percent: u32) -> bool {
        if self.traffic.stable.is_some() {
            self.due += u64::from(100 - percent);
            let beside = self.due / u64::from(percent);
            self.due %= u64::from(percent);
            let failed = self.stable.among(beside, &mut self.rng);
            self.test.observe_stable(failed, beside).expect("no more failed than asked");
        }
        let failed = self.canary.among(1, &mut self.rng);
        self.test.observe_canary(failed, 1).expect("no more failed than asked");
        failed > 0
    }

    fn is_off(&self) -> bool {
        breaker(self.test.peak_log_e(), &self.policy.breaker) == Breaker::Trip
    }

    /// Serves so many requests of the canary at a step; false once it is off traffic.
    pub fn advance(&mut self, step: usize, requests: u64) -> bool {
        let percent = self.policy.steps[step].traffic_percent;
        (0..requests).all(|_| {
            self.serve(percent);
            !self.is_off()
        })
    }

    /// Begins a step, after every step before it was served whole; false if the canary did not get there.
    pub fn climb(&mut self, to: usize) -> bool {
        (0..to).all(|step| {
            self.test.step();
            let requests = self.requests(step);
            self.advance(step, requests)
        }) && {
            self.test.step();
            true
        }
    }

    /// The canary breaks now and fails `rate` of its requests; nothing if it is not found.
    pub fn breaks(mut self, step: usize, rate: f64) -> Option<Found> {
        let percent = self.policy.steps[step].traffic_percent;
        self.canary = Failures::new(rate, &mut self.rng);
        let mut failed = 0;
        (1..=PATIENCE).find_map(|requests| {
            failed += u64::from(self.serve(percent));
            self.is_off().then_some(Found { requests, failed })
        })
    }
}

/// Whether a canary that never breaks is taken off somewhere on the ladder.
pub fn false_abort(policy: &RolloutPolicy, traffic: Traffic, seed: u64) -> bool {
    let mut ladder = Ladder::new(policy, traffic, seed);
    let last = policy.steps.len() - 1;
    let requests = ladder.requests(last);
    !(ladder.climb(last) && ladder.advance(last, requests))
}

/// Of many canaries that broke: when they were found, in order, and how many failed.
#[derive(Debug, Default)]
pub struct Delays {
    /// Requests of the canary until it was off.
    pub requests: Vec<u64>,
    /// Those that failed.
    pub failed: Vec<u64>,
    /// Not found, or off before they broke.
    pub other: u64,
}

impl Delays {
    /// Takes in one canary.
    pub fn add(&mut self, found: Option<Found>) {
        match found {
            None => self.other += 1,
            Some(found) => {
                self.requests.push(found.requests);
                self.failed.push(found.failed);
            }
        }
    }
}

/// The value that `share` of the values do not exceed; nothing of nothing.
pub fn quantile(values: &[u64], share: f64) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied()
}

/// Canaries that serve `calm` good requests at a step and then break, one result for each rate. Where the steps before
/// have an end, the canary gets `per_second` requests a second at this one.
pub fn delays(
    policy: &RolloutPolicy,
    (step, calm): (usize, u64),
    (healthy, stable): (f64, Option<f64>),
    rates: &[f64],
    seeds: std::ops::Range<u64>,
) -> Vec<Delays> {
    let percent = f64::from(policy.steps[step].traffic_percent);
    let traffic = Traffic { per_second: CANARY_PER_SECOND * 100.0 / percent, canary: healthy, stable };
    let mut all: Vec<Delays> = rates.iter().map(|_| Delays::default()).collect();
    for seed in seeds {
        let mut ladder = Ladder::new(policy, traffic, seed);
        let there = ladder.climb(step) && ladder.advance(step, calm);
        for (delays, rate) in all.iter_mut().zip(rates) {
            delays.add(there.then(|| ladder.clone().breaks(step, *rate)).flatten());
        }
    }
    all
}

/// Requests of the canary a second where it breaks: the rate for which reading 5 states its times.
pub const CANARY_PER_SECOND: f64 = 10.0;
