// SPDX-License-Identifier: Apache-2.0
// Streams and events. Work on a stream runs at once or as late as the program allows, as the schedule says: what a
// program forgot to wait for is then missing, as it would be on a device that is behind.
#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

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

struct CUgraph_st {
  std::vector<std::function<void()>> work;
  bool invalid;
};

struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};

struct CUstream_st {
  int device;
  unsigned flags;
  bool draining;
  std::deque<Work> queue;
  CUgraph_st* capture; // what is recorded, or nullptr
};

struct CUevent_st {
  std::shared_ptr<Ticket> last;
  bool timing;
  const CUgraph_st* captured; // the capture that it was recorded in last, or nullptr
};

namespace simt {
namespace {

std::vector<cudaStream_t> streams;
std::vector<cudaEvent_t> events;
CUstream_st null_stream{-1, cudaStreamDefault, false, {}, nullptr};
int graphs = 0;

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

bool on_current_device(cudaStream_t stream) {
  return !stream || !known(stream) || stream->device == current_device(); // the default stream is any device's
}

cudaError_t submit(cudaStream_t stream, bool now, std::function<void()> work) {
  if (!known(stream)) return failed(cudaErrorInvalidResourceHandle);
  stream = resolve(stream);
  if (stream->capture) {
    if (now) stream->capture->invalid = true;
    if (stream->capture->invalid)
      return failed(now ? cudaErrorStreamCaptureUnsupported : cudaErrorStreamCaptureInvalidated);
    stream->capture->work.push_back(std::move(work));
    return cudaSuccess;
  }
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
  now.graphs = graphs;
  return now;
}

bool invalidate_captures() {
  bool any = false;
  for (const cudaStream_t stream : streams) {
    if (!stream->capture) continue;
    stream->capture->invalid = any = true;
  }
  return any;
}

cudaStreamCaptureMode& capture_mode() {
  static thread_local cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  return mode;
}

} // namespace simt

using namespace simt;

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  SIMT_ENTRY;
  if (!stream || flags > cudaStreamNonBlocking) return failed(cudaErrorInvalidValue);
  *stream = new CUstream_st{current_device(), flags, false, {}, nullptr};
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
  const auto destroy = [stream] {
    drain(stream);
    delete stream->capture;
    streams.erase(std::find(streams.begin(), streams.end(), stream));
    delete stream;
  };
  const bool valid = stream && known(stream);
  SIMT_ENTRY_LATE(if (valid) destroy());
  if (!valid) return failed(cudaErrorInvalidResourceHandle);
  destroy();
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  SIMT_ENTRY;
  if (!known(stream)) return failed(cudaErrorInvalidResourceHandle);
  if (resolve(stream)->capture) SIMT_NOT_IN_CAPTURE;
  order_with_default(resolve(stream));
  drain(resolve(stream));
  return finished();
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  SIMT_ENTRY;
  if (!known(stream)) return failed(cudaErrorInvalidResourceHandle);
  if (resolve(stream)->capture) SIMT_NOT_IN_CAPTURE;
  return resolve(stream)->queue.empty() ? finished() : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  SIMT_ENTRY;
  if (!known(stream) || !contains(events, event)) return failed(cudaErrorInvalidResourceHandle);
  // Streams do not join a capture here: what CUDA would allow of it, nobody uses.
  if (event->captured != resolve(stream)->capture && (event->captured || event->last)) {
    invalidate_captures();
    return failed(cudaErrorStreamCaptureIsolation);
  }
  if (event->captured) return cudaSuccess; // work of one stream is in order anyway
  if (event->last && !event->last->done) resolve(stream)->queue.push_back({nullptr, event->last, nullptr});
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  SIMT_ENTRY;
  SIMT_NOT_IN_CAPTURE;
  drain_all();
  check_canaries();
  return finished();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  SIMT_ENTRY;
  if (!event) return failed(cudaErrorInvalidValue);
  *event = new CUevent_st{nullptr, !(flags & cudaEventDisableTiming), nullptr};
  events.push_back(*event);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  SIMT_ENTRY;
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const auto destroy = [event] {
    events.erase(std::find(events.begin(), events.end(), event));
    delete event;
  };
  const bool valid = contains(events, event);
  SIMT_ENTRY_LATE(if (valid) destroy());
  if (!valid) return failed(cudaErrorInvalidResourceHandle);
  destroy();
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  SIMT_ENTRY;
  if (!known(stream) || !contains(events, event)) return failed(cudaErrorInvalidResourceHandle);
  stream = resolve(stream);
  event->captured = stream->capture;
  if (stream->capture) {
    event->last = nullptr;
    return cudaSuccess;
  }
  event->last = std::make_shared<Ticket>(Ticket{stream, stream->queue.empty()});
  if (!event->last->done) stream->queue.push_back({nullptr, nullptr, event->last});
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  SIMT_ENTRY;
  if (!contains(events, event)) return failed(cudaErrorInvalidResourceHandle);
  if (event->captured) SIMT_NOT_IN_CAPTURE;
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

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  SIMT_ENTRY;
  if (!stream || !known(stream)) return failed(cudaErrorInvalidResourceHandle); // nor may it be the default stream
  if (stream->capture) return failed(cudaErrorInvalidValue);
  stream->capture = new CUgraph_st{{}, false};
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  SIMT_ENTRY;
  if (!mode) return failed(cudaErrorInvalidValue);
  std::swap(*mode, capture_mode());
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  SIMT_ENTRY;
  if (!status || !known(stream)) return failed(cudaErrorInvalidResourceHandle);
  const CUgraph_st* const capture = resolve(stream)->capture;
  *status = !capture           ? cudaStreamCaptureStatusNone
            : capture->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  SIMT_ENTRY;
  if (!graph || !stream || !known(stream) || !stream->capture) return failed(cudaErrorInvalidValue);
  *graph = std::exchange(stream->capture, nullptr);
  for (const cudaEvent_t event : events)
    if (event->captured == *graph) event->captured = nullptr;
  if ((*graph)->invalid) {
    delete std::exchange(*graph, nullptr);
    return failed(cudaErrorStreamCaptureInvalidated);
  }
  ++graphs;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  SIMT_ENTRY;
  if (!executable || !graph) return failed(cudaErrorInvalidValue);
  *executable = new CUgraphExec_st{graph->work};
  ++graphs;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  SIMT_ENTRY;
  if (!executable) return failed(cudaErrorInvalidValue);
  return submit(stream, false, [work = executable->work] {
    for (const std::function<void()>& node : work)
      if (!any_report()) node();
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  SIMT_ENTRY;
  if (!graph) return failed(cudaErrorInvalidValue);
  --graphs;
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  SIMT_ENTRY;
  if (!executable) return failed(cudaErrorInvalidValue);
  --graphs;
  delete executable;
  return cudaSuccess;
}
