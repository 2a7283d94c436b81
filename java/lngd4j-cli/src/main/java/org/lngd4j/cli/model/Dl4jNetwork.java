// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import java.util.List;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.nn.updater.UpdaterBlock;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A network of DL4J, whichever of its two kinds it is: their common interface {@link Model} lacks
 * most of what is needed.
 */
public sealed interface Dl4jNetwork extends ImageNetwork {
    /** A network of one chain of layers. */
    static Dl4jNetwork of(MultiLayerNetwork net) {
        return new Chain(net);
    }

    /** A network with branches. */
    static Dl4jNetwork of(ComputationGraph graph) {
        return new Graph(graph);
    }

    /** DL4J's network. */
    Model model();

    /** DL4J's updater of the whole network. */
    BaseMultiLayerUpdater<?> updater();

    /** All parameters, live. */
    @Override
    default INDArray params() {
        return model().params();
    }

    @Override
    default void setParams(INDArray values) {
        params().assign(values);
    }

    @Override
    default double score() {
        return model().score();
    }

    /** The ranges of parameters that DL4J updates together. */
    default List<UpdaterBlock> updaterBlocks() {
        return updater().getUpdaterBlocks();
    }

    /** See {@link #of(MultiLayerNetwork)}. */
    record Chain(MultiLayerNetwork model) implements Dl4jNetwork {
        @Override
        public void fit(INDArray features, INDArray targets) {
            model.fit(features, targets);
        }

        @Override
        public INDArray output(INDArray features) {
            return model.output(features, false);
        }

        @Override
        public void setEpochCount(int epoch) {
            model.setEpochCount(epoch);
        }

        @Override
        public void setIterationCount(int step) {
            model.setIterationCount(step);
        }

        @Override
        public BaseMultiLayerUpdater<?> updater() {
            return (BaseMultiLayerUpdater<?>) model.getUpdater();
        }
    }

    /** See {@link #of(ComputationGraph)}: one input, one output. */
    record Graph(ComputationGraph model) implements Dl4jNetwork {
        @Override
        public void fit(INDArray features, INDArray targets) {
            model.fit(new INDArray[] {features}, new INDArray[] {targets});
        }

        @Override
        public INDArray output(INDArray features) {
            return model.outputSingle(false, features);
        }

        @Override
        public void setEpochCount(int epoch) {
            model.getConfiguration().setEpochCount(epoch);
        }

        @Override
        public void setIterationCount(int step) {
            model.getConfiguration().setIterationCount(step);
        }

        @Override
        public BaseMultiLayerUpdater<?> updater() {
            return model.getUpdater();
        }
    }
}
