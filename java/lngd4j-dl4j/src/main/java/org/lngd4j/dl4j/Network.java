// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.BackpropType;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.optimize.api.TrainingListener;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * What an attachment needs of a network: {@code MultiLayerNetwork} and {@code ComputationGraph}
 * behind one face, since DL4J gives them none for layers, updaters and counters.
 */
interface Network {
    Model model();

    /** All layers, and vertices with parameters, in the order of the forward pass. */
    List<Unit> units();

    /** The live layers that have the losses. */
    List<Layer> outputs();

    /** Samples of the batch that is in the network now. */
    long samples();

    /** A second network on the same parameters. */
    Shadow shadow();

    /**
     * A second network that shows the inputs of some layers.
     *
     * @param watched by unit
     */
    ForwardCopy forwardCopy(Map<Unit, InputMoments> watched);

    BackpropType backpropType();

    Collection<TrainingListener> listeners();

    int iterationCount();

    int epochCount();

    /** Sets the counters of the network and of its layers. */
    void setCounts(int iteration, int epoch);

    /** The updater now, made if there is none. */
    BaseMultiLayerUpdater<?> updater();

    /** The updater now, or null. */
    BaseMultiLayerUpdater<?> updaterIfAny();

    void setUpdater(BaseMultiLayerUpdater<?> updater);

    /** DL4J's own updater on a state array, which is used and not copied; null: a new one. */
    BaseMultiLayerUpdater<?> plainUpdater(INDArray state);

    /** An updater of ours on the state array of the one that it replaces, not yet installed. */
    AttachedUpdater attachedUpdater(
            BaseMultiLayerUpdater<?> replaced, Attachment attachment, List<LayerCapture> captures);

    /** An updater that is ours: DL4J's class, whose work is done by a {@link LngdUpdate}. */
    interface AttachedUpdater {
        LngdUpdate lngd();

        BaseMultiLayerUpdater<?> updater();
    }
}
