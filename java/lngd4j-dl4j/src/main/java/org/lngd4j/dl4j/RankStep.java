// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.lngd4j.LngdOptimizer;
import org.lngd4j.StepPlan;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The other ranks, as a step of an attachment needs them. An interface, since the collectives come
 * with PyTorch's classes, which a user who trains in one process does not have: only {@link
 * DataParallel} and {@link GlooStep} name them.
 */
interface RankStep {
    /** Tells this rank's share of the coming batch. */
    void share(long first, long samples);

    /** Number of the share's first sample in the whole batch. */
    long first();

    /** Samples of the share; negative where it was not told. */
    long samples();

    /** Samples of the whole batch; known after {@link #meet}. */
    int total();

    /**
     * All ranks meet before anything is changed; throws on all of them or on none.
     *
     * @param check what may refuse the step on this rank
     */
    void meet(Runnable check);

    /** Adds a contiguous FLOAT array over all ranks, in place. */
    void sum(INDArray flat);

    /** Adds the sums of the statistics over all ranks. */
    void sumStatistics(LngdOptimizer optimizer);

    /** The inverses of the coming step, when the statistics are complete. */
    void exchangeInverses(StepPlan plan);

    /** The step is done. */
    void stepped();

    /** Other weights may have been loaded. */
    void restored();

    /** This rank alone cannot go on, so that the others must not wait for it. */
    void abandon(Throwable why);
}
