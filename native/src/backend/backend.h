// SPDX-License-Identifier: Apache-2.0
// What a backend is: memory, plans and the kernels of kernels.def, as a table of function pointers. The optimizer knows
// nothing else of a device, and a backend knows nothing of the optimizer. Everything a kernel decides (a batch kept
// out, a retry, the layer rate, a step skipped) is decided and recorded in backend memory (LayerRecord), so that a
// device never has to ask its host in the middle of a step.
#ifndef LNGD_BACKEND_BACKEND_H
#define LNGD_BACKEND_BACKEND_H

#include <cstddef>
#include <cstdint>

#include "backend/gradient_scale.h"
#include "backend/layout.h"
#include "lngd/lngd.h"

namespace lngd {

constexpr double kOverflow = 1e37; // sums that bound an element of a factor stay below this: float ends at 3.4e38

// Written by kernels, read back for lngd_layer_health and the state. Plain data.
struct LayerRecord {
  // Of the update that is being observed.
  int64_t samples;  // samples in the sums
  int32_t poisoned; // a NaN, an Inf or an overflow was met: this update will be kept out
  // Running averages.
  int32_t has_average;
  int32_t has_inverse;
  int32_t last_failed_block;
  int32_t last_failed_pivot;
  int32_t last_step_skipped;
  int64_t statistics_updates;
  int64_t skipped_statistics;
  int64_t inverse_updates;
  int64_t retries;
  int64_t failed_inverses;
  int64_t skipped_steps;
  int64_t moves; // steps that moved the weights: the t of the averaged weights
  double lambda_psi;
  // Last step.
  double alpha;
  double inner_product;
  double curvature;
  double direction_norm;
  double weight_norm;
  double trust_scale;
  double coefficient; // zeta = coefficient * D
  double decay;       // W loses this share of itself
  // Of all steps that moved the weights.
  double initial_norm;  // ||W|| before the first of them
  double direction_log; // soft_trust: running average of ln ||D||, not corrected for its start
  // Where the second factor is a matrix: running averages of sum ||a||^2 / (N d) and of the mean square of g.
  double input_square;
  double signal_square;
};

// What moves a parameter: the fields of its lngd_layer_config (parameter_rules.h).
struct ParameterRules {
  int32_t method; // lngd_parameter_method
  double learning_rate, weight_decay, beta1, beta2, epsilon, momentum;
};

// What the rules of a step (step_rules.h) need to know of a layer.
struct RuledLayer {
  double trust_slope;            // factor of the depth slope on tau
  bool output_layer;             // has an output model, and the network has other layers
  bool trust_off = false;        // trust OFF, whatever the others have
  double rate_multiplier = 1.0;  // on the learning rate
  double decay_multiplier = 1.0; // on the weight decay
};

// What does not change about a layer. A convolution is a layer whose rows a_n are patches: inputs = channels of a group
// x kernel height x kernel width, in that order, and every output position of a sample is a row of its own. With G
// groups the outputs are cut into G contiguous parts, each with a factor Phi and a denominator of its own. An embedding
// has the one-hot code of a whole number in [0, inputs) as a_n, at every position of a sample; its Phi is diagonal. A
// parameter outside of any layer is one row of `inputs` elements, without factors, statistics and direction.
struct LayerShape {
  int32_t index;
  int64_t inputs;  // d_w
  int64_t outputs; // m
  bool bias;
  bool convolution;
  bool embedding;
  bool parameter;
  ConvGeometry conv;
  int64_t groups; // 1 unless a grouped convolution
  int64_t d;      // inputs + bias
  int64_t ldw;    // leading dimension of momentum, average and direction (m x d)
  BlockLayout blocks;
  int32_t approximation; // lngd_approximation
  BlockLayout second;    // of a second factor that is a matrix, of m/groups rows a group; else nothing
  int32_t activation;
  float activation_parameter;
  int32_t output;
  int32_t fisher;
  RuledLayer rules;
  ParameterRules parameter_rules;

