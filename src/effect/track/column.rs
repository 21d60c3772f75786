//! The columns of track effects (track-effects.md B3).

/// One number of the scores of an allele.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Count of the reference.
    RefCount,
    /// Count of the alternative.
    AltCount,
    /// log₂ of the ratio of the counts.
    Logfc,
    /// Standard deviation of `logfc` over members (n − 1).
    LogfcSd,
    /// Jensen–Shannon distance of the profiles, base 2, over the compared positions.
    JsdDistance,
    /// The same over all positions as they are.
    JsdDistanceRaw,
    /// Σ of the differences.
    SumDiff,
    /// Σ log₂((T₂ + 1) / (T₁ + 1)).
    LogSumDiff,
    /// log₂(ΣT₂ + 1) − log₂(ΣT₁ + 1).
    LogSed,
    /// The difference of largest magnitude.
    MaxAbsDiff,
    /// Where that is, in bases from POS.
    MaxAbsPos,
    /// Σ of the magnitudes of the differences.
    D1,
    /// Root of the Σ of the squares of the differences.
    D2,
    /// The same of log₂(T + 1).
    LogD1,
    /// The same of log₂(T + 1).
    LogD2,
    /// Jensen–Shannon divergence in nats.
    JsNats,
    /// Half of the symmetrised Kullback–Leibler divergence in nats.
    JeffreysHalfNats,
    /// `logfc` times `jsd_distance`.
    LogfcJsd,
    /// Share of background counts below that of the reference.
    RefQuantile,
    /// Share of background counts below that of the alternative.
    AltQuantile,
    /// The larger quantile of the two.
    ActiveQuantile,
    /// Quantile of the alternative less that of the reference.
    QuantileChange,
    /// `logfc` times `active_quantile`.
    LogfcActive,
    /// `jsd_distance` times `active_quantile`.
    JsdActive,
    /// `logfc` times `jsd_distance` times `active_quantile`.
    LogfcJsdActive,
}

impl Column {
    /// All columns in the order in which they are written.
    pub const ALL: [Self; 25] = [
        Self::RefCount,
        Self::AltCount,
        Self::Logfc,
        Self::LogfcSd,
        Self::JsdDistance,
        Self::JsdDistanceRaw,
        Self::SumDiff,
        Self::LogSumDiff,
        Self::LogSed,
        Self::MaxAbsDiff,
        Self::MaxAbsPos,
        Self::D1,
        Self::D2,
        Self::LogD1,
        Self::LogD2,
        Self::JsNats,
        Self::JeffreysHalfNats,
        Self::LogfcJsd,
        Self::RefQuantile,
        Self::AltQuantile,
        Self::ActiveQuantile,
        Self::QuantileChange,
        Self::LogfcActive,
        Self::JsdActive,
        Self::LogfcJsdActive,
    ];

