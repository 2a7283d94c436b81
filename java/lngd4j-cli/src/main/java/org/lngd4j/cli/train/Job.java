// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

/** What is trained, by what, and where to: the parts of a run that its stages share. */
record Job(TrainSettings settings, Task task, TrainingMethod method, RunFolder folder) {}
