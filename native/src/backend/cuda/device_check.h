// SPDX-License-Identifier: Apache-2.0
// Whether a device may be used: asked of it once in a process, at its first use, by known answers (known_answers.h). A
// driver, a compiler or a card that computes something else would train to nonsense without a word.
#ifndef LNGD_BACKEND_CUDA_DEVICE_CHECK_H
#define LNGD_BACKEND_CUDA_DEVICE_CHECK_H

#include "backend/backend.h"

namespace lngd::cuda {

// False with the reason where the answers are wrong, or where the check could not be made. Right and wrong answers are
// final for the process; a check that could not be made (for want of memory, for example) is made again at the next
// call. Takes some milliseconds and a context of the device the first time, leaves no memory behind, and may be called
// by any thread: the others wait. $LNGD_CUDA_WRONG_ANSWER=name (of kKnownAnswers, or "step") spoils that answer, for
// tests of what lies above.
bool check_answers(int32_t device, Failure& failure);
// The outcome of the last check of a device, without making one: false where it was not good.
bool answers_as_known(int32_t device, char* reason, size_t room);
// For tests: the next check is a first one again.
void forget_answers();

} // namespace lngd::cuda
#endif
