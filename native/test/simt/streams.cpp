// SPDX-License-Identifier: Apache-2.0
// Streams and events. Work on a stream runs at once or as late as the program allows, as the schedule says: what a
// program forgot to wait for is then missing, as it would be on a device that is behind.
#include <algorithm>
#include <deque>
#include <memory>

#include "runtime.hpp"

namespace {

struct Ticket { // one recording of an event
  cudaStream_t stream;
  bool done;
};

struct Work {
  std::function<void()> run; // or
  std::shared_ptr<Ticket> wait_for, finish;
};

} // namespace

struct CUstream_st {
  unsigned flags;
  bool draining;
  std::deque<Work> queue;
};

struct CUevent_st {
  std::shared_ptr<Ticket> last;
  bool timing;
};

namespace simt {
namespace {

std::vector<cudaStream_t> streams;
std::vector<cudaEvent_t> events;
CUstream_st null_stream{cudaStreamDefault, false, {}};

cudaStream_t resolve(cudaStream_t stream) { return stream ? stream : &null_stream; }

template <class T>
bool contains(const std::vector<T>& all, T one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// Runs the stream's work until `until` is done, or all of it.
void drain(cudaStream_t stream, const Ticket* until = nullptr) {
  if (stream->draining) return;
  stream->draining = true;
  while (!stream->queue.empty() && !(until && until->done)) {
    Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    if (work.wait_for && !work.wait_for->done) drain(work.wait_for->stream, work.wait_for.get());
    if (work.run && !any_report()) work.run(); // after a failure a device does nothing more
    if (work.finish) work.finish->done = true;
  }
  stream->draining = false;
}

// The default stream waits for the streams that do not opt out, and these for it.
void order_with_default(cudaStream_t stream) {
  if (stream == &null_stream) {
    for (const cudaStream_t other : streams)
      if (!(other->flags & cudaStreamNonBlocking)) drain(other);
  } else if (!(stream->flags & cudaStreamNonBlocking)) {
    drain(&null_stream);
  }
}

bool run_now() { return schedule() == Order::Forward || (schedule() == Order::Random && random_number() % 2 == 0); }

cudaError_t finished() { return any_report() ? failed(cudaErrorLaunchFailure) : cudaSuccess; }

} // namespace

bool known(cudaStream_t stream) { return !stream || contains(streams, stream); }

cudaError_t submit(cudaStream_t stream, bool now, std::function<void()> work) {
  if (!known(stream)) return failed(cudaErrorInvalidResourceHandle);
  stream = resolve(stream);
  order_with_default(stream);
  stream->queue.push_back({std::move(work), nullptr, nullptr});
  if (now || run_now()) drain(stream);
  // A kernel's failure is told by a later call, as on a device.
  return now ? finished() : cudaSuccess;
}

void drain_all() {
  drain(&null_stream);
  for (const cudaStream_t stream : streams) drain(stream);
}

Live live_streams() {
  Live now{};
  now.streams = static_cast<int>(streams.size());
  now.events = static_cast<int>(events.size());
  return now;
}

} // namespace simt

using namespace simt;

#define SIMT_ENTRY \
  if (const cudaError_t error = entry_error(__func__)) return error

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  SIMT_ENTRY;
  if (!stream || flags > cudaStreamNonBlocking) return failed(cudaErrorInvalidValue);
  *stream = new CUstream_st{flags, false, {}};
  streams.push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  SIMT_ENTRY;
  return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  SIMT_ENTRY;
  return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}

// The work that is left is done first, as CUDA promises.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  SIMT_ENTRY;
  if (!stream || !known(stream)) return failed(cudaErrorInvalidResourceHandle);
  drain(stream);
  streams.erase(std::find(streams.begin(), streams.end(), stream));
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  SIMT_ENTRY;
  if (!known(stream)) return failed(cudaErrorInvalidResourceHandle);
  order_with_default(resolve(stream));
  drain(resolve(stream));
  return finished();
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  SIMT_ENTRY;
  if (!known(stream)) return failed(cudaErrorInvalidResourceHandle);
  return resolve(stream)->queue.empty() ? finished() : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  SIMT_ENTRY;
  if (!known(stream) || !contains(events, event)) return failed(cudaErrorInvalidResourceHandle);
  if (event->last && !event->last->done) resolve(stream)->queue.push_back({nullptr, event->last, nullptr});
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  SIMT_ENTRY;
  drain_all();
  check_canaries();
  return finished();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  SIMT_ENTRY;
  if (!event) return failed(cudaErrorInvalidValue);
  *event = new CUevent_st{nullptr, !(flags & cudaEventDisableTiming)};
  events.push_back(*event);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  SIMT_ENTRY;
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  SIMT_ENTRY;
  if (!contains(events, event)) return failed(cudaErrorInvalidResourceHandle);
  events.erase(std::find(events.begin(), events.end(), event));
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  SIMT_ENTRY;
  if (!known(stream) || !contains(events, event)) return failed(cudaErrorInvalidResourceHandle);
  stream = resolve(stream);
  event->last = std::make_shared<Ticket>(Ticket{stream, stream->queue.empty()});
  if (!event->last->done) stream->queue.push_back({nullptr, nullptr, event->last});
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  SIMT_ENTRY;
  if (!contains(events, event)) return failed(cudaErrorInvalidResourceHandle);
  if (event->last && !event->last->done) drain(event->last->stream, event->last.get());
  return finished();
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  SIMT_ENTRY;
  if (!contains(events, event)) return failed(cudaErrorInvalidResourceHandle);
  return !event->last || event->last->done ? finished() : cudaErrorNotReady;
}

// The emulator has no clock worth the name: 1 microsecond between any two recorded events.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  SIMT_ENTRY;
  if (!milliseconds) return failed(cudaErrorInvalidValue);
  if (!contains(events, start) || !contains(events, end) || !start->last || !end->last || !start->timing ||
      !end->timing)
    return failed(cudaErrorInvalidResourceHandle);
  if (!start->last->done || !end->last->done) return cudaErrorNotReady;
  *milliseconds = 0.001f;
  return cudaSuccess;
}