    /// The name in tables; INFO has it behind `atrous_`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RefCount => "ref_count",
            Self::AltCount => "alt_count",
            Self::Logfc => "logfc",
            Self::LogfcSd => "logfc_sd",
            Self::JsdDistance => "jsd_distance",
            Self::JsdDistanceRaw => "jsd_distance_raw",
            Self::SumDiff => "sum_diff",
            Self::LogSumDiff => "log_sum_diff",
            Self::LogSed => "log_sed",
            Self::MaxAbsDiff => "max_abs_diff",
            Self::MaxAbsPos => "max_abs_pos",
            Self::D1 => "d1",
            Self::D2 => "d2",
            Self::LogD1 => "log_d1",
            Self::LogD2 => "log_d2",
            Self::JsNats => "js_nats",
            Self::JeffreysHalfNats => "jeffreys_half_nats",
            Self::LogfcJsd => "logfc_x_jsd",
            Self::RefQuantile => "ref_quantile",
            Self::AltQuantile => "alt_quantile",
            Self::ActiveQuantile => "active_quantile",
            Self::QuantileChange => "quantile_change",
            Self::LogfcActive => "logfc_x_active_quantile",
            Self::JsdActive => "jsd_x_active_quantile",
            Self::LogfcJsdActive => "logfc_x_jsd_x_active_quantile",
        }
    }

    /// One line for the header of VCF.
    pub fn explain(self) -> &'static str {
        match self {
            Self::RefCount => "Expected count of the reference window",
            Self::AltCount => "Expected count of the alternative window",
            Self::Logfc => "log2 of the ratio of the counts, alternative over reference",
            Self::LogfcSd => "Standard deviation of logfc over members (n - 1)",
            Self::JsdDistance => "Jensen-Shannon distance (base 2) of the profiles, indels aligned",
            Self::JsdDistanceRaw => "Jensen-Shannon distance (base 2) of the profiles as they are",
            Self::SumDiff => "Sum of the differences over the compared positions",
            Self::LogSumDiff => "Sum of log2((alternative + 1) / (reference + 1))",
            Self::LogSed => "log2(sum of alternative + 1) - log2(sum of reference + 1)",
            Self::MaxAbsDiff => "Difference of largest magnitude",
            Self::MaxAbsPos => "Where max_abs_diff is, in bases from POS",
            Self::D1 => "Sum of the magnitudes of the differences",
            Self::D2 => "Root of the sum of the squares of the differences",
            Self::LogD1 => "d1 of log2(x + 1)",
            Self::LogD2 => "d2 of log2(x + 1)",
            Self::JsNats => "Jensen-Shannon divergence in nats",
            Self::JeffreysHalfNats => "Half of the symmetrised Kullback-Leibler divergence in nats",
            Self::LogfcJsd => "logfc times jsd_distance",
            Self::RefQuantile => "Share of the background counts below ref_count",
            Self::AltQuantile => "Share of the background counts below alt_count",
            Self::ActiveQuantile => "The larger of ref_quantile and alt_quantile",
            Self::QuantileChange => "alt_quantile - ref_quantile",
            Self::LogfcActive => "logfc times active_quantile",
            Self::JsdActive => "jsd_distance times active_quantile",
            Self::LogfcJsdActive => "logfc times jsd_distance times active_quantile",
        }
    }

    /// Whether it needs background counts.
    pub fn needs_background(self) -> bool {
        self >= Self::RefQuantile
    }
}

/// The numbers of one allele and task; none where they are not defined.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Values([Option<f64>; Column::ALL.len()]);

impl Values {
    /// The number of a column.
    pub fn get(&self, column: Column) -> Option<f64> {
        self.0[column as usize]
    }

    /// Sets the number of a column; what is no finite number is none.
    pub(super) fn set(&mut self, column: Column, value: Option<f64>) {
        self.0[column as usize] = value.filter(|value| value.is_finite());
    }

    /// The mean of each column over several; none where one has none.
    pub(super) fn mean(all: &[Self]) -> Self {
        let mut mean = Self::default();
        for column in Column::ALL {
            let values: Option<Vec<f64>> = all.iter().map(|values| values.get(column)).collect();
            let value = values.map(|values| values.iter().sum::<f64>() / all.len() as f64);
            mean.set(column, value);
        }
        mean
    }

    /// Fills in the columns that are products of others.
    pub(super) fn multiply(&mut self) {
        let [logfc, jsd, active] =
            [Column::Logfc, Column::JsdDistance, Column::ActiveQuantile].map(|c| self.get(c));
        let times = |a: Option<f64>, b: Option<f64>| Some(a? * b?);
        let both = times(logfc, jsd);
        self.set(Column::LogfcJsd, both);
        self.set(Column::LogfcActive, times(logfc, active));
        self.set(Column::JsdActive, times(jsd, active));
        self.set(Column::LogfcJsdActive, times(both, active));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_listed_in_their_order_and_have_names_of_their_own() {
        for (place, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, place);
            assert!(Column::ALL[..place].iter().all(|other| other.name() != column.name()));
        }
    }

    #[test]
    fn a_mean_needs_all_and_nothing_is_infinite() {
        let mut one = Values::default();
        one.set(Column::Logfc, Some(1.0));
        one.set(Column::D1, Some(f64::INFINITY));
        assert_eq!(one.get(Column::D1), None);
        let mut two = one;
        two.set(Column::Logfc, Some(2.0));
        two.set(Column::D2, Some(2.0));
        let mean = Values::mean(&[one, two]);
        assert_eq!((mean.get(Column::Logfc), mean.get(Column::D2)), (Some(1.5), None));
    }
}
