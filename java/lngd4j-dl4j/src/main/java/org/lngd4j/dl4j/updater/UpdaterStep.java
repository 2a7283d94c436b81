// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.GradientUpdater;

/** What DL4J's running updaters are in this package: a configuration on a state vector. */
abstract class UpdaterStep<C extends ScheduledUpdater> implements GradientUpdater<C> {
    private final C config;
    private final INDArray state;

    UpdaterStep(C config, INDArray state) {
        this.config = config;
        this.state = state.reshape(1, state.length());
    }

    /** A range of the state as a live vector. */
    final INDArray state(long from, long length) {
        return state.get(NDArrayIndex.all(), NDArrayIndex.interval(from, from + length));
    }

    @Override
    public final C getConfig() {
        return config;
    }

    @Override
    public Map<String, INDArray> getState() {
        return Map.of("state", state);
    }

    @Override
    public final void setState(Map<String, INDArray> map, boolean initialise) {
        throw new UnsupportedOperationException("only networks with one state vector");
    }

    @Override
    public final void setStateViewArray(
            INDArray view, long[] shape, char order, boolean initialise) {
        throw new UnsupportedOperationException("the state is given when the updater is made");
    }
}
