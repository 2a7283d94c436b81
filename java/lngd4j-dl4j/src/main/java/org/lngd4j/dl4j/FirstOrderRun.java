// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.updater.UpdaterBlock;
import org.deeplearning4j.nn.updater.UpdaterBlock.ParamState;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.NoOp;

/**
 * Consecutive parameters that LNGD does not train, with a state array and updater of their own.
 * They are a part of one of the network's own updater blocks; where they keep the configured
 * updater, their state is brought over from that block and back, so that the network's saved
 * updater state is always the one that plain DL4J would have.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class FirstOrderRun {
    private final UpdaterBlock whole;
    private final UpdaterBlock part;
    private final INDArray state;
    private final boolean configured;

    /**
     * {@code chosen} is the updater to use, or null for the configured one. NoOp parameters keep
     * their NoOp.
     */
    FirstOrderRun(
            UpdaterBlock whole, List<ParamState> params, INDArray gradients, IUpdater chosen) {
        this.whole = whole;
        int start = params.get(0).getParamOffsetStart();
        int end = params.get(params.size() - 1).getParamOffsetEnd();
        IUpdater own = whole.getGradientUpdater().getConfig();
        this.configured = chosen == null || own instanceof NoOp;
        IUpdater updater = configured ? own : chosen;
        long size = updater.stateSize(end - start);
        part = new UpdaterBlock(start, end, 0, Math.toIntExact(size), params);
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            part.setGradientView(gradients.get(NDArrayIndex.interval(start, end)));
            state =
                    size == 0
                            ? null
                            : Nd4j.createUninitialized(
                                    params.get(0).getParamView().dataType(), size);
            part.setUpdaterView(state);
            part.setGradientUpdater(updater.instantiate(state, true));
        }
        gather();
    }

    void update(int iteration, int epoch) {
        if (!part.skipDueToPretrainConfig(false)) {
            part.update(iteration, epoch);
        }
    }

    /** Own state from the network's block. */
    void gather() {
        if (configured && state != null) {
            mine().forEach((name, array) -> array.assign(slice(name, array)));
        }
    }

    /** Own state into the network's block. */
    void scatter() {
        if (configured && state != null) {
            mine().forEach((name, array) -> slice(name, array).assign(array));
        }
    }

    /**
     * State that the network's updater has no place for: that of an updater which the user chose
     * for LNGD's sake.
     */
    INDArray foreignState() {
        return configured ? null : state;
    }

    @SuppressWarnings("unchecked")
    private Map<String, INDArray> mine() {
        return part.getGradientUpdater().getState();
    }

    @SuppressWarnings("unchecked")
    private INDArray slice(String name, INDArray like) {
        Map<String, INDArray> all = whole.getGradientUpdater().getState();
        INDArray flat = all.get(name).reshape(all.get(name).length());
        int from = part.getParamOffsetStart() - whole.getParamOffsetStart();
        return flat.get(NDArrayIndex.interval(from, from + like.length())).reshape(like.shape());
    }
}
