// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Trainable;
import org.deeplearning4j.nn.updater.UpdaterBlock;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.GradientUpdater;

/**
 * What LARS and LAMB share: the block's vector is cut into layers, and each layer's step is scaled
 * by the length of its weights.
 *
 * <p>A layer's weights and its bias are one vector here, as they are for LNGD. The papers' codes
 * take each tensor for itself and then need an exception for biases, which start at 0 and would
 * never move, with a learning rate of its own: one more number to tune. Where all of a layer is 0,
 * its length counts as {@value #LEAST_NORM}, LNGD's own floor.
 */
public abstract class LayerwiseUpdater implements GradientUpdater<LayerwiseConfig> {
    static final double LEAST_NORM = 1e-3;

    private final LayerwiseConfig config;
    private final INDArray state;
    private List<Part> parts;

    /**
     * The part of a block that belongs to one layer.
     *
     * @param weights the layer's weights, live
     * @param from offset in the block
     * @param to end in the block, exclusive
     */
    record Part(INDArray weights, long from, long to) {
        INDArray of(INDArray blockVector) {
            return range(blockVector, from, to);
        }

        double weightNorm() {
            return Math.max(weights.norm2Number().doubleValue(), LEAST_NORM);
        }
    }

    LayerwiseUpdater(LayerwiseConfig config, INDArray state) {
        this.config = config;
        this.state = state;
    }

    /** Shows the weights to all updaters of this kind that the network has. */
    public static void bind(Dl4jNetwork network) {
        for (UpdaterBlock block : network.updaterBlocks()) {
            if (block.getGradientUpdater() instanceof LayerwiseUpdater updater) {
                updater.bind(network.params(), block);
            }
        }
    }

    private void bind(INDArray params, UpdaterBlock block) {
        List<Part> found = new ArrayList<>();
        List<UpdaterBlock.ParamState> tensors = block.getLayersAndVariablesInBlock();
        int start = block.getParamOffsetStart();
        for (int first = 0, next; first < tensors.size(); first = next) {
            Trainable layer = tensors.get(first).getLayer();
            next = first + 1;
            while (next < tensors.size() && tensors.get(next).getLayer() == layer) {
                next++;
            }
            int from = tensors.get(first).getParamOffsetStart();
            int to = tensors.get(next - 1).getParamOffsetEnd();
            found.add(new Part(range(params, from, to), from - start, to - start));
        }
        parts = List.copyOf(found);
    }

    void bind(List<Part> given) {
        parts = List.copyOf(given);
    }

    /** A range of a vector, as a live vector. */
    static INDArray range(INDArray vector, long from, long to) {
        return vector.reshape(vector.length()).get(NDArrayIndex.interval(from, to));
    }

    /** The state, live: one vector of the length that the configuration told. */
    final INDArray state() {
        return state;
    }

    @Override
    public final void applyUpdater(INDArray gradient, int iteration, int epoch) {
        if (parts == null) {
            throw new IllegalStateException("the updater was not bound to its network's weights");
        }
        double rate = config.getLearningRate(iteration, epoch);
        for (Part part : parts) {
            update(part, part.of(gradient), rate, iteration + 1);
        }
    }

    /**
     * Turns a layer's gradient into its step, to be subtracted from the weights.
     *
     * @param gradient in and out
     * @param rate the schedule's value
     * @param step counted from 1
     */
    abstract void update(Part part, INDArray gradient, double rate, int step);

    @Override
    public final LayerwiseConfig getConfig() {
        return config;
    }

    @Override
    public final void setState(Map<String, INDArray> map, boolean initialise) {
        throw new UnsupportedOperationException("only networks with one state vector");
    }

    @Override
    public final Map<String, INDArray> getState() {
        return Map.of("state", state);
    }

    @Override
    public final void setStateViewArray(
            INDArray view, long[] shape, char order, boolean initialise) {
        throw new UnsupportedOperationException("the state is given when the updater is made");
    }
}
