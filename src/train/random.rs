//! Random numbers that are a function of what they are for: the seed of a run, a purpose, a step.
//! So a run needs to remember no state to go on where it stopped.

/// A stream of random numbers (SplitMix64; Steele, Lea and Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Random {
    /// The stream that belongs to some numbers.
    pub fn of(key: &[u64]) -> Self {
        let all = key.iter().fold(STEP, |state, &part| mix(state ^ mix(part.wrapping_add(STEP))));
        Self(all)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number of `0..n`, each as likely as the others to one part in 2^64 / n.
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "one of nothing");
        let wide = u128::from(self.bits()) * u128::from(n);
        u64::try_from(wide >> 64).expect("below n")
    }

    /// A number of [0, 1).
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number from the normal distribution of mean 0 and variance 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.share())).sqrt();
        radius * libm::cos(2.0 * std::f64::consts::PI * self.share())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_give_equal_numbers_and_others_do_not() {
        let first = |key: &[u64]| Random::of(key).bits();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        let all = [first(&[1, 2]), first(&[2, 1]), first(&[1]), first(&[]), first(&[1, 2, 0])];
        for (index, number) in all.iter().enumerate() {
            assert!(!all[..index].contains(number));
        }
    }

    #[test]
    fn numbers_have_the_moments_of_their_distribution() {
        let mut random = Random::of(&[7]);
        let n = 100_000i32;
        let (mut mean, mut square, mut shares) = (0.0, 0.0, [0_i32; 3]);
        for _ in 0..n {
            let x = random.normal();
            mean += x / f64::from(n);
            square += x * x / f64::from(n);
            shares[usize::try_from(random.below(3)).unwrap()] += 1;
        }
        // five standard errors of n samples
        assert!(mean.abs() < 0.016 && (square - 1.0).abs() < 0.023, "{mean} {square}");
        assert!(shares.iter().all(|&count| (count - n / 3).abs() < 750), "{shares:?}");
    }
}
