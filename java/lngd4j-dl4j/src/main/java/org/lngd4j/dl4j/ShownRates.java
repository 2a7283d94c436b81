// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.optimize.api.TrainingListener;
import org.lngd4j.Treatment;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.GradientUpdater;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.schedule.ISchedule;

/**
 * The learning rates that DL4J's {@code StatsListener} shows. It does not ask the updater that
 * trains, but the configuration that each live layer holds: there it finds the updater that LNGD
 * has replaced. So for the time of a listener's call each layer holds a copy of its configuration,
 * with updaters that tell the rate in use. Such updaters for the whole time of the attachment were
 * rejected: DL4J lays out the state of an updater by comparing them.
 */
final class ShownRates {
    private final List<Shown> layers = new ArrayList<>();
    private double rate;
    private boolean ended;
    private boolean looked;

    /**
     * @param fallback the updater of layers that LNGD does not train; null: each has its own
     */
    ShownRates(List<LayerChoice> choices, IUpdater fallback) {
        for (LayerChoice c : choices) {
            Layer layer = c.layer();
            boolean shows =
                    layer != null
                            && layer.numParams() > 0
                            && layer.conf() != null
                            && layer.conf().getLayer() instanceof BaseLayer;
            if (shows && c.treatment() != Treatment.FROZEN) {
                boolean ours = c.treatment() == Treatment.LNGD;
                layers.add(new Shown(layer, ours, ours ? null : fallback));
            }
        }
    }

    /** The rate of the step that is done now. */
    void stepping(double value) {
        rate = value;
        ended = false;
    }

    /** Nothing is trained any more. */
    void ended() {
        ended = true;
    }

    /** A live layer, and the configurations that it changes between. */
    private final class Shown {
        private final Layer layer;
        private final boolean ours;
        private final IUpdater fallback;
        private NeuralNetConfiguration own;
        private NeuralNetConfiguration copy;

        Shown(Layer layer, boolean ours, IUpdater fallback) {
            this.layer = layer;
            this.ours = ours;
            this.fallback = fallback;
        }

        void install() {
            if (copy == null || own != layer.conf()) {
                own = layer.conf();
                copy = own.clone();
                BaseLayer before = (BaseLayer) own.getLayer();
                BaseLayer after = (BaseLayer) copy.getLayer();
                after.setIUpdater(new Telling(before.getIUpdater(), this));
                if (before.getBiasUpdater() != null) {
                    after.setBiasUpdater(new Telling(before.getBiasUpdater(), this));
                }
                after.setIDropout(before.getIDropout()); // it has state
            }
            layer.setConf(copy);
        }

        /** Leaves a layer alone that the listener has given another configuration. */
        void remove() {
            if (layer.conf() == copy) {
                layer.setConf(own);
            }
        }

        double rate(IUpdater replaced, int iteration, int epoch) {
            if (ended) {
                return 0;
            }
            if (ours) {
                return rate;
            }
            return (fallback == null ? replaced : fallback).getLearningRate(iteration, epoch);
        }
    }

    /** Shows them while a call runs. */
    void during(Runnable call) {
        layers.forEach(Shown::install);
        try {
            call.run();
        } finally {
            layers.forEach(Shown::remove);
        }
    }

    /** Once, after the first step: a StatsListener that nobody has wrapped shows what is not. */
    void warn(Collection<TrainingListener> listeners, Consumer<String> say) {
        if (looked) {
            return;
        }
        looked = true;
        for (TrainingListener listener : listeners) {
            String name = listener.getClass().getSimpleName();
            if (name.contains("StatsListener")) {
                say.accept(
                        name
                                + " shows the learning rate of the updater that LNGD has replaced; add"
                                + " it as lngd.withLearningRates(listener)");
            }
        }
    }

    /** A configured updater, but for the rate that it tells. */
    private static final class Telling implements IUpdater {
        private static final long serialVersionUID = 1L;

        private final IUpdater configured;
        private final transient Shown of;

        Telling(IUpdater configured, Shown of) {
            this.configured = configured;
            this.of = of;
        }

        @Override
        public double getLearningRate(int iteration, int epoch) {
            return of.rate(configured, iteration, epoch);
        }

        @Override
        public boolean hasLearningRate() {
            return of.ours || configured.hasLearningRate();
        }

        @Override
        public void setLrAndSchedule(double value, ISchedule schedule) {
            configured.setLrAndSchedule(value, schedule);
        }

        @Override
        public long stateSize(long parameters) {
            return configured.stateSize(parameters);
        }

        @Override
        public GradientUpdater<?> instantiate(INDArray view, boolean initialize) {
            return configured.instantiate(view, initialize);
        }

        @Override
        public GradientUpdater<?> instantiate(Map<String, INDArray> state, boolean initialize) {
            return configured.instantiate(state, initialize);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Telling that && configured.equals(that.configured);
        }

        @Override
        public int hashCode() {
            return configured.hashCode();
        }

        /** A copy is for other networks: the updater itself. */
        @Override
        public IUpdater clone() {
            return configured.clone();
        }

        /** Java serialisation writes the updater itself. */
        private Object writeReplace() {
            return configured;
        }
    }
}
