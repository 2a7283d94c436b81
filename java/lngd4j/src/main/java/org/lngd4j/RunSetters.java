// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

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
     * Factor of gamma of {@link Damping#RELATIVE} over time.
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
