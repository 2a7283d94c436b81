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
 * What training and evaluation need of a network, whichever of DL4J's two kinds it is: their common
 * interface {@link Model} lacks most of it.
 */
public sealed interface Network {
    /** A network of one chain of layers. */
    static Network of(MultiLayerNetwork net) {
        return new Chain(net);
    }

    /** A network with branches. */
    static Network of(ComputationGraph graph) {
        return new Graph(graph);
    }

    /** DL4J's network. */
    Model model();

    /** One training step. */
    void fit(INDArray features, INDArray targets);

    /** The output in inference mode. */
    INDArray output(INDArray features);

    /** Tells it which epoch it is in; schedules and listeners may ask. */
    void setEpochCount(int epoch);

    /** Tells it how many steps it has taken. */
    void setIterationCount(int step);

    /** DL4J's updater of the whole network. */
    BaseMultiLayerUpdater<?> updater();

    /** All parameters, live, in one vector. */
    default INDArray params() {
        return model().params();
    }

    /** The loss of the last step's batch. */
    default double score() {
        return model().score();
    }

    /** The ranges of parameters that DL4J updates together. */
    default List<UpdaterBlock> updaterBlocks() {
        return updater().getUpdaterBlocks();
    }

    /** See {@link #of(MultiLayerNetwork)}. */
    record Chain(MultiLayerNetwork model) implements Network {
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
    record Graph(ComputationGraph model) implements Network {
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