  // Whether rows are (sample, position), so that batches come as Activations and not as Strided.
  bool positional() const { return convolution || embedding; }
  bool second_matrix() const {
    return approximation == LNGD_APPROXIMATION_KFAC || approximation == LNGD_APPROXIMATION_TKFAC || eigenbasis();
  }
  bool adamw() const { return parameter && parameter_rules.method == LNGD_PARAMETER_ADAMW; }
  // With config.orthogonalise: an embedding's direction is whitened, but its columns belong to different indices.
  bool orthogonalised() const { return !parameter && !embedding; }
  bool eigenbasis() const { return approximation == LNGD_APPROXIMATION_EKFAC; }
  int64_t second_count() const { return second_matrix() ? second.count() : 0; }
  int64_t second_floats() const { return second_matrix() ? second.floats() : 0; }
};

// What the squares of a layer's signals are multiplied by where they are S times what they stand for; whether Phi is
// made of them too. psi, and TKFAC's Psi, are ratios, in which S does not show.
LNGD_INLINE double signal_square(bool gradients, const GradientScale& scale) {
  return gradients ? scale.signals * scale.signals : 1.0;
}
// Whether sums of squares that are divided by `count` stay numbers of float when they are multiplied by `signal` on
// top: `largest` bounds what they add up to.
LNGD_INLINE bool scales_within_float(double signal, double largest, double count) {
  return signal == 1.0 || (largest * signal < kOverflow && signal / count >= kSmallestFactor);
}
inline double signal_square(const LayerShape& shape, const GradientScale& scale) {
  return signal_square(shape.fisher == LNGD_FISHER_PROVIDED, scale);
}
inline bool phi_has_signals(const LayerShape& shape) {
  return shape.approximation != LNGD_APPROXIMATION_KFAC && shape.approximation != LNGD_APPROXIMATION_EKFAC;
}

// Backend memory of a layer.
struct LayerMemory {
  float* phi_sum;           // blocks.floats(), lower triangles; nullptr where Phi is diagonal, then
  double* phi_diagonal_sum; // d: a frequent index is met more often in an update than float can count; else nullptr
  double* psi_sum;          // m: sum_n c_n q_ni
  double* denominator;      // groups: sum_n c_n r_n
  float* phi;               // running average, lower triangles
  float* psi;               // m
  float* phi_inverse;       // blocks.floats(), full squares; with orthogonalise the lower triangles C^-1, zeros above
  float* psi_inverse;       // m
  double* lambda_phi;       // one for each block
  // Where the second factor is a matrix; else nullptr. psi_sum, psi and psi_inverse are nullptr then.
  float* second_sum;     // second.floats(), lower triangles
  float* second;         // running average, lower triangles
  float* second_inverse; // full squares; with orthogonalise the lower triangles B^-1, zeros above
  double* lambda_second; // one for each block
  double* totals;        // sum_n c_n of each group, sum_n r_n of each group, rows
  // EKFAC only. phi_inverse and second_inverse hold eigenvectors, as rows; lambda_* are the one lambda.
  float* scales_sum;    // m x ldw
  float* scales;        // S
  float* basis_values;  // eigenvalues of the bases in use: groups x d, then m
  float* momentum;      // m x ldw; with orthogonalise of gradients, renewed by apply_update as always
  float* average;       // m x ldw; nullptr without averaging
  float* direction;     // m x ldw; nullptr for a parameter
  float* second_moment; // of a parameter with ADAMW, its first being `momentum`; else nullptr
  LayerRecord* record;
};

// Arguments of layer_statistics: one observed (micro-)batch of one layer.
struct StatisticsArgs {
  const LayerShape* shape;
  LayerMemory* memory;
  Strided inputs;      // samples x inputs
  Strided signal;      // samples x outputs
  int32_t signal_kind; // lngd_signal
  int64_t samples;
  int64_t first_sample; // number of the first of them in this update: numbers the elements of SAMPLED
  int64_t step;
  uint64_t seed;
  int32_t precision; // lngd_precision of the products in Phi, never AUTO; the CPU computes in float
};

// The same for a convolution: inputs are samples x (groups * channels of a group), signal and provided gradients
// samples x outputs at the output positions. An element of SAMPLED has the number ((first_sample + n) * positions +
// position) * outputs + i. The same kernel takes embeddings: inputs are samples x 1 x 1 x positions, the indices as
// floats; anything but a whole number in [0, inputs) poisons the update, as NaN does.
struct ConvStatisticsArgs {
  const LayerShape* shape;
  LayerMemory* memory;
  Activations inputs;
  Activations signal;
  int32_t signal_kind;
  int64_t samples;
  int64_t first_sample;
  int64_t step;
  uint64_t seed;
  int32_t precision;
};

// One layer of a step.
struct StepLayer {
  const LayerShape* shape;
  LayerMemory* memory;
  Strided weights, bias, weight_gradients, bias_gradients; // rows x columns; m (rs only)
  int64_t rows, columns; // m x inputs; of a parameter as the caller's tensors are cut, element i at (i / columns, i %
                         // columns)
  bool average_due;      // statistics are due and may have been observed
  bool inverse_due;
  Strided sample_inputs, sample_deltas; // for EMPIRICAL: N x inputs, N x m
  Activations conv_inputs, conv_deltas; // the same of a convolution or an embedding
  int64_t samples;
};

struct Plan {};    // base of a backend's own: task lists and workspaces
struct Context {}; // base of a backend's own: threads or stream, libraries, workspaces

// Arguments of the kernels of a step.
struct StepArgs {
  StepLayer* layers; // the array that the plan was created with
  int32_t count;
  int32_t update; // lngd_update
  const lngd_config* config;
  double factor;
  Plan* plan;
  bool captured; // begin_step to end_step: recorded into a graph, not run
  Scaling scaling = {};
};

// Row quantities, for lngd_fisher_rows: compact outputs, each may be nullptr; r and c are rows x groups.
struct FisherRows {
  float* q;
  float* r;
  float* c;
};

// What went wrong on a device.
struct Failure {
  lngd_status status = LNGD_OK;
  char message[512] = "";
};

// Functions of a backend that fail leave a Failure behind. Until it is taken, the functions that follow do nothing: the
// rest of a step is not run on what its beginning left.
struct Backend {
  const char* name;
  // Rows of a batch at most: samples times output positions, and samples times the elements of an image.
  int64_t most_rows;
  // nullptr with nothing allocated and `failure` filled in where it cannot be had.
  Context* (*create)(const lngd_config& config, Failure& failure);
  void (*destroy)(Context*);
  // The first failure since the last call (LNGD_OK: none), which is then forgotten; LNGD_DEVICE_LOST never is.
  Failure (*take_failure)(Context*);
  // Whether tensors of this kind of memory (DLDeviceType and index) can be passed; `device` tells whether the kernels
  // reach it directly (Strided::device).
  bool (*accepts)(const Context*, int32_t device_type, int32_t device_id, bool& device);
  // The caller's stream, on which device tensors are ready and wanted; complete on return where there are no streams.
  void (*set_stream)(Context*, void* stream);
  // Whether that stream is being captured into a graph. Never where there are no streams.
  bool (*capturing)(Context*);
  void (*synchronize)(Context*);
  // Threads that the context works with.
  int32_t (*threads)(const Context*);
  // Zeroed, 64-byte aligned; nullptr when it cannot be had.
  void* (*allocate)(Context*, size_t bytes);
  void (*release)(Context*, void*);
  // Between any two of backend memory, memory that `accepts` takes, and host memory; complete on return.
  void (*copy)(Context*, void* to, const void* from, size_t bytes);
  // Copies out of and into backend memory; complete on return.
  void (*read)(Context*, void* host, const void* memory, size_t bytes);
  void (*write)(Context*, void* memory, const void* host, size_t bytes);
  // Makes task lists and workspaces for these layers; nullptr when memory runs out. `layers` outlives the plan.
  Plan* (*plan_create)(Context*, StepLayer* layers, int32_t count, const lngd_config& config);
  void (*plan_destroy)(Context*, Plan*);
  // The addresses of the caller's tensors in its layers have changed, and nothing else.
  void (*plan_rebind)(Context&, Plan*, const StepLayer* layers, int32_t count);
  int64_t (*plan_bytes)(const Plan*);
  int64_t (*workspace_bytes)(const Context*);
  // Makes room for observing layers of this shape, so that layer_statistics allocates nothing. False when memory runs
  // out.
  bool (*reserve_statistics)(Context*, const LayerShape&);
  // The sums of an update that failed half-way, or that is not wanted, back to zero.
  void (*discard_statistics)(Context&, const LayerShape&, LayerMemory&);
  // (samples, poisoned) of each record into counts[2 i] and counts[2 i + 1]; what the caller's stream does next comes
  // after all statistics.
  void (*publish_counts)(Context&, const LayerRecord* records, double* counts, int32_t layers);
  // And back, after what the caller's stream holds; a second count that is not 0 is `poisoned`.
  void (*take_counts)(Context&, LayerRecord* records, const double* counts, int32_t layers);
  // Frame the kernels precondition, layer_rate and apply_update of a step, or swap_averages: the caller's tensors and
  // the settings to the device; what was written back, complete on return where a tensor lies in host memory.
  void (*begin_step)(Context&, const StepArgs&);
  void (*end_step)(Context&, const StepArgs&);
  // Whether a step of this plan can be captured into a graph.
  bool (*capturable)(const Plan*);
  // The norm of all gradients, divided by the scale, in the last step of a plan that clips them.
  double (*gradient_norm)(Context*, const Plan*);
  // Hands the settings of `args` to the next launch of a graph that holds a step of args.plan.
  void (*begin_replay)(Context&, const StepArgs&);
  // q, r, c of a batch (host memory), for tests and golden vectors. Of a convolution: rows are sample * positions +
  // position, r and c have a number for each group.
  void (*fisher_rows)(Context&, const StatisticsArgs&, const FisherRows&);
  void (*conv_fisher_rows)(Context&, const ConvStatisticsArgs&, const FisherRows&);
#define LNGD_KERNEL(name, arguments) void (*name)(Context&, const arguments&);
#include "backend/kernels.def"
#undef LNGD_KERNEL
};

// The CPU backend; loads OpenBLAS if that has not happened yet. nullptr with the reason in `reason` where that fails.
const Backend* cpu_backend(char* reason, size_t reason_bytes);

} // namespace lngd
#endif
