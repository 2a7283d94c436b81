// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import org.nd4j.linalg.api.ndarray.INDArray;

/** What a run needs of every network, whatever it learns and whichever engine computes it. */
public interface Network {
    /** Tells it which epoch it is in; schedules and listeners may ask. */
    void setEpochCount(int epoch);

    /** Tells it how many steps it has taken. */
    void setIterationCount(int step);

    /** All parameters and running statistics in one vector [1, n]. */
    INDArray params();

    /** Takes over what {@link #params} gave. */
    void setParams(INDArray values);

    /** The loss of the last step's batch. */
    double score();
}
