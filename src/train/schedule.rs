//! The learning rate of a step.

use super::config::{Decay, Training};

/// What the rate depends on beside the step.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Plateau {
    /// Lowest loss on the validation split so far.
    pub best: f64,
    /// Validations since then.
    pub since: u32,
    /// How often the rate was halved.
    pub halved: i32,
    /// Validations since the best, or since the rate was halved last.
    pub waited: u32,
}

impl Default for Plateau {
    fn default() -> Self {
        Self { best: f64::INFINITY, since: 0, halved: 0, waited: 0 }
    }
}

impl Plateau {
    /// Takes a loss on the validation split; whether it is the lowest so far.
    pub fn take(&mut self, loss: f64, training: &Training) -> bool {
        if loss < self.best {
            (self.best, self.since, self.waited) = (loss, 0, 0);
            return true;
        }
        self.since += 1;
        self.waited += 1;
        if training.decay == Decay::Plateau && self.waited >= training.plateau {
            (self.halved, self.waited) = (self.halved + 1, 0);
        }
        false
    }

    /// Whether training should stop.
    pub fn stops(&self, training: &Training) -> bool {
        training.patience > 0 && self.since >= training.patience
    }
}

/// The rate of a step, counted from 0.
pub fn rate(training: &Training, plateau: &Plateau, step: u64) -> f64 {
    if step < training.warmup {
        return training.rate * (step + 1) as f64 / training.warmup as f64;
    }
    training.rate
        * match training.decay {
            Decay::Constant => 1.0,
            Decay::Plateau => 0.5f64.powi(plateau.halved),
            Decay::Cosine => {
                let rest = training.steps.saturating_sub(training.warmup).max(1) as f64;
                let done = (step - training.warmup) as f64 / rest;
                0.5 * (1.0 + libm::cos(std::f64::consts::PI * done.min(1.0)))
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn training(decay: Decay) -> Training {
        Training { decay, steps: 1100, warmup: 100, rate: 2.0, plateau: 2, ..Training::default() }
    }

    #[test]
    fn the_rate_rises_and_falls_along_half_a_cosine() {
        let training = training(Decay::Cosine);
        let at = |step| rate(&training, &Plateau::default(), step);
        assert_eq!([at(0), at(49), at(99), at(100), at(600)], [0.02, 1.0, 2.0, 2.0, 1.0]);
        assert!(at(1099) > 0.0 && at(1099) < 1e-5 && at(1100) < 1e-12);
    }

    #[test]
    fn the_rate_is_halved_when_the_loss_no_longer_falls() {
        let training = training(Decay::Plateau);
        let mut plateau = Plateau::default();
        let mut after = |loss| {
            let best = plateau.take(loss, &training);
            (best, rate(&training, &plateau, 500))
        };
        assert_eq!(after(1.0), (true, 2.0));
        assert_eq!(after(1.1), (false, 2.0));
        assert_eq!(after(1.0), (false, 1.0));
        assert_eq!(after(0.9), (true, 1.0));
        assert_eq!(after(0.9), (false, 1.0));
        assert_eq!(after(f64::NAN), (false, 0.5));
    }

    #[test]
    fn training_stops_when_patience_ends() {
        let mut training = training(Decay::Constant);
        training.patience = 2;
        let mut plateau = Plateau::default();
        for (loss, stops) in [(1.0, false), (1.0, false), (0.5, false), (0.6, false), (0.7, true)] {
            plateau.take(loss, &training);
            assert_eq!(plateau.stops(&training), stops, "{loss}");
        }
    }
}
