// SPDX-License-Identifier: Apache-2.0
// layer_rate.cu: the empirical curvature, and the rules of spec sections 6 and 7, against double precision.
#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "backend/cuda/layer_rate.h"
#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::RuledLayer;
using lngd::cuda::DirectionSums;
using lngd::cuda::DirectionTile;
using lngd::cuda::ProjectionTask;
using lngd::cuda::RateLayer;
using lngd::cuda::StepSettings;

// A layer with its direction, samples and the sums that precondition left.
struct Case {
  int32_t outputs, inputs, samples, used, positions, groups;
  bool bias, has_inverse;
  LayerRecord before;
  int64_t ldw;
  std::vector<float> d, a, delta;
  std::vector<double> lambda;
  Array<float> direction;
  Tensor inputs_tensor, deltas_tensor;
  Array<double> lambda_phi;
  Array<LayerRecord> record;
  std::unique_ptr<Array<double>> partial;
  std::vector<DirectionTile> tiles;
  std::vector<DirectionSums> sums;

  struct Sizes {
    int32_t outputs, inputs;
    bool bias;
    int32_t samples, used, positions, groups;
  };

  Case(const Sizes& s, Layout layout, const LayerRecord& earlier, uint32_t seed)
      : Case(s, layout, earlier, Numbers(seed)) {}

  RateLayer device(const RuledLayer& rules, int32_t first_tile) {
    RateLayer layer{record.data,
                    lambda_phi.data,
                    rules,
                    first_tile,
                    static_cast<int32_t>(tiles.size()),
                    outputs,
                    inputs,
                    bias ? 1 : 0,
                    groups,
                    direction.data,
                    ldw,
                    inputs_tensor.strided(),
                    deltas_tensor.strided(),
                    samples,
                    used,
                    positions,
                    nullptr};
    partial = std::make_unique<Array<double>>(static_cast<size_t>(lngd::cuda::rate_partials(layer)));
    layer.partial = partial->data;
    return layer;
  }

  // C, and how far rounding may take it away.
  double curvature(double& bound) const {
    double sum = 0;
    bound = 0;
    for (int64_t n = 0; n < used; ++n) {
      const size_t sample = static_cast<size_t>(n * samples / used);
      double x = 0, size = 0;
      for (size_t i = 0; i < static_cast<size_t>(outputs); ++i) {
        const size_t row = i * static_cast<size_t>(ldw), width = static_cast<size_t>(inputs);
        double product = bias ? d[row + width] : 0.0, terms = std::fabs(product);
        for (size_t j = 0; j < width; ++j) {
          const double term = static_cast<double>(d[row + j]) * a[sample * width + j];
          product += term;
          terms += std::fabs(term);
        }
        const double weight = delta[sample * static_cast<size_t>(outputs) + i];
        x += weight * product;
        size += std::fabs(weight) * terms;
      }
      x *= positions; // every position is the same row here
      size *= positions;
      sum += x * x;
      // 3xTF32 as in precondition, 2^-21 of the terms; and eight products in float before they go on in double.
      const double error = 0x1p-20 * size;
      bound += 2 * std::fabs(x) * error + error * error;
    }
    bound /= used;
    return sum / used;
  }

 private:
  Case(const Sizes& s, Layout layout, const LayerRecord& earlier, Numbers numbers)
      : outputs(s.outputs),
        inputs(s.inputs),
        samples(s.samples),
        used(s.used),
        positions(s.positions),
        groups(s.groups),
        bias(s.bias),
        has_inverse(earlier.has_inverse),
        before(earlier),
        ldw(lngd::padded(s.inputs + (s.bias ? 1 : 0))),
        d(numbers.vector(s.outputs * ldw)),
        a(numbers.vector(int64_t{s.samples} * s.inputs)),
        delta(numbers.vector(int64_t{s.samples} * s.outputs)),
        direction(padding_nan(d, s)),
        inputs_tensor(s.samples, s.inputs, layout, a),
        deltas_tensor(s.samples, s.outputs, layout, delta),
        lambda_phi(lambdas(lambda, numbers)),
        record(std::vector<LayerRecord>{earlier}) {
    // More tiles than a block has threads, of three diagonal blocks in turn.
    for (int32_t t = 0; t < 300; ++t) {
      DirectionTile tile{};
      tile.block = t % 3;
      tiles.push_back(tile);
      const auto next = [&numbers] { return static_cast<double>(numbers.next()); };
      sums.push_back({4 + next(), 3 + next(), 2 + next(), 1 + next(), 1 + next()});
    }
  }

