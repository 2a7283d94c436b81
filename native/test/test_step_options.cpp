// SPDX-License-Identifier: Apache-2.0
//
// Whole runs against the twin: every preset, and every choice of the configuration on its own.
#include <cmath>
#include <functional>
#include <string>

#include "training.hpp"

using namespace conformance;

namespace {

// A run of four layers long enough to pass several rounds of the schedule.
Case base_case(const std::string& name, int which) {
  Case c;
  c.name = name;
  c.config = preset(which, 40);
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 3;
  c.config.seed = 0xfeedfacecafebeefu;
  c.layers = {dense(19, 11, true, LNGD_ACTIVATION_RELU), dense(11, 17, true, LNGD_ACTIVATION_TANH),
              dense(17, 6, false, LNGD_ACTIVATION_SIGMOID),
              dense(6, 5, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  c.batch = 24;
  c.steps = 8;
  return c;
}

void vary(const std::string& name, int which, const std::function<void(Case&)>& change) {
  Case c = base_case(name, which);
  change(c);
  run_case(c);
}

} // namespace

TEST(step_presets) {
  const char* names[] = {"RECIPE", "RECIPE_FIT", "RECIPE_EMPIRICAL", "PAPER"};
  for (int which = LNGD_PRESET_RECIPE; which <= LNGD_PRESET_PAPER; ++which) run_case(base_case(names[which], which));
}

// With their own intervals: one update of statistics and one inverse in 8 steps.
TEST(step_presets_untouched) {
  for (int which = LNGD_PRESET_RECIPE; which <= LNGD_PRESET_PAPER; ++which)
    vary("preset " + std::to_string(which), which, [which](Case& c) {
      c.config = preset(which, 1000);
      c.batch = 80; // more than the 64 samples of the recipe
    });
}

// What recipe.md and the paper prescribe, number by number.
TEST(preset_values) {
  const lngd_config recipe = preset(LNGD_PRESET_RECIPE, 400);
  CHECK_EQ(recipe.struct_size, sizeof(lngd_config));
  CHECK_EQ(recipe.fisher, LNGD_FISHER_EXPECTED);
  CHECK_EQ(recipe.damping, LNGD_DAMPING_RELATIVE);
  CHECK_EQ(recipe.trust, LNGD_TRUST_ALWAYS);
  CHECK_EQ(recipe.rate, LNGD_RATE_NONE);
  CHECK_EQ(recipe.block_size, 128);
  CHECK_EQ(recipe.statistics_samples, 64);
  CHECK_EQ(recipe.statistics_interval, 20);
  CHECK_EQ(recipe.inverse_interval, 100);
  CHECK_EQ(recipe.averaging, 1);
  CHECK_EQ(recipe.nesterov, 0);
  CHECK_EQ(recipe.momentum, 0.9);
  CHECK_EQ(recipe.weight_decay, 0.0);
  CHECK_EQ(recipe.damping_factor, 1.0);
  CHECK_EQ(recipe.rho, 0.8);
  CHECK_EQ(recipe.averaging_window, 8.0);
  CHECK_EQ(recipe.learning_rate, 1.0);
  CHECK_NEAR(recipe.trust_ratio, 0.17 / 20, 1e-15);
  CHECK_EQ(preset(LNGD_PRESET_RECIPE, 0).trust_ratio, 0.0);

  const lngd_config fit = preset(LNGD_PRESET_RECIPE_FIT, 0);
  CHECK_EQ(fit.block_size, 0);
  CHECK_EQ(fit.damping_factor, 0.3);
  CHECK_EQ(fit.nesterov, 1);
  CHECK_EQ(fit.trust, LNGD_TRUST_ALWAYS);
  CHECK_EQ(fit.trust_ratio, 0.005);
  CHECK_EQ(fit.trust_depth_slope, 1.5);
  CHECK_EQ(fit.statistics_samples, 0);
  CHECK_EQ(fit.statistics_interval, 5);
  CHECK_EQ(fit.inverse_interval, 20);
  CHECK_EQ(fit.rho, 0.9);

  const lngd_config empirical = preset(LNGD_PRESET_RECIPE_EMPIRICAL, 400);
  CHECK_EQ(empirical.rate, LNGD_RATE_EMPIRICAL);
  CHECK_EQ(empirical.trust, LNGD_TRUST_CAP);
  CHECK_EQ(empirical.learning_rate, 1.0);
  CHECK_NEAR(empirical.trust_ratio, 0.17 / 20, 1e-15);

  const lngd_config paper = preset(LNGD_PRESET_PAPER, 0);
  CHECK_EQ(paper.fisher, LNGD_FISHER_SAMPLED);
  CHECK_EQ(paper.damping, LNGD_DAMPING_ABSOLUTE);
  CHECK_EQ(paper.rate, LNGD_RATE_EMPIRICAL);
  CHECK_EQ(paper.trust, LNGD_TRUST_OFF);
  CHECK_EQ(paper.averaging, 0);
  CHECK_EQ(paper.block_size, 0);
  CHECK_EQ(paper.statistics_samples, 0);
  CHECK_EQ(paper.statistics_interval, 100);
  CHECK_EQ(paper.inverse_interval, 100);
  CHECK_EQ(paper.damping_min, 1e-5);
  CHECK_EQ(paper.damping_max, 1e-2);
  CHECK_EQ(paper.rho, 0.95);
  CHECK_EQ(paper.momentum, 0.9);
}

TEST(step_fisher_modes_per_layer) {
  for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED})
    vary("fisher " + std::to_string(fisher), LNGD_PRESET_RECIPE, [fisher](Case& c) { c.config.fisher = fisher; });
  vary("a mode of its own for each layer", LNGD_PRESET_RECIPE, [](Case& c) {
    c.layers[0].fisher = LNGD_FISHER_SAMPLED;
    c.layers[1].fisher = LNGD_FISHER_PROVIDED;
    c.layers[3].fisher = LNGD_FISHER_SAMPLED;
  });
}

