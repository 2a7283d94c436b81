// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.LngdArgumentException;

/**
 * The setters of {@link LngdOptions.Builder} for where and when: device, threads, seed, schedules.
 *
 * @param <B> the builder, so that calls can be chained
 */
abstract class RunSetters<B> {
    final OptionValues v;

    RunSetters(OptionValues start) {
        v = start.copy();
    }

    /** This object, as what it is. */
    abstract B self();

    /**
     * Where the kernels run.
     *
     * @param device the device
     * @return this builder
     */
    public B device(Device device) {
        v.device = Check.notNull("device", device);
        return self();
    }

    /**
     * Where the kernels run, on a machine with several CUDA devices.
     *
     * @param device the device
     * @param index index of the CUDA device, from 0; ignored by the CPU
     * @return this builder
     */
    public B device(Device device, int index) {
        Check.notNull("device", device);
        v.deviceIndex = Check.atLeast("index", index, 0);
        v.device = device;
        return self();
    }

    /**
     * How the CUDA backend multiplies where it forms the statistics, {@link Precision#AUTO} by
     * default; ignored by the CPU, but a part of what a saved state has to agree with.
     *
     * @param precision the way
     * @return this builder
     */
    public B precision(Precision precision) {
        v.precision = Check.notNull("precision", precision);
        return self();
    }

    /**
     * How the CUDA backend multiplies where it forms the direction D = Psi^-1 G Phi^-1; ignored by
     * the CPU, but a part of what a saved state has to agree with. {@link Precision#TF32} takes a
     * third of the tensor core work of the default, {@link Precision#TF32X3}, for an error of about
     * 4e-4 of ||D||.
     *
     * @param precision TF32X3 or TF32
     * @return this builder
     */
    public B directionPrecision(Precision precision) {
        Check.notNull("directionPrecision", precision);
        if (precision != Precision.TF32X3 && precision != Precision.TF32) {
            throw new LngdArgumentException(
                    "directionPrecision is " + precision + "; allowed is TF32X3 or TF32");
        }
        v.directionPrecision = precision;
        return self();
    }

    /**
     * CUDA: statistics and inverses on a stream of their own, beside what the caller does on its
     * stream; on by default. Without it everything runs on the caller's stream. The results are the
     * same bits. Ignored by the CPU.
     *
     * @param on whether to use a second stream
     * @return this builder
     */
    public B overlap(boolean on) {
        v.overlap = on;
        return self();
    }

    /**
     * Threads of the CPU backend.
     *
     * @param threads at least 1; 0: $LNGD_NUM_THREADS, else all processors of the process
     * @return this builder
     */
    public B threads(int threads) {
        v.threads = Check.atLeast("threads", threads, 0);
        return self();
    }

    /**
     * Seed of {@link Fisher#SAMPLED}.
     *
     * @param seed any number; read as unsigned
     * @return this builder
     */
    public B seed(long seed) {
        v.seed = seed;
        return self();
    }

    /**
     * Why the values are what they are, for reports; changes nothing else.
     *
     * @param reason one line, or ""
     * @return this builder
     */
    public B reason(String reason) {
        v.reason = Check.notNull("reason", reason);
        return self();
    }

    /**
     * Factor of the learning rate over time.
     *
     * @param schedule finite values, at least 0
     * @return this builder
     */
    public B schedule(Schedule schedule) {
        v.schedule = Check.notNull("schedule", schedule);
        return self();
    }

    /**
     * Factor of {@link LngdOptions#dampingFactor()} over time.
     *
     * @param schedule finite values, at least 0; null: 1
     * @return this builder
     */
    public B dampingSchedule(Schedule schedule) {
        v.dampingSchedule = schedule;
        return self();
    }

    /**
     * T_FIM over time, rounded to whole steps.
     *
     * @param schedule values of at least 1; null: constant
     * @return this builder
     */
    public B statisticsIntervalSchedule(Schedule schedule) {
        v.statisticsIntervalSchedule = schedule;
        return self();
    }

    /**
     * T_INV over time, rounded to whole steps.
     *
     * @param schedule values of at least 1; null: constant
     * @return this builder
     */
    public B inverseIntervalSchedule(Schedule schedule) {
        v.inverseIntervalSchedule = schedule;
        return self();
    }
}
