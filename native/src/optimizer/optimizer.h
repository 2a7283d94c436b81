// SPDX-License-Identifier: Apache-2.0
// The optimizer: layers, their memory, the schedule of statistics and inverses, the order of kernels in a step. It
// knows no device: everything numerical is a call through the backend table.
#ifndef LNGD_OPTIMIZER_OPTIMIZER_H
#define LNGD_OPTIMIZER_OPTIMIZER_H

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "lngd/lngd.h"
#include "optimizer/error.h"
#include "optimizer/inverses.h"
#include "optimizer/sums.h"

namespace lngd {

struct Layer {
  lngd_layer_config config;
  LayerShape shape{};
  LayerMemory memory{};
  int64_t steps = 0;            // of the schedule; skipped ones count too
  int64_t observed_samples = 0; // between observe and step
  bool has_average = false;     // mirrors of the record, read after statistics or inverses only
  bool has_inverse = false;
  bool inverse_stale = false; // a factor was written from outside
  bool has_direction = false;
  bool swapped = false;   // averaged weights are in the caller's tensors
  bool refreshed = false; // the coming step has had its averages and inverses from lngd_refresh
  bool torn = false;      // its sums are of before a restore, or a failed call left them half-done: to be discarded
  bool failed = false;    // torn by a failed call: an all-reduce must not take its sums for zeros
  bool closed = false;    // lngd_sums_close has closed its update
  bool reduced = false;   // its sums are the total of all ranks, observed_samples too
  bool awaiting = false;  // lngd_refresh has left its inverses to their owner, or is that, and they are not exchanged
};

class StepPlan;

// The device that an optimizer of this configuration runs on: AUTO is CUDA where that can be used
// (DeviceLibrary::check), else the CPU with the reason. Throws where a device that was named cannot be used.
int32_t choose_device(const lngd_config& config, std::string& why_not_cuda);
// Of a device that choose_device gave; throws where OpenBLAS is missing for the CPU's.
const Backend* backend_of(int32_t device);

class Optimizer {
 public:
  // Both throw Error.
  Optimizer(const lngd_config& config, const lngd_layer_config* layers, int32_t count);
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Throws the first message of a lost device. Every call but the destroying ones begins with it.
  void require_alive() const;
  // Whether tensors in this kind of memory can be taken, and whether kernels reach it directly.
  bool accepts(int32_t device_type, int32_t device_id, bool& device) const {
    return backend_->accepts(context_, device_type, device_id, device);
  }
  const char* device_name() const { return backend_->name; }
  int64_t most_rows() const { return backend_->most_rows; }
  void set_stream(void* stream);
  void synchronize() const;
  void* device_allocate(int64_t bytes);
  void device_free(void* memory);
  void device_copy(void* to, const void* from, int64_t bytes) const;

  // What gradients are multiplied by, and the flag that keeps a step out (lngd_set_gradient_scale).
  struct ScaleSource {
    double scale = 1; // where `at` is nullptr
    const float *at = nullptr, *found_inf = nullptr;
    bool at_device = false, found_inf_device = false;
    int32_t signals = 0;
  };
  void set_gradient_scale(const ScaleSource& source);

  const lngd_config& config() const { return config_; }
  void set(int32_t setting, double value);

  int32_t layer_count() const { return static_cast<int32_t>(layers_.size()); }
  Layer& layer(int32_t index);
  const Layer& layer(int32_t index) const;

  uint32_t needs(const Layer& layer) const;
  // lngd_precision of a layer's statistics with the present settings, never AUTO.
  int32_t precision(const Layer& layer) const;
  void observe(Layer& layer, int64_t samples, Strided inputs, Strided signal, int32_t signal_kind);
  void observe(Layer& layer, int64_t samples, const Activations& inputs, const Activations& signal,
               int32_t signal_kind); // of a convolution or an embedding
  // Drops what was observed of a layer, or of all (LNGD_ALL_LAYERS).
  void discard(int32_t index);

  // Sums in and out (sums.cpp).
  lngd_sums sums() const;
  SumRange sum_range(int32_t layer, int32_t sum) const;
  void close_sums();
  void take_reduced_sums();
  void set_reduction(int32_t needed);
  void set_sample_offset(int64_t offset);

  // Inverses in and out (inverses.cpp).
  void share_inverses(const int32_t* owners, int32_t count, int32_t rank);
  lngd_inverses inverses() const;
  InversesLayout::Range inverse_range(int32_t owner) const;
  // Returns the operations.
  double inverse_cost(int32_t layer, int64_t& floats) const;
  void take_inverses();

  void fisher_rows(const Layer& layer, int64_t step, int64_t samples, Strided inputs, Strided signal,
                   int32_t signal_kind, const FisherRows& out) const;
  void fisher_rows(const Layer& layer, int64_t step, int64_t samples, const Activations& inputs,
                   const Activations& signal, int32_t signal_kind, const FisherRows& out) const;

