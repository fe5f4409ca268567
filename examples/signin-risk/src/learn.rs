//! A small neural network, and stochastic gradient descent.
//!
//! Layers multiply and add; between them, negative numbers become zero; the last one's single
//! number goes through the logistic function and is a probability. With no hidden numbers this is
//! logistic regression. Always true: rows, settings and seed decide every bit of the result.

#![expect(clippy::cast_precision_loss, reason = "learning is in floating point")]

use crate::features::{COUNT, Row};
use crate::random::Random;

/// How to learn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) epochs: u32,
    /// Numbers between input and output; 0 for logistic regression.
    pub(crate) hidden: usize,
    pub(crate) learning_rate: f32,
    /// Rows per step.
    pub(crate) batch: usize,
    pub(crate) seed: u64,
}

/// One layer: `output = input × weights + bias`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Row after row, one row per input.
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// A network from features, as they are, to a probability.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Network {
    pub(crate) layers: Vec<Layer>,
}

/// How good a network is on some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Score {
    pub(crate) rows: u32,
    pub(crate) right: u32,
    pub(crate) risky: u32,
    pub(crate) risky_found: u32,
    pub(crate) false_alarms: u32,
}

/// Learns from the rows; `progress` hears the number of each finished epoch and its mean loss.
pub(crate) fn fit<E>(
    rows: &[Row],
    settings: &Settings,
    mut progress: impl FnMut(u32, f32) -> Result<(), E>,
) -> Result<Network, E> {
    let scale = Scale::of(rows);
    let mut chance = Random::new(settings.seed);
    let mut network = Network::new(settings.hidden, &mut chance);
    let mut speed = network.zeroed();
    let scaled: Vec<[f32; COUNT]> = rows.iter().map(|row| scale.apply(&row.features)).collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    for epoch in 1..=settings.epochs {
        chance.shuffle(&mut order);
        // The step shrinks to a tenth over the run.
        let done = (epoch - 1) as f32 / settings.epochs as f32;
        let rate = settings.learning_rate * (1.0 - 0.9 * done);
        let mut loss = 0.0;
        for batch in order.chunks(settings.batch) {
            let mut slope = network.zeroed();
            for &at in batch {
                loss += network.learn(&scaled[at], rows[at].risky, &mut slope);
            }
            network.step(&slope, &mut speed, rate / batch.len() as f32);
        }
        progress(epoch, loss / rows.len() as f32)?;
    }
    scale.fold_into(&mut network.layers[0]);
    Ok(network)
}

impl Network {
    fn new(hidden: usize, chance: &mut Random) -> Self {
        let sizes: &[usize] = if hidden == 0 { &[COUNT, 1] } else { &[COUNT, hidden, 1] };
        let layer = |pair: &[usize]| {
            let (inputs, outputs) = (pair[0], pair[1]);
            // He initialisation, with a uniform distribution.
            let reach = (6.0 / inputs as f32).sqrt();
            let weights = (0..inputs * outputs).map(|_| chance.signed_unit() * reach).collect();
            Layer { inputs, outputs, weights, bias: vec![0.0; outputs] }
        };
        Self { layers: sizes.windows(2).map(layer).collect() }
    }

    /// The same shape, all zero.
    fn zeroed(&self) -> Self {
        let mut zeroed = self.clone();
        for layer in &mut zeroed.layers {
            layer.weights.fill(0.0);
            layer.bias.fill(0.0);
        }
        zeroed
    }

    /// The probability that a sign-in with these features is risky.
    pub(crate) fn risk(&self, features: &[f32; COUNT]) -> f32 {
        let outputs = self.forward(features);
        logistic(outputs[outputs.len() - 1][0])
    }

    /// Every layer's output; the last one's before the logistic function.
    fn forward(&self, features: &[f32]) -> Vec<Vec<f32>> {
        let mut outputs: Vec<Vec<f32>> = Vec::with_capacity(self.layers.len());
        for (at, layer) in self.layers.iter().enumerate() {
            let input = if at == 0 { features } else { &outputs[at - 1] };
            let mut output = layer.apply(input);
            if at + 1 < self.layers.len() {
                for value in &mut output {
                    *value = value.max(0.0);
                }
            }
            outputs.push(output);
        }
        outputs
    }

    /// Adds one row's slope of the loss to `slope`; returns the loss, which is the cross-entropy.
    fn learn(&self, features: &[f32; COUNT], risky: bool, slope: &mut Self) -> f32 {
        let outputs = self.forward(features);
        let last = outputs.len() - 1;
        let risk = logistic(outputs[last][0]);
        let truth = f32::from(u8::from(risky));
        let mut error = vec![risk - truth];
        for at in (0..self.layers.len()).rev() {
            let input = if at == 0 { features.as_slice() } else { &outputs[at - 1] };
            slope.layers[at].add_slope(input, &error);
            if at > 0 {
                error = self.layers[at].back(&error);
                for (error, output) in error.iter_mut().zip(input) {
                    *error = if *output > 0.0 { *error } else { 0.0 };
                }
            }
        }
        let of_truth = if risky { risk } else { 1.0 - risk };
        -of_truth.max(1e-7).ln()
    }

    /// Moves against the slope, with momentum.
    fn step(&mut self, slope: &Self, speed: &mut Self, rate: f32) {
        const MOMENTUM: f32 = 0.9;
        for ((layer, slope), speed) in
            self.layers.iter_mut().zip(&slope.layers).zip(&mut speed.layers)
        {
            let values = layer.weights.iter_mut().chain(&mut layer.bias);
            let slopes = slope.weights.iter().chain(&slope.bias);
            let speeds = speed.weights.iter_mut().chain(&mut speed.bias);
            for ((value, slope), speed) in values.zip(slopes).zip(speeds) {
                *speed = MOMENTUM * *speed - rate * slope;
                *value += *speed;
            }
        }
    }

