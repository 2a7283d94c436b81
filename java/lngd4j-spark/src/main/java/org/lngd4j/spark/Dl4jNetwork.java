// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.Serializable;
import java.util.List;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.LngdOptions;
import org.lngd4j.dl4j.AttachOptions;
import org.lngd4j.dl4j.Lngd;
import org.nd4j.linalg.dataset.DataSet;

/**
 * What is trained: a network of Deeplearning4j. Spark sends this object to the executors, so it
 * holds sizes and names, not arrays. {@link #create} and {@link #batch} run there, in the tasks.
 *
 * <pre>{@code
 * final class Digits implements Dl4jNetwork<MultiLayerNetwork, Row> {
 *     public MultiLayerNetwork create() {
 *         return new MultiLayerNetwork(configuration());
 *     }
 *
 *     public DataSet batch(List<Row> samples) {
 *         INDArray x = Nd4jRows.floats(samples, "pixels", 784);
 *         return new DataSet(x, Nd4jRows.oneHot(samples, "label", 10));
 *     }
 * }
 * }</pre>
 *
 * @param <N> {@link MultiLayerNetwork} or {@link ComputationGraph}
 * @param <S> a sample of the data, such as {@code Row}
 */
public interface Dl4jNetwork<N extends Model, S> extends Serializable {
    /**
     * Makes the network. Called on each executor, and on the driver for the result; all ranks get
     * the parameters of rank 0.
     *
     * @return a new network; initialised if it is not yet
     */
    N create();

    /**
     * Makes arrays of samples.
     *
     * @param samples at least one: this rank's share of a batch
     * @return features and labels with as many samples along their first axis
     */
    DataSet batch(List<S> samples);

    /**
     * What LNGD shall do; called on each rank, which have to get the same. Threads that are left at
     * 0 become those that Spark gives to a task.
     *
     * @param network what {@link #create} made
     * @param totalSteps of the whole run
     * @param batch samples of a step, of all ranks together
     * @return {@link Lngd#recommended} unless overridden
     */
    default LngdOptions options(N network, long totalSteps, int batch) {
        return network instanceof ComputationGraph graph
                ? Lngd.recommended(graph, totalSteps, batch)
                : Lngd.recommended((MultiLayerNetwork) network, totalSteps, batch);
    }

    /**
     * What moves the layers that LNGD does not cover, and which weights are left.
     *
     * @return {@link AttachOptions#defaults()} unless overridden
     */
    default AttachOptions attachOptions() {
        return AttachOptions.defaults();
    }
}
