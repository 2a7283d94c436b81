// SPDX-License-Identifier: Apache-2.0
#include "optimizer/config.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "optimizer/error.h"

namespace lngd {
namespace {

constexpr int64_t kMaxWidth = int64_t{1} << 24;
constexpr int64_t kMaxElements = (int64_t{1} << 31) - 1; // of a parameter: CUDA counts them in 32 bits
constexpr int64_t kMaxReach = int64_t{1} << 30;          // kernels add to it in 32 bits
constexpr int32_t kMaxGeometry = 65535; // of kernel, stride, padding, dilation: their products stay far inside int64_t

void check_range(const char* name, double value, double low, bool low_open, double high, bool high_open) {
  const bool inside =
      std::isfinite(value) && (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
  require(inside, name, " is ", value, ", allowed is ", low_open ? '(' : '[', low, ", ", high, high_open ? ')' : ']');
}

void check_enum(const char* name, int32_t value, int32_t count) {
  require(value >= 0 && value < count, name, " is ", value, ", allowed is 0 to ", count - 1);
}

void check_whole(const char* name, int64_t value, int64_t low) {
  require(value >= low, name, " is ", value, ", allowed is ", low, " or more");
}

constexpr double kLargest = 1e30;

// The fields of lngd_setting, once.
struct Setting {
  int32_t id;
  const char* name;
  double lngd_config::*real;
  int32_t lngd_config::*whole;
};
const Setting kSettings[] = {
    {LNGD_SET_LEARNING_RATE, "learning_rate", &lngd_config::learning_rate, nullptr},
    {LNGD_SET_MOMENTUM, "momentum", &lngd_config::momentum, nullptr},
    {LNGD_SET_WEIGHT_DECAY, "weight_decay", &lngd_config::weight_decay, nullptr},
    {LNGD_SET_DAMPING_FACTOR, "damping_factor", &lngd_config::damping_factor, nullptr},
    {LNGD_SET_DAMPING_FLOOR, "damping_floor", &lngd_config::damping_floor, nullptr},
    {LNGD_SET_DAMPING_MIN, "damping_min", &lngd_config::damping_min, nullptr},
    {LNGD_SET_DAMPING_MAX, "damping_max", &lngd_config::damping_max, nullptr},
    {LNGD_SET_RHO, "rho", &lngd_config::rho, nullptr},
    {LNGD_SET_MU, "mu", &lngd_config::mu, nullptr},
    {LNGD_SET_TRUST_RATIO, "trust_ratio", &lngd_config::trust_ratio, nullptr},
    {LNGD_SET_STATISTICS_INTERVAL, "statistics_interval", nullptr, &lngd_config::statistics_interval},
    {LNGD_SET_INVERSE_INTERVAL, "inverse_interval", nullptr, &lngd_config::inverse_interval},
    {LNGD_SET_SIGNAL_REFERENCE, "signal_reference", &lngd_config::signal_reference, nullptr},
};

void validate_geometry(const std::string& at, const lngd_layer_config& layer) {
  require(layer.rank == 1 || layer.rank == 2, at, "rank is ", layer.rank, ", allowed is 1 or 2");
  const struct {
    const char* name;
    const int32_t* values;
    int32_t low;
  } fields[] = {{"kernel", layer.kernel, 1},
                {"stride", layer.stride, 1},
                {"padding_before", layer.padding_before, 0},
                {"padding_after", layer.padding_after, 0},
                {"dilation", layer.dilation, 1}};
  for (const auto& field : fields)
    for (int axis = 0; axis < 2; ++axis) {
      const int32_t value = field.values[axis], high = axis < layer.rank ? kMaxGeometry : field.low;
      require(value >= field.low && value <= high, at, field.name, "[", axis, "] is ", value, ", allowed is ",
              field.low, axis < layer.rank ? " to 65535" : " where rank is 1");
    }
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t across = (int64_t{layer.kernel[axis]} - 1) * layer.dilation[axis];
    require(across <= kMaxReach, at, "dilation[", axis, "] is ", layer.dilation[axis], " with kernel[", axis, "] ",
            layer.kernel[axis], ": the kernel would reach over ", across, " elements, allowed is ", kMaxReach);
  }
  check_enum((at + "padding").c_str(), layer.padding, 2);
  for (int axis = 0; layer.padding == LNGD_PADDING_SAME && axis < 2; ++axis)
    require(layer.padding_before[axis] == 0 && layer.padding_after[axis] == 0, at, "padding_before[", axis, "] is ",
            layer.padding_before[axis], " and padding_after[", axis, "] is ", layer.padding_after[axis],
            ", allowed is 0 with LNGD_PADDING_SAME, which takes them from the image");
  require(layer.groups >= 1 && layer.inputs % layer.groups == 0 && layer.outputs % layer.groups == 0, at, "groups is ",
          layer.groups, ", allowed is a divisor of inputs (", layer.inputs, ") and of outputs (", layer.outputs, ")");
  const int64_t columns = weight_columns(layer);
  require(columns <= kMaxWidth, at, "kernel is ", layer.kernel[0], " x ", layer.kernel[1], " with ",
          layer.inputs / layer.groups, " channels a group: ", columns, " weights an output, allowed is 1 to ",
          kMaxWidth);
}

void validate_parameter(const std::string& at, const lngd_layer_config& layer) {
  require(layer.inputs >= 1 && layer.inputs <= kMaxElements, at, "inputs is ", layer.inputs,
          " elements of a parameter, allowed is 1 to ", kMaxElements);
  require(layer.outputs == 1 && layer.bias == 0, at, "outputs is ", layer.outputs, " and bias ", layer.bias,
          ", allowed is 1 and 0 for a parameter (kind 3)");
  check_enum((at + "method").c_str(), layer.method, 2);
  check_range((at + "learning_rate").c_str(), layer.learning_rate, 0, true, 1e6, false);
  check_range((at + "weight_decay").c_str(), layer.weight_decay, 0, false, kLargest, false);
  if (layer.method == LNGD_PARAMETER_NESTEROV) {
    check_range((at + "momentum").c_str(), layer.momentum, 0, false, 1, true);
    return;
  }
  check_range((at + "beta1").c_str(), layer.beta1, 0, false, 1, true);
  check_range((at + "beta2").c_str(), layer.beta2, 0, false, 1, true);
  // Below it the second moment of a gradient could be 0 in float where the gradient is longer than epsilon.
  check_range((at + "epsilon").c_str(), layer.epsilon, 1e-16, false, 1e6, false);
}

// What an approximation cannot be combined with.
void validate_approximation(const lngd_config& c) {
  const bool vector = c.approximation == LNGD_APPROXIMATION_LNGD || c.approximation == LNGD_APPROXIMATION_NGPLUS;
  const bool dense = !vector && c.approximation != LNGD_APPROXIMATION_EKFAC;
  require(!vector || c.damping != LNGD_DAMPING_FACTORED,
          "damping is LNGD_DAMPING_FACTORED (2), allowed is 0 or 1 with approximation ", c.approximation);
  require(dense || c.damping != LNGD_DAMPING_SIGNAL,
          "damping is LNGD_DAMPING_SIGNAL (3), allowed are approximations KFAC (1) and TKFAC (2) with it, seen is ",
          c.approximation);
  require(dense || c.second_block_size == 0, "second_block_size is ", c.second_block_size,
          ", allowed is 0 with approximation ", c.approximation);
  if (c.orthogonalise != 0)
    require(dense && c.trust == LNGD_TRUST_ALWAYS && c.rate == LNGD_RATE_NONE,
            "orthogonalise is 1, allowed is 0 but for approximations KFAC (1) and TKFAC (2) with trust ALWAYS (2) and "
            "rate NONE (0); seen are approximation ",
            c.approximation, ", trust ", c.trust, ", rate ", c.rate);
  if (c.approximation == LNGD_APPROXIMATION_LNGD) return;
  require(c.fisher == LNGD_FISHER_PROVIDED, "fisher is ", c.fisher, ", allowed is LNGD_FISHER_PROVIDED (2) with ",
          "approximation ", c.approximation, ", whose factors are made of g");
  require(c.rate != LNGD_RATE_KRONECKER, "rate is LNGD_RATE_KRONECKER (2), allowed is 0 or 1 with approximation ",
          c.approximation);
}

const Setting& find_setting(int32_t id) {
  for (const Setting& setting : kSettings)
    if (setting.id == id) return setting;
  fail(LNGD_INVALID_ARGUMENT, "setting is ", id, ", allowed is 0 to ", LNGD_SET_SIGNAL_REFERENCE);
}

} // namespace

lngd_layer_config default_layer(int64_t inputs, int64_t outputs) {
  require(inputs >= 1 && inputs <= kMaxWidth, "inputs is ", inputs, ", allowed is 1 to ", kMaxWidth);
  require(outputs >= 1 && outputs <= kMaxWidth, "outputs is ", outputs, ", allowed is 1 to ", kMaxWidth);
  lngd_layer_config layer;
  std::memset(&layer, 0, sizeof layer);
  layer.struct_size = sizeof layer;
  layer.kind = LNGD_LAYER_DENSE;
  layer.inputs = inputs;
  layer.outputs = outputs;
  layer.bias = 1;
  layer.activation = LNGD_ACTIVATION_RELU;
  layer.activation_parameter = 0.01;
  layer.output = LNGD_OUTPUT_HIDDEN;
  layer.fisher = -1;
  layer.rate_multiplier = layer.decay_multiplier = 1.0;
  return layer;
}

lngd_layer_config default_embedding(int64_t inputs, int64_t outputs) {
  lngd_layer_config layer = default_layer(inputs, outputs);
  layer.kind = LNGD_LAYER_EMBEDDING;
  layer.bias = 0;
  layer.activation = LNGD_ACTIVATION_IDENTITY;
  return layer;
}

lngd_layer_config default_parameter(int64_t elements) {
  require(elements >= 1 && elements <= kMaxElements, "elements is ", elements, ", allowed is 1 to ", kMaxElements);
  lngd_layer_config layer = default_layer(1, 1);
  layer.kind = LNGD_LAYER_PARAMETER;
  layer.inputs = elements;
  layer.bias = 0;
  layer.activation = LNGD_ACTIVATION_IDENTITY;
  layer.method = LNGD_PARAMETER_ADAMW;
  layer.learning_rate = 1e-3;
  layer.beta1 = 0.9;
  layer.beta2 = 0.999;
  layer.epsilon = 1e-8;
  layer.momentum = 0.9;
  return layer;
}

lngd_layer_config default_convolution(int32_t rank, int64_t inputs, int64_t outputs, const int32_t* kernel) {
  require(rank == 1 || rank == 2, "rank is ", rank, ", allowed is 1 or 2");
  lngd_layer_config layer = default_layer(inputs, outputs);
  layer.kind = LNGD_LAYER_CONVOLUTION;
  layer.rank = rank;
  for (int axis = 0; axis < 2; ++axis) {
    layer.kernel[axis] = axis < rank ? kernel[axis] : 1;
    layer.stride[axis] = layer.dilation[axis] = 1;
  }
  layer.groups = 1;
  validate_geometry("", layer);
  return layer;
}

int64_t weight_columns(const lngd_layer_config& layer) {
  if (layer.kind != LNGD_LAYER_CONVOLUTION) return layer.inputs;
  return layer.inputs / layer.groups * layer.kernel[0] * layer.kernel[1];
}

void validate(const lngd_config& c) {
  require(c.struct_size == sizeof c, "config->struct_size is ", c.struct_size, ", allowed is ", sizeof c,
          " (fill the configuration with lngd_config_init of the same header)");
  check_enum("device", c.device, 4);
  require(c.threads >= 0 && c.threads <= 1024, "threads is ", c.threads, ", allowed is 0 (automatic) to 1024");
  check_enum("fisher", c.fisher, 3);
  check_enum("damping", c.damping, 4);
  check_enum("trust", c.trust, 3);
  check_enum("rate", c.rate, 3);
  check_enum("decay", c.decay, 3);
  check_enum("damping_scope", c.damping_scope, 2);
  check_enum("soft_trust", c.soft_trust, 2);
  check_enum("output_bound", c.output_bound, 2);
  check_enum("orthogonalise", c.orthogonalise, 2);
  check_whole("second_block_size", c.second_block_size, 0);
  check_enum("nesterov", c.nesterov, 2);
  check_enum("averaging", c.averaging, 2);
  check_enum("precision", c.precision, 5);
  require(c.direction_precision == LNGD_PRECISION_TF32X3 || c.direction_precision == LNGD_PRECISION_TF32,
          "direction_precision is ", c.direction_precision, ", allowed is TF32X3 (0) or TF32 (1)");
  check_enum("overlap", c.overlap, 2);
  check_whole("device_index", c.device_index, 0);
  check_enum("approximation", c.approximation, 5);
  validate_approximation(c);
  check_whole("block_size", c.block_size, 0);
  check_whole("statistics_samples", c.statistics_samples, 0);
  check_whole("rate_samples", c.rate_samples, 0);
  check_whole("statistics_interval", c.statistics_interval, 1);
  check_whole("inverse_interval", c.inverse_interval, 1);
  check_range("learning_rate", c.learning_rate, 0, true, 1e6, false);
  check_range("momentum", c.momentum, 0, false, 1, true);
  check_range("weight_decay", c.weight_decay, 0, false, kLargest, false);
  check_range("damping_factor", c.damping_factor, 0, false, kLargest, false);
  check_range("damping_floor", c.damping_floor, 0, true, kLargest, false);
  check_range("damping_min", c.damping_min, 0, true, kLargest, false);
  check_range("damping_max", c.damping_max, c.damping_min, false, kLargest, false);
  check_range("output_decay", c.output_decay, 0, false, kLargest, false);
  check_range("second_damping", c.second_damping, 0, true, kLargest, false);
  check_range("signal_reference", c.signal_reference, 0, false, kLargest, false);
  check_range("rho", c.rho, 0, false, 1, true);
  check_range("mu", c.mu, 0, true, kLargest, false);
  if (c.trust != LNGD_TRUST_OFF) {
    require(c.trust_ratio != 0.0,
            "trust_ratio is 0: pass the length of the run as total_steps to lngd_config_init (it sets 0.17 / "
            "sqrt(total_steps)), or set trust_ratio > 0");
    check_range("trust_ratio", c.trust_ratio, 0, true, kLargest, false);
  } else {
    require(c.decay != LNGD_DECAY_TRUST, "decay is LNGD_DECAY_TRUST (2), allowed is 0 or 1 with trust OFF (0)");
    require(c.soft_trust == 0 && c.output_bound == 0, "soft_trust is ", c.soft_trust, " and output_bound ",
            c.output_bound, ", allowed is 0 with trust OFF (0)");
  }
  check_range("trust_depth_slope", c.trust_depth_slope, 0, true, 1e6, false);
  check_range("averaging_window", c.averaging_window, 0, true, kLargest, false);
  check_range("gradient_clipping", c.gradient_clipping, 0, false, kLargest, false);
}

void validate(const lngd_config& config, const lngd_layer_config& layer, int32_t index) {
  const std::string at = "layers[" + std::to_string(index) + "].";
  const auto in = [&at](const char* name) { return at + name; };
  require(layer.struct_size == sizeof layer, in("struct_size"), " is ", layer.struct_size, ", allowed is ",
          sizeof layer, " (fill it with lngd_layer_init of the same header)");
  check_enum(in("kind").c_str(), layer.kind, 4);
  if (layer.kind == LNGD_LAYER_PARAMETER) return validate_parameter(at, layer);
  require(layer.inputs >= 1 && layer.inputs <= kMaxWidth, in("inputs"), " is ", layer.inputs, ", allowed is 1 to ",
          kMaxWidth);
  require(layer.outputs >= 1 && layer.outputs <= kMaxWidth, in("outputs"), " is ", layer.outputs, ", allowed is 1 to ",
          kMaxWidth);
  if (layer.kind == LNGD_LAYER_CONVOLUTION) validate_geometry(at, layer);
  check_enum(in("bias").c_str(), layer.bias, 2);
  check_enum(in("activation").c_str(), layer.activation, 9);
  check_enum(in("output").c_str(), layer.output, 5);
  require(layer.fisher >= -1 && layer.fisher < 3, in("fisher"), " is ", layer.fisher, ", allowed is -1 to 2");
  require(config.approximation == LNGD_APPROXIMATION_LNGD || layer.fisher == -1 || layer.fisher == LNGD_FISHER_PROVIDED,
          in("fisher"), " is ", layer.fisher, ", allowed is -1 or LNGD_FISHER_PROVIDED (2) with approximation ",
          config.approximation);
  check_range(in("rate_multiplier").c_str(), layer.rate_multiplier, 0, false, 1e6, false);
  check_range(in("decay_multiplier").c_str(), layer.decay_multiplier, 0, false, 1e6, false);
  check_enum(in("trust_off").c_str(), layer.trust_off, 2);
  require(layer.trust_off == 0 || config.orthogonalise == 0, in("trust_off"),
          " is 1, allowed is 0 with orthogonalise 1, whose directions get their length from the trust ratio");
  if (layer.activation == LNGD_ACTIVATION_LEAKY_RELU)
    check_range(in("activation_parameter").c_str(), layer.activation_parameter, 0, false, 1, false);
  if (layer.activation == LNGD_ACTIVATION_ELU)
    check_range(in("activation_parameter").c_str(), layer.activation_parameter, 0, true, 1e6, false);
  const bool gaussian = layer.output == LNGD_OUTPUT_HIDDEN || layer.output == LNGD_OUTPUT_SQUARED_ERROR;
  require(gaussian || layer.activation == LNGD_ACTIVATION_IDENTITY, in("activation"), " is ", layer.activation,
          ", allowed is LNGD_ACTIVATION_IDENTITY (0) with output model ", layer.output,
          ", which contains its own softmax or sigmoid");
  const bool embedding = layer.kind == LNGD_LAYER_EMBEDDING;
  require(!embedding || config.approximation <= LNGD_APPROXIMATION_TKFAC, in("kind"),
          " is LNGD_LAYER_EMBEDDING (2), allowed with approximation ", config.approximation,
          " are dense layers and convolutions");
  const int64_t rows = layer.kind == LNGD_LAYER_CONVOLUTION ? layer.outputs / layer.groups : layer.outputs;
  const bool matrix =
      config.approximation != LNGD_APPROXIMATION_LNGD && config.approximation != LNGD_APPROXIMATION_NGPLUS;
  const int64_t tallest = config.second_block_size == 0 ? rows : std::min<int64_t>(config.second_block_size, rows);
  require(!matrix || tallest <= 65536, in("outputs"), " is ", layer.outputs, " with second_block_size ",
          config.second_block_size, ": a diagonal block of Psi would have ", tallest, " rows, allowed is 65536");
  if (embedding) return; // its Phi is a vector
  // A full factor of the widest layer allowed would be 2^48 floats; say so here rather than as "out of memory".
  const int64_t d = weight_columns(layer) + layer.bias;
  const int64_t widest = config.block_size == 0 ? d : std::min<int64_t>(config.block_size, d);
  require(widest <= 65536, in("inputs"), " is ", layer.inputs, " with block_size ", config.block_size,
          ": a diagonal block of Phi would have ", widest, " rows, allowed is 65536");
}

void apply_setting(lngd_config& config, int32_t setting, double value) {
  const Setting& s = find_setting(setting);
  lngd_config changed = config;
  if (s.real) {
    changed.*s.real = value;
  } else {
    require(value >= 1 && value <= 2147483647.0 && value == std::floor(value), s.name, " is ", value,
            ", allowed is a whole number from 1 to 2147483647");
    changed.*s.whole = static_cast<int32_t>(value);
  }
  validate(changed);
  config = changed;
}

double read_setting(const lngd_config& config, int32_t setting) {
  const Setting& s = find_setting(setting);
  return s.real ? config.*s.real : static_cast<double>(config.*s.whole);
}

// TF32 rounds the rows b_n = sqrt(r_n) a_n to b_n + e_n with |e_n| <= u |b_n| element by element, u = 2^-11, and Phi is
// the Gram matrix of the rounded rows B + E. Let A = Phi + lambda I. As B^T B is below A, and ||E||^2 is at most
// u^2 tr(Phi) = u^2 (s / gamma) lambda where lambda = gamma tr(Phi) / s for a block of s columns,
//   || A^-1/2 (B^T E + E^T B + E^T E) A^-1/2 || <= eta = 2 u sqrt(s / gamma) + u^2 s / gamma,
// so in the norm of A an inverse times any gradient changes by at most eta / (1 - eta) of itself. AUTO allows 2^-5,
// which is s / gamma = 1024: what the noise of Phi itself is at 2000 samples (1 / sqrt(N), in a running average), and
// the worst case: rounding errors of many rows are not all of one sign, and 2^-10 is what tests see.
//
// With damping_scope LAYER lambda = gamma tr / S, the trace and the S columns those of all blocks and groups. A block
// may have all of that trace, so all that bounds tr(Phi) of it is (S / gamma) lambda: S stands for s above. The damping
// of psi (second_damping) does not matter: psi is summed in double. NGPLUS has the same Phi. A second factor that is a
// matrix is made by the same kernels and has another gamma and another s, and with lambda from elsewhere (ABSOLUTE,
// FACTORED, SIGNAL) nothing bounds s / gamma: not covered.
int32_t statistics_precision(const lngd_config& config, const BlockLayout& blocks) {
  if (config.precision != LNGD_PRECISION_AUTO) return config.precision;
  constexpr double kMostColumns = 1024; // for gamma = 1
  const int64_t columns = config.damping_scope == LNGD_DAMPING_SCOPE_LAYER ? blocks.groups * blocks.d : blocks.block;
  const bool vector =
      config.approximation == LNGD_APPROXIMATION_LNGD || config.approximation == LNGD_APPROXIMATION_NGPLUS;
  const bool covered = vector && config.damping == LNGD_DAMPING_RELATIVE &&
                       static_cast<double>(columns) <= kMostColumns * config.damping_factor;
  return covered ? LNGD_PRECISION_TF32 : LNGD_PRECISION_TF32X3;
}

uint64_t fnv1a(const void* data, size_t bytes, uint64_t hash) {
  const unsigned char* p = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ p[i]) * 0x100000001b3ull;
  return hash;
}