TEST(step_activations_and_output_models) {
  for (const int activation : {LNGD_ACTIVATION_IDENTITY, LNGD_ACTIVATION_LEAKY_RELU, LNGD_ACTIVATION_ELU,
                               LNGD_ACTIVATION_SOFTPLUS, LNGD_ACTIVATION_GELU, LNGD_ACTIVATION_SWISH})
    vary("activation " + std::to_string(activation), LNGD_PRESET_RECIPE, [activation](Case& c) {
      for (std::size_t l = 0; l < 3; ++l)
        c.layers[l] = dense(c.layers[l].inputs, c.layers[l].outputs, c.layers[l].bias != 0, activation);
    });
  for (const int output :
       {LNGD_OUTPUT_SOFTMAX, LNGD_OUTPUT_SIGMOID, LNGD_OUTPUT_SQUARED_ERROR, LNGD_OUTPUT_SOFTMAX_GAUSSIAN})
    for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED})
      vary("output " + std::to_string(output) + " fisher " + std::to_string(fisher), LNGD_PRESET_RECIPE,
           [output, fisher](Case& c) {
             c.layers[3].output = output;
             c.config.fisher = fisher;
           });
}

TEST(step_damping) {
  for (const double gamma : {0.0, 0.01, 0.3, 3.0, 100.0})
    vary("gamma " + std::to_string(gamma), LNGD_PRESET_RECIPE, [gamma](Case& c) {
      c.config.damping_factor = gamma;
      c.config.damping_floor = 1e-2; // in force for Phi with gamma 0 and 0.01, for Psi also with more
    });
  vary("absolute, both bounds in force", LNGD_PRESET_RECIPE, [](Case& c) {
    c.config.damping = LNGD_DAMPING_ABSOLUTE;
    c.config.damping_min = 0.12; // mean of Psi is 1/m: 1/11, 1/17 below, 1/6, 1/5 between
    c.config.damping_max = 0.5;
  });
}

TEST(step_rates) {
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_PAPER})
    for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL, LNGD_RATE_KRONECKER})
      for (const int block : {0, 4})
        vary("preset " + std::to_string(which) + " rate " + std::to_string(rate) + " block " + std::to_string(block),
             which, [rate, block](Case& c) {
               c.config.rate = rate;
               c.config.block_size = block;
               // The paper's damping leaves a condition number at which the identities of KRONECKER lose all digits.
               c.config.damping_max = 10;
               c.config.damping_min = 0.1;
             });
  for (const int samples : {1, 5, 7, 23, 24, 25, 1000})
    if (takes(samples, 5) || samples == 23)
      vary("rate samples " + std::to_string(samples), LNGD_PRESET_RECIPE_EMPIRICAL,
           [samples](Case& c) { c.config.rate_samples = samples; });
  vary("large mu", LNGD_PRESET_RECIPE_EMPIRICAL, [](Case& c) { c.config.mu = 10; });
}