  static std::vector<float> padding_nan(const std::vector<float>& d, const Sizes& s) {
    std::vector<float> all = d;
    const size_t columns = static_cast<size_t>(s.inputs + (s.bias ? 1 : 0)),
                 ld = d.size() / static_cast<size_t>(s.outputs);
    for (size_t i = 0; i < all.size(); ++i)
      if (i % ld >= columns) all[i] = std::nanf("");
    return all;
  }
  static const std::vector<double>& lambdas(std::vector<double>& to, Numbers& numbers) {
    for (int i = 0; i < 3; ++i) to.push_back(0.5 + 0.25 * static_cast<double>(numbers.next()));
    return to;
  }
};

// `moves` steps before; the weights of the first had norm `initial`.
LayerRecord record_before(bool has_inverse, int64_t moves = 7, double initial = 20) {
  LayerRecord record{};
  record.has_inverse = has_inverse;
  record.lambda_psi = 0.3;
  record.moves = moves;
  record.initial_norm = moves == 0 ? -1 : initial;
  record.direction_log = moves == 0 ? 0 : 1.8; // of ln 390, after 7 steps
  record.skipped_steps = 2;
  record.last_step_skipped = 1;
  record.coefficient = 5;
  record.decay = 6;
  return record;
}

// What the rules make of the sums; written as spec sections 6 and 7 have them.
LayerRecord twin(const StepSettings& settings, const Case& c, const RuledLayer& layer, double empirical) {
  lngd::StepRules s = settings.rules;
  s.learning_rate *= layer.rate_multiplier;
  s.weight_decay *= layer.decay_multiplier;
  if (layer.trust_off) s.trust = LNGD_TRUST_OFF;
  LayerRecord r = c.before;
  double dg = 0, dd = 0, ww = 0, kronecker = 0;
  for (size_t t = 0; t < c.sums.size(); ++t) {
    const DirectionSums& x = c.sums[t];
    const double lambda = c.lambda[static_cast<size_t>(c.tiles[t].block)];
    dg += x.direction_gradient;
    dd += x.direction_direction;
    ww += x.weight_weight;
    kronecker += x.direction_gradient - lambda * x.direction_psi - r.lambda_psi * x.psi_gradient +
                 lambda * r.lambda_psi * x.direction_direction;
  }
  r.inner_product = dg;
  r.direction_norm = std::sqrt(dd);
  r.weight_norm = std::sqrt(ww);
  r.curvature = s.rate == LNGD_RATE_EMPIRICAL && std::isfinite(dg) ? empirical
                : s.rate == LNGD_RATE_KRONECKER                    ? (kronecker < 0 ? 0.0 : kronecker)
                                                                   : 0.0;
  r.alpha = s.rate == LNGD_RATE_NONE ? 1.0 : dg / (r.curvature + s.mu);
  if (r.moves == 0) r.initial_norm = r.weight_norm;
  const bool output = layer.output_layer && r.initial_norm > 1e-3;
  const double tau = s.trust_ratio * layer.trust_slope;
  double measure = r.weight_norm;
  if (output && s.output_bound) measure = std::min(measure, r.initial_norm);
  const auto corrected = [](double v, int64_t steps) { return v / (1 - std::pow(0.95, steps)); };
  const double old = r.moves > 0 ? corrected(r.direction_log, r.moves) : 0; // what D = 0 leaves
  if (s.soft_trust) r.direction_log = 0.95 * r.direction_log + 0.05 * (dd > 0 ? 0.5 * std::log(dd) : old);
  double soft = 1;
  if (s.soft_trust) soft = std::min(1.0, 2 * std::sqrt(dd) / std::exp(corrected(r.direction_log, r.moves + 1)));
  const double trusted = soft * tau * std::max(measure, 1e-3);
  const double length = std::fabs(r.alpha) * r.direction_norm;
  r.decay = s.decay == LNGD_DECAY_COUPLED ? 0 : s.learning_rate * s.factor * s.weight_decay;
  if (s.decay == LNGD_DECAY_TRUST) r.decay *= tau;
  if (output && r.weight_norm > r.initial_norm) r.decay *= s.output_decay;
  r.trust_scale = 1;
  if (s.trust == LNGD_TRUST_ALWAYS && length > 0) r.trust_scale = trusted / length;
  if (s.trust == LNGD_TRUST_CAP) r.trust_scale = std::min(1.0, trusted / (s.learning_rate * length));
  r.coefficient = -s.learning_rate * s.factor * r.alpha * r.trust_scale;
  const bool sound = c.has_inverse && std::isfinite(dg + dd) && std::isfinite(r.curvature) &&
                     std::fabs(r.coefficient) <= static_cast<double>(std::numeric_limits<float>::max());
  r.last_step_skipped = !sound;
  r.moves += sound;
  r.skipped_steps += !sound;
  if (!sound) {
    r.coefficient = r.decay = 0;
    r.initial_norm = c.before.initial_norm;
    r.direction_log = c.before.direction_log;
  }
  return r;
}