uint64_t config_hash(const lngd_config& c, const lngd_layer_config* layers, int32_t count) {
  uint64_t hash = fnv1a(&count, sizeof count);
  const auto mix = [&hash](const auto& value) { hash = fnv1a(&value, sizeof value, hash); };
  mix(c.fisher), mix(c.damping), mix(c.trust), mix(c.rate), mix(c.decay), mix(c.nesterov), mix(c.averaging);
  mix(c.block_size), mix(c.statistics_samples), mix(c.rate_samples);
  mix(c.trust_depth_slope), mix(c.averaging_window), mix(c.seed);
  mix(c.precision);
  if (c.approximation != LNGD_APPROXIMATION_LNGD)
    mix(c.approximation); // the states of before there were others stay good
  if (c.direction_precision != LNGD_PRECISION_TF32X3) mix(c.direction_precision); // likewise
  if (c.second_block_size != 0) mix(c.second_block_size);
  if (c.damping_scope != LNGD_DAMPING_SCOPE_BLOCK) mix(c.damping_scope);
  if (c.soft_trust != 0 || c.output_bound != 0) mix(c.soft_trust), mix(c.output_bound);
  if (c.output_decay != 1) mix(c.output_decay);
  if (c.second_damping != 1) mix(c.second_damping);
  if (c.orthogonalise != 0) mix(c.orthogonalise);
  if (c.gradient_clipping != 0) mix(c.gradient_clipping);
  for (int32_t i = 0; i < count; ++i) {
    const lngd_layer_config& l = layers[i];
    mix(l.kind), mix(l.inputs), mix(l.outputs), mix(l.bias), mix(l.activation), mix(l.activation_parameter);
    mix(l.output), mix(l.fisher);
    if (l.kind == LNGD_LAYER_PARAMETER)
      mix(l.method), mix(l.learning_rate), mix(l.weight_decay), mix(l.beta1), mix(l.beta2), mix(l.epsilon),
          mix(l.momentum);
    else if (l.rate_multiplier != 1 || l.decay_multiplier != 1 || l.trust_off != 0)
      mix(l.rate_multiplier), mix(l.decay_multiplier), mix(l.trust_off);
    if (l.kind != LNGD_LAYER_CONVOLUTION) continue;
    mix(l.rank), mix(l.kernel), mix(l.stride), mix(l.padding), mix(l.padding_before), mix(l.padding_after),
        mix(l.dilation);
    mix(l.groups);
  }
  return hash;
}

} // namespace lngd