TEST(step_trust) {
  for (const int trust : {LNGD_TRUST_OFF, LNGD_TRUST_CAP, LNGD_TRUST_ALWAYS})
    for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL})
      vary("trust " + std::to_string(trust) + " rate " + std::to_string(rate), LNGD_PRESET_RECIPE,
           [trust, rate](Case& c) {
             c.config.trust = trust;
             c.config.rate = rate;
             c.config.trust_ratio = 0.05;
             c.config.learning_rate = rate == LNGD_RATE_NONE ? 1e-3 : 0.3;
           });
  // A cap that is never reached, and one that always is.
  for (const double ratio : {1e6, 1e-6})
    vary("cap " + std::to_string(ratio), LNGD_PRESET_RECIPE_EMPIRICAL,
         [ratio](Case& c) { c.config.trust_ratio = ratio; });
  for (const double slope : {0.5, 1.5, 4.0})
    for (const std::size_t layers : {std::size_t{1}, std::size_t{2}, std::size_t{4}})
      vary("slope " + std::to_string(slope) + " layers " + std::to_string(layers), LNGD_PRESET_RECIPE,
           [slope, layers](Case& c) {
             c.config.trust_depth_slope = slope;
             c.layers.resize(layers);
           });
}

TEST(step_momentum_and_decay) {
  int number = 0;
  for (const int nesterov : {0, 1})
    for (const double momentum : {0.0, 0.5, 0.95})
      for (const int decay : {LNGD_DECAY_DECOUPLED, LNGD_DECAY_COUPLED})
        for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
          if (takes(number++, 5))
            vary("nesterov " + std::to_string(nesterov) + " momentum " + std::to_string(momentum) + " decay " +
                     std::to_string(decay) + " update " + std::to_string(update),
                 LNGD_PRESET_RECIPE_EMPIRICAL, [=](Case& c) {
                   c.config.nesterov = nesterov;
                   c.config.momentum = momentum;
                   c.config.decay = decay;
                   c.config.weight_decay = 0.05;
                   c.config.learning_rate = 0.5;
                   c.update = update;
                   c.steps = 5;
                 });
}

TEST(step_averaging) {
  for (const double window : {0.5, 1.0, 8.0, 100.0})
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
      vary("window " + std::to_string(window), LNGD_PRESET_RECIPE, [window, update](Case& c) {
        c.config.averaging_window = window;
        c.update = update;
        c.steps = 12;
      });
}

TEST(step_intervals) {
  for (const int statistics : {1, 2, 3, 5})
    for (const int inverse : {1, 2, 4, 7})
      vary("T_FIM " + std::to_string(statistics) + " T_INV " + std::to_string(inverse), LNGD_PRESET_RECIPE,
           [=](Case& c) {
             c.config.statistics_interval = statistics;
             c.config.inverse_interval = inverse;
             c.config.rho = statistics == 3 ? 0.0 : 0.95;
             c.layers.resize(2);
             c.steps = 9;
           });
}

// Settings changed between steps reach the next step; KRONECKER must go on with the damping of the inverses in use.
TEST(step_settings_change_on_the_way) {
  Case c = base_case("settings", LNGD_PRESET_RECIPE);
  c.config.rate = LNGD_RATE_KRONECKER;
  c.config.trust = LNGD_TRUST_CAP;
  Training training(c);
  training.step();
  training.compare();
  training.set(LNGD_SET_LEARNING_RATE, 0.25);
  training.set(LNGD_SET_DAMPING_FACTOR, 2.5);
  training.step();
  training.compare();
  training.set(LNGD_SET_STATISTICS_INTERVAL, 1);
  training.set(LNGD_SET_INVERSE_INTERVAL, 1);
  training.set(LNGD_SET_RHO, 0.5);
  training.set(LNGD_SET_TRUST_RATIO, 0.001);
  training.step();
  training.compare();
  training.set(LNGD_SET_WEIGHT_DECAY, 0.1);
  training.set(LNGD_SET_MU, 1.0);
  training.set(LNGD_SET_DAMPING_FLOOR, 3.0);
  training.step(0.5);
  training.compare();
  training.step(0); // factor 0: momentum still moves the weights
  training.compare();
}
