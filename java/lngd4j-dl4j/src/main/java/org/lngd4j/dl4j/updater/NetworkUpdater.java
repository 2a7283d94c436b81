// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.updater.MultiLayerUpdater;
import org.deeplearning4j.nn.updater.graph.ComputationGraphUpdater;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.regularization.Regularization;
import org.nd4j.linalg.learning.regularization.WeightDecay;

/**
 * An optimizer for a whole network: which updater each of its parameter arrays gets. DL4J shows an
 * updater a flat range of the gradient and no shapes; so the shapes are read from the network once,
 * by {@code install}, and kept in the layers' configuration.
 */
public abstract sealed class NetworkUpdater permits AdamW, Muon, Soap {
    NetworkUpdater() {}

    /**
     * Makes this the optimizer of a network, in the place of the configured one, whose state is
     * lost. Layers are configured anew: their updaters, and where this optimizer has a weight decay
     * their {@code WeightDecay}; L1, L2, gradient clipping and everything else stay. Frozen layers
     * are left alone. Nothing is changed if an exception is thrown.
     *
     * @param net the network, of data type FLOAT; initialised if it is not yet
     * @return what is done with each layer
     * @throws LngdArgumentException if the data type is another, or a layer has parameters whose
     *     updater cannot be set; the message names it
     * @throws LngdStateException if the network's updater is not DL4J's own, as while LNGD is
     *     attached
     */
    public final UpdaterReport install(MultiLayerNetwork net) {
        Ranges.notNull("net", net);
        net.init();
        check("net", net.params(), net.getUpdater(false), MultiLayerUpdater.class);
        UpdaterReport report = configure(NetworkLayers.of(net));
        net.setUpdater(new MultiLayerUpdater(net));
        return report;
    }

    /**
     * Makes this the optimizer of a graph. Everything that {@link #install(MultiLayerNetwork)} says
     * holds.
     *
     * @param graph the graph, of data type FLOAT; initialised if it is not yet
     * @return what is done with each layer
     * @throws LngdArgumentException if the data type is another, or a layer or vertex has
     *     parameters whose updater cannot be set; the message names it
     * @throws LngdStateException if the graph's updater is not DL4J's own, as while LNGD is
     *     attached
     */
    public final UpdaterReport install(ComputationGraph graph) {
        Ranges.notNull("graph", graph);
        graph.init();
        check("graph", graph.params(), graph.getUpdater(false), ComputationGraphUpdater.class);
        UpdaterReport report = configure(NetworkLayers.of(graph));
        graph.setUpdater(new ComputationGraphUpdater(graph));
        return report;
    }

    private static void check(String name, INDArray params, Object updater, Class<?> own) {
        if (params == null || params.length() == 0) {
            throw new LngdArgumentException(name + " has no parameters; allowed is one that has");
        }
        if (params.dataType() != DataType.FLOAT) {
            throw new LngdArgumentException(
                    name
                            + " has the data type "
                            + params.dataType()
                            + "; allowed is FLOAT: convert it with convertDataType(DataType.FLOAT)");
        }
        if (updater != null && updater.getClass() != own) {
            throw new LngdStateException(
                    name
                            + " has the updater "
                            + updater.getClass().getSimpleName()
                            + ", not DL4J's "
                            + own.getSimpleName()
                            + "; if LNGD is attached, close that attachment first");
        }
    }

    /** First everything is decided, then everything is written. */
    private UpdaterReport configure(List<NetworkLayer> layers) {
        List<Runnable> writes = new ArrayList<>();
        List<UpdaterReport.Line> lines = new ArrayList<>();
        AdamW rest = rest();
        check(layers);
        for (NetworkLayer layer : layers) {
            if (layer.frozen()) {
                lines.add(line(layer, "(frozen)", ""));
                continue;
            }
            String problem = layer.matrix() == null ? layer.noMatrix() : exclusion(layer);
            boolean own = problem == null && this != rest;
            IUpdater others = rest.updater();
            IUpdater weights = own ? matrixUpdater(layer) : others;
            checkSize(layer, weights);
            double decay = own ? weightDecay() : rest.weightDecay();
            lines.add(
                    line(
                            layer,
                            own ? getClass().getSimpleName() : "AdamW",
                            own ? layer.matrix().toString() : this == rest ? "" : problem));
            for (BaseLayer conf : layer.configurations()) {
                writes.add(
                        () -> {
                            conf.setIUpdater(weights);
                            conf.setBiasUpdater(others);
                            decay(conf, decay);
                        });
            }
        }
        writes.forEach(Runnable::run);
        return new UpdaterReport(lines);
    }

    private static UpdaterReport.Line line(NetworkLayer layer, String trainedBy, String detail) {
        return new UpdaterReport.Line(
                layer.name(), layer.type(), layer.parameters(), trainedBy, detail);
    }

    // DL4J counts a tensor's state with an int, and does not look.
    private static void checkSize(NetworkLayer layer, IUpdater updater) {
        if (layer.matrix() != null
                && updater.stateSize(layer.matrix().size()) > Integer.MAX_VALUE) {
            throw new LngdArgumentException(
                    "layer "
                            + layer.name()
                            + " needs "
                            + updater.stateSize(layer.matrix().size())
                            + " numbers of updater state; allowed are "
                            + Integer.MAX_VALUE
                            + ": lower maxPreconditionedSize");
        }
    }

    private static void decay(BaseLayer conf, double decay) {
        if (decay == 0) {
            return;
        }
        List<Regularization> terms = new ArrayList<>();
        if (conf.getRegularization() != null) {
            terms.addAll(conf.getRegularization());
        }
        terms.removeIf(term -> term instanceof WeightDecay || term instanceof DecoupledDecay);
        terms.add(new DecoupledDecay(decay));
        conf.setRegularization(terms);
    }

    /** Refuses settings that do not go with the network. */
    void check(List<NetworkLayer> layers) {}

    /** Why a layer that has a weight matrix is not trained by this; null if it is. */
    abstract String exclusion(NetworkLayer layer);

    /** The updater of a layer's weight matrix. */
    abstract IUpdater matrixUpdater(NetworkLayer layer);

    /** What trains everything else; this itself where there is nothing else. */
    abstract AdamW rest();

    /**
     * The decoupled weight decay.
     *
     * @return the factor that is multiplied with the learning rate and the weights; 0: none
     */
    public abstract double weightDecay();
}
