// SPDX-License-Identifier: Apache-2.0
// Handles as tagged indices into a static table, so that any value a caller passes can be checked without touching the
// memory it might point to: NULL, a destroyed handle, a plan in place of an optimizer, plain garbage. A table of live
// addresses was rejected: an address may be given out again after a destroy, and then a stale handle would look alive.
//
// A slot also carries the lock of its object: one call at a time, the second one is told LNGD_BUSY. It lives in the
// slot, not in the object, so that a call that races with a destroy never touches freed memory.
#ifndef LNGD_ABI_HANDLES_H
#define LNGD_ABI_HANDLES_H

#include <cstdint>

#include "lngd/lngd.h"
#include "optimizer/optimizer.h"
#include "optimizer/plan.h"

namespace lngd::abi {

lngd_optimizer* publish(Optimizer* optimizer);                       // throws Error when the table is full
lngd_plan* publish(StepPlan* plan, const lngd_optimizer* optimizer); // the plan shares the optimizer's lock
// After the owner was locked: makes the handle, and for an optimizer all its plans' handles, invalid.
void retire(const lngd_optimizer* optimizer);
void retire(const lngd_plan* plan);

// Holds the lock of an optimizer for one call. Throws Error with LNGD_INVALID_HANDLE, LNGD_BUSY or, unless it is about
// to be destroyed, LNGD_DEVICE_LOST.
class Locked {
 public:
  enum Purpose { kToUse, kToDestroy };
  explicit Locked(const lngd_optimizer* handle, Purpose purpose = kToUse);
  explicit Locked(const lngd_plan* handle, Purpose purpose = kToUse);
  ~Locked();
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

  Optimizer& optimizer() const { return *optimizer_; }
  StepPlan& plan() const { return *plan_; } // only if made from a plan

 private:
  void lock(uint32_t slot);
  void require_alive(Purpose purpose) const;

  uint32_t slot_ = 0;
  Optimizer* optimizer_ = nullptr;
  StepPlan* plan_ = nullptr;
};

} // namespace lngd::abi
#endif