    /// How good this network is on rows it should not have learnt from.
    pub(crate) fn score(&self, rows: &[Row]) -> Score {
        let mut score = Score::default();
        for row in rows {
            let found = self.risk(&row.features) >= 0.5;
            score.rows += 1;
            score.right += u32::from(found == row.risky);
            score.risky += u32::from(row.risky);
            score.risky_found += u32::from(found && row.risky);
            score.false_alarms += u32::from(found && !row.risky);
        }
        score
    }
}

impl Score {
    /// Share of right answers, in parts per million.
    pub(crate) fn accuracy_ppm(&self) -> u64 {
        u64::from(self.right) * 1_000_000 / u64::from(self.rows.max(1))
    }
}

impl Layer {
    fn apply(&self, input: &[f32]) -> Vec<f32> {
        let mut output = self.bias.clone();
        for (value, weights) in input.iter().zip(self.weights.chunks_exact(self.outputs)) {
            for (output, weight) in output.iter_mut().zip(weights) {
                *output += value * weight;
            }
        }
        output
    }

    fn add_slope(&mut self, input: &[f32], error: &[f32]) {
        for (value, weights) in input.iter().zip(self.weights.chunks_exact_mut(self.outputs)) {
            for (weight, error) in weights.iter_mut().zip(error) {
                *weight += value * error;
            }
        }
        for (bias, error) in self.bias.iter_mut().zip(error) {
            *bias += error;
        }
    }

    /// The error of this layer's input, from that of its output.
    fn back(&self, error: &[f32]) -> Vec<f32> {
        let of_input = |weights: &[f32]| weights.iter().zip(error).map(|(w, e)| w * e).sum();
        self.weights.chunks_exact(self.outputs).map(of_input).collect()
    }
}

/// Brings every feature to mean 0 and deviation 1 while learning.
struct Scale {
    mean: [f32; COUNT],
    deviation: [f32; COUNT],
}

impl Scale {
    #[expect(clippy::cast_possible_truncation, reason = "summed in f64, learnt in f32")]
    fn of(rows: &[Row]) -> Self {
        let count = rows.len().max(1) as f64;
        let mean_of =
            |at: usize| rows.iter().map(|row| f64::from(row.features[at])).sum::<f64>() / count;
        let means: [f64; COUNT] = std::array::from_fn(mean_of);
        let deviation_of = |at: usize| {
            let square = |row: &Row| (f64::from(row.features[at]) - means[at]).powi(2);
            let deviation = (rows.iter().map(square).sum::<f64>() / count).sqrt();
            // A feature that never changes says nothing; it must not be divided by nothing.
            if deviation < 1e-6 { 1.0 } else { deviation as f32 }
        };
        Self { mean: means.map(|mean| mean as f32), deviation: std::array::from_fn(deviation_of) }
    }

    fn apply(&self, features: &[f32; COUNT]) -> [f32; COUNT] {
        std::array::from_fn(|at| (features[at] - self.mean[at]) / self.deviation[at])
    }

    /// Changes the first layer so that it eats features as they are.
    fn fold_into(&self, layer: &mut Layer) {
        for at in 0..COUNT {
            for to in 0..layer.outputs {
                let weight = &mut layer.weights[at * layer.outputs + to];
                *weight /= self.deviation[at];
                layer.bias[to] -= *weight * self.mean[at];
            }
        }
    }
}

fn logistic(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings =
        Settings { epochs: 30, hidden: 4, learning_rate: 0.1, batch: 16, seed: 1 };

    /// Risky where exactly one of the first two features is set: no line divides these.
    fn either_or() -> Vec<Row> {
        let row = |at: u64| {
            let mut features = [0.0; COUNT];
            features[0] = f32::from(u8::from(at & 1 == 1)) * 40.0 + 1_000.0;
            features[1] = f32::from(u8::from(at & 2 == 2));
            Row { index: at, user: String::new(), features, risky: matches!(at % 4, 1 | 2) }
        };
        (0..400).map(row).collect()
    }

    fn learn(settings: Settings) -> Network {
        fit(&either_or(), &settings, |_, _| Ok::<(), ()>(())).unwrap()
    }

    #[test]
    fn hidden_numbers_learn_what_a_line_cannot() {
        assert_eq!(learn(SETTINGS).score(&either_or()).accuracy_ppm(), 1_000_000);
        let line = learn(Settings { hidden: 0, ..SETTINGS });
        assert!(line.score(&either_or()).accuracy_ppm() <= 750_000);
    }

    #[test]
    fn the_same_seed_learns_the_same() {
        assert_eq!(learn(SETTINGS), learn(SETTINGS));
        assert_ne!(learn(SETTINGS), learn(Settings { seed: 2, ..SETTINGS }));
    }

    #[test]
    fn the_slope_is_that_of_the_loss() {
        let rows = either_or();
        let network = Network::new(3, &mut Random::new(9));
        let scale = Scale::of(&rows);
        let features = scale.apply(&rows[1].features);
        let mut slope = network.zeroed();
        let loss = network.learn(&features, true, &mut slope);
        for (layer, weight) in [(0, 1), (0, 4), (1, 0), (1, 2)] {
            let mut moved = network.clone();
            moved.layers[layer].weights[weight] += 1e-3;
            let change = (moved.learn(&features, true, &mut network.zeroed()) - loss) / 1e-3;
            let told = slope.layers[layer].weights[weight];
            assert!((change - told).abs() < 5e-3, "layer {layer}: {change} is not {told}");
        }
    }
}