  lngd_health health(const Layer& layer) const;
  lngd_memory memory() const;
  lngd_times times() const { return times_; }
  // out may be nullptr; returns the number of floats.
  int64_t read_field(const Layer& layer, int32_t field, float* out, int64_t capacity) const;
  void write_field(Layer& layer, int32_t field, const float* values, int64_t count);

  int64_t state_bytes() const;
  void save_state(unsigned char* out) const;
  void restore_state(const unsigned char* data, int64_t bytes);

 private:
  friend class StepPlan;

  void allocate_layer(Layer& layer);
  // Of a step that begins now: host memory is read here. Without the flag where it is not known yet.
  Scaling scaling(bool with_flag) const;
  void allocate_sums();
  void release_sums();
  int64_t sums_bytes() const;
  std::vector<const LayerShape*> shapes() const;
  void allocate_inverses();
  bool shared() const { return rank_ >= 0; }
  bool owns(const Layer& layer) const { return !shared() || owners_[static_cast<size_t>(layer.shape.index)] == rank_; }
  int64_t exchange() const; // number of the coming one
  bool any_awaits(const InversesLayout::OfOwner& of) const;
  // Heads of the layers that await others and are this rank's.
  void publish_inverses();
  void take_head(const InverseHead& head, const Layer& layer, LayerRecord& record) const;
  void require_reducible() const;
  // The samples of a layer in heads_, which are a total; throws where they cannot be.
  int64_t checked_count(const Layer& layer) const;
  // Whether the next step of a layer takes statistics, unless lngd_refresh has.
  bool awaits(const Layer& layer) const;
  void release_layers();
  void write_layers(const unsigned char* at);
  void check_signal(const Layer& layer, int32_t signal_kind) const;
  // Throws what the backend has failed in since the last time; a lost device is remembered.
  void check_device() const;
  // Before anything but a step: CUDA allows little while the caller's stream is being captured.
  void require_no_capture() const;
  // S0 of SIGNAL damping, before the first inversion: exp(mean over the layers of ln(alpha_l beta_l)). Reads the
  // records once in the life of an optimizer, at a step that reads them anyway.
  void take_signal_reference();
  // Round a statistics kernel: sums that a failure tore are dropped, the samples counted where all went well.
  void begin_sums(Layer& layer);
  void end_sums(Layer& layer, int64_t samples);
  void read(void* host, const void* memory, size_t bytes) const;
  void write(void* memory, const void* host, size_t bytes);
  template <typename Args, typename View>
  void feed(Layer& layer, int64_t samples, const View& inputs, const View& signal, int32_t signal_kind,
            void (*kernel)(Context&, const Args&));
  template <typename T>
  T* allocate(int64_t count);

  // One row of a layer's memory that state, memory report and release go through: what it is and how large. Without
  // the sums, which all layers have in common. `in_buffer`: of the inverses, which is released as a whole.
  struct Region {
    void* memory;
    int64_t bytes;
    int32_t kind; // 0 factors, 1 inverses, 2 momentum, 3 averages, 4 workspace
    bool in_state;
    bool in_buffer = false;
  };
  std::vector<Region> regions(const Layer& layer) const;

  lngd_config config_;
  const Backend* backend_;
  Context* context_ = nullptr;
  std::vector<Layer> layers_;
  std::vector<StepPlan*> plans_;
  std::unique_ptr<const SumsLayout> sums_layout_;
  float* float_sums_ = nullptr;
  double* double_sums_ = nullptr;
  LayerRecord* records_ = nullptr; // of all layers, in their order
  std::unique_ptr<const InversesLayout> inverses_layout_;
  float* inverses_ = nullptr;
  std::vector<int32_t> owners_; // of the layers' inverses, where they are shared
  int32_t rank_ = -1;           // -1: not shared
  std::vector<double> heads_;   // the host's copy of the first doubles
  bool sums_closed_ = false;    // between lngd_sums_close and lngd_sums_reduced
  bool reduction_ = false;      // a step waits for lngd_sums_reduced
  int64_t sample_offset_ = 0;
  ScaleSource scale_;
  lngd_times times_{};
  mutable std::string lost_; // the first message of a lost device
  uint64_t hash_;
};

template <typename T>
T* Optimizer::allocate(int64_t count) {
  void* memory = backend_->allocate(context_, static_cast<size_t>(count) * sizeof(T));
  if (!memory) {
    check_device();
    fail(LNGD_OUT_OF_MEMORY, "no memory for ", count * static_cast<int64_t>(sizeof(T)), " bytes of a layer");
  }
  return static_cast<T*>(memory);
}

} // namespace lngd
#endif