// Numbers that are no rounding of each other; NaN is like NaN.
void check_close(double found, double expected, double relative) {
  if (std::isfinite(expected)) {
    CHECK_NEAR(found, expected, relative * std::fabs(expected));
  } else {
    CHECK_EQ(std::isnan(found), std::isnan(expected));
    CHECK_EQ(std::isinf(found), std::isinf(expected));
  }
}

void check_record(const Case& c, const LayerRecord& expected, double relative) {
  const LayerRecord found = c.record.read()[0];
  CHECK_EQ(found.last_step_skipped, expected.last_step_skipped);
  CHECK_EQ(found.moves, expected.moves);
  CHECK_EQ(found.skipped_steps, expected.skipped_steps);
  check_close(found.coefficient, expected.coefficient, relative);
  check_close(found.decay, expected.decay, 1e-12);
  check_close(found.initial_norm, expected.initial_norm, 1e-12);
  check_close(found.direction_log, expected.direction_log, 1e-12);
  if (!c.has_inverse) return;
  check_close(found.inner_product, expected.inner_product, 1e-12); // sums in double, in another order
  check_close(found.direction_norm, expected.direction_norm, 1e-12);
  check_close(found.weight_norm, expected.weight_norm, 1e-12);
  check_close(found.curvature, expected.curvature, relative);
  check_close(found.alpha, expected.alpha, relative);
  check_close(found.trust_scale, expected.trust_scale, relative);
}

StepSettings settings_of(int32_t rate, int32_t trust) {
  StepSettings settings{};
  lngd::StepRules& s = settings.rules;
  s.learning_rate = 0.02;
  s.factor = 0.7;
  s.mu = 1e-3;
  s.trust_ratio = 0.01;
  s.weight_decay = 0.3;
  s.output_decay = 4;
  s.rate = rate;
  s.trust = trust;
  return settings;
}

constexpr RuledLayer kHidden{1.3, false}, kOutput{0.7, true}, kScaled{0.7, true, false, 0.3, 5},
    kOff{0.7, true, true, 0.3, 5}, kFrozen{1.3, false, false, 0, 1};

// Both launches over `cases`.
void run(std::vector<std::unique_ptr<Case>>& cases, const StepSettings& settings, const RuledLayer& rules = kHidden) {
  std::vector<RateLayer> table;
  std::vector<ProjectionTask> tasks;
  std::vector<DirectionTile> tiles;
  std::vector<DirectionSums> sums;
  for (std::unique_ptr<Case>& c : cases) {
    table.push_back(c->device(rules, static_cast<int32_t>(tiles.size())));
    lngd::cuda::append_projection_tasks(static_cast<int32_t>(table.size()) - 1, table.back(), tasks);
    tiles.insert(tiles.end(), c->tiles.begin(), c->tiles.end());
    sums.insert(sums.end(), c->sums.begin(), c->sums.end());
  }
  const Array<StepSettings> device_settings(std::vector<StepSettings>{settings});
  const Array<RateLayer> device_table(table);
  const Array<ProjectionTask> device_tasks(tasks);
  const Array<DirectionTile> device_tiles(tiles);
  const Array<DirectionSums> device_sums(sums);
  CHECK_EQ(lngd::cuda::prepare_layer_rate(), cudaSuccess);
  if (settings.rules.rate == LNGD_RATE_EMPIRICAL)
    CHECK_EQ(lngd::cuda::launch_rate_projections(device_table.data, device_tasks.data,
                                                 static_cast<int32_t>(tasks.size()), nullptr),
             cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_layer_rate(device_settings.data, device_table.data, static_cast<int32_t>(table.size()),
                                         device_tiles.data, device_sums.data, nullptr),
           cudaSuccess);
  finish_launches();
}

std::unique_ptr<Case> small_case(const LayerRecord& before) {
  return std::make_unique<Case>(Case::Sizes{5, 6, true, 9, 9, 1, 1}, Layout::Rows, before, 3);
}
std::unique_ptr<Case> small_case(bool has_inverse = true) { return small_case(record_before(has_inverse)); }

} // namespace

TEST(kernel_empirical_curvature) {
  start();
  for (const Schedule& schedule : kSchedules)
    for (const Layout layout : kLayouts) {
      if (schedule.order != simt::Order::Forward && layout != Layout::Rows) continue; // time
      simt::set_schedule(schedule.order, schedule.seed);
      // Seven slices, two tiles of rows and of columns, all ragged; a subsample that is not evenly spaced in whole
      // steps; samples whose positions end inside of a tile, fill several, or come by the dozen; groups of two tiles
      // each.
      const Case::Sizes sizes[] = {{150, 200, true, 70, 70, 1, 1}, {130, 33, false, 100, 37, 1, 1},
                                   {1, 1, true, 1, 1, 1, 1},       {40, 9, true, 20, 20, 10, 1},
                                   {3, 40, false, 3, 2, 150, 1},   {64, 32, false, 64, 64, 1, 1},
                                   {402, 9, true, 4, 4, 3, 3}};
      std::vector<std::unique_ptr<Case>> cases;
      for (const Case::Sizes& s : sizes)
        cases.push_back(std::make_unique<Case>(s, layout, record_before(cases.size() != 5),
                                               20u + static_cast<uint32_t>(cases.size())));
      const StepSettings settings = settings_of(LNGD_RATE_EMPIRICAL, LNGD_TRUST_OFF);
      run(cases, settings);
      for (const std::unique_ptr<Case>& c : cases) {
        const conformance::Scope scope(std::string(name(layout)) + ", " + std::to_string(c->outputs) + " x " +
                                       std::to_string(c->inputs));
        double bound;
        const double expected = c->curvature(bound);
        const double found = c->record.read()[0].curvature;
        if (c->has_inverse) CHECK_NEAR(found, expected, bound);
        check_record(*c, twin(settings, *c, kHidden, found), 1e-12);
      }
    }
  simt::set_schedule(simt::Order::Forward);
}

TEST(kernel_layer_rate_rules) {
  start();
  for (const Schedule& schedule : kSchedules)
    for (const int32_t rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL, LNGD_RATE_KRONECKER})
      for (const int32_t trust : {LNGD_TRUST_OFF, LNGD_TRUST_CAP, LNGD_TRUST_ALWAYS}) {
        const conformance::Scope scope("rate " + std::to_string(rate) + ", trust " + std::to_string(trust));
        simt::set_schedule(schedule.order, schedule.seed);
        const double inf = std::numeric_limits<double>::infinity();
        std::vector<std::unique_ptr<Case>> cases;
        cases.push_back(small_case());
        cases.push_back(small_case(false)); // no inverse
        cases.push_back(small_case());
        cases.back()->sums[299].direction_gradient = std::nan(""); // a gradient that is not finite
        cases.push_back(small_case());
        cases.back()->sums[0].direction_direction = inf;
        cases.push_back(small_case());
        for (DirectionSums& s : cases.back()->sums) s = {0, 0, 0, 0, 0}; // no direction, no weights
        cases.push_back(small_case());
        for (DirectionSums& s : cases.back()->sums) s.direction_psi = 1e3; // a negative Kronecker curvature
        cases.push_back(small_case());
        for (DirectionSums& s : cases.back()->sums) s = {1e-3, 1e-96, 1e-20, 0, 0}; // a coefficient that is no float
        cases.push_back(small_case());
        for (DirectionSums& s : cases.back()->sums)
          s.direction_direction = 3e-3; // within the cap with the learning rate only
        const StepSettings settings = settings_of(rate, trust);
        run(cases, settings);
        for (const std::unique_ptr<Case>& c : cases) {
          double bound;
          const double curvature = c->curvature(bound);
          // The rules are held against the kernel's own C, which is far less exact than they are.
          const double found = c->record.read()[0].curvature;
          if (rate == LNGD_RATE_EMPIRICAL && c->has_inverse && std::isfinite(c->sums[299].direction_gradient))
            CHECK_NEAR(found, curvature, bound);
          check_record(*c, twin(settings, *c, kHidden, found), 1e-11);
        }
      }
  simt::set_schedule(simt::Order::Forward);
}

// Soft trust, the bound and the decay of an output layer: at the first step and later; below, at and above the first
// norm of the weights, which are 24.5 long (300 sums near 2); a first norm that says nothing; a direction that all but
// vanishes, and none; what a skipped step leaves alone.
TEST(kernel_layer_rate_output_and_decay) {
  start();
  for (const int32_t decay : {LNGD_DECAY_DECOUPLED, LNGD_DECAY_COUPLED, LNGD_DECAY_TRUST})
    for (const bool on : {false, true})
      for (const RuledLayer& rules : {kHidden, kOutput, kScaled, kOff, kFrozen}) {
        const conformance::Scope scope("decay " + std::to_string(decay) + (on ? ", on" : ", off") +
                                       (rules.output_layer ? ", output" : ", hidden"));
        std::vector<std::unique_ptr<Case>> cases;
        cases.push_back(small_case(record_before(true, 0)));
        cases.push_back(small_case(record_before(true, 7, 20)));
        cases.push_back(small_case(record_before(true, 1, 30)));
        cases.push_back(small_case(record_before(true, 400, 1e-3)));
        cases.push_back(small_case(record_before(true, 7, 20)));
        for (DirectionSums& s : cases.back()->sums) s.direction_direction *= 1e-8;
        cases.push_back(small_case(record_before(true, 0)));
        for (DirectionSums& s : cases.back()->sums) s = {0, 0, 0, 0, 0};
        cases.push_back(small_case(record_before(true, 7, 20)));
        cases.back()->sums[3].direction_gradient = std::nan("");
        StepSettings settings = settings_of(LNGD_RATE_NONE, LNGD_TRUST_ALWAYS);
        settings.rules.decay = decay;
        settings.rules.soft_trust = settings.rules.output_bound = on;
        run(cases, settings, rules);
        for (const std::unique_ptr<Case>& c : cases) check_record(*c, twin(settings, *c, rules, 0), 1e-11);
        // The cases are what they are meant to be.
        CHECK_NEAR(cases[0]->record.read()[0].weight_norm, 24.5, 1);
        if (rules.rate_multiplier == 1) CHECK_EQ(cases[4]->record.read()[0].coefficient < -0.1, !on);
      }
}

// New settings in the same memory are what the next launch reads: a captured step can be replayed with them.
TEST(kernel_layer_rate_settings) {
  start();
  std::unique_ptr<Case> c = small_case();
  const Array<RateLayer> layers(std::vector<RateLayer>{c->device(kHidden, 0)});
  const Array<DirectionTile> tiles(c->tiles);
  const Array<DirectionSums> sums(c->sums);
  StepSettings settings = settings_of(LNGD_RATE_KRONECKER, LNGD_TRUST_CAP);
  Array<StepSettings> device_settings(std::vector<StepSettings>{settings});
  for (const double factor : {0.7, 0.1, 0.0}) {
    settings.rules.factor = factor;
    device_settings.write({settings});
    c->record.write({record_before(true)});
    CHECK_EQ(lngd::cuda::launch_layer_rate(device_settings.data, layers.data, 1, tiles.data, sums.data, nullptr),
             cudaSuccess);
    finish_launches();
    check_record(*c, twin(settings, *c, kHidden, 0), 1e-11);
  }
}
