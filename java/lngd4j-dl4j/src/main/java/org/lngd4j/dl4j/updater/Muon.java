// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.schedule.FixedSchedule;
import org.nd4j.linalg.schedule.ISchedule;

/**
 * Muon (K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024):
 * momentum whose update is brought near to the closest orthogonal matrix. For a weight matrix W of
 * m outputs and n inputs with gradient G:
 *
 * <pre>
 *   M = momentum M + G
 *   U = G + momentum M  (Nesterov), or M
 *   X = U / (||U|| + 1e-7)
 *   five times:  A = X X^T,  X = 3.4445 X + (-4.7750 A + 2.0315 A A) X
 *   W = W - rate (scale X + decay W)
 * </pre>
 *
 * <p>{@link #builder} has Jordan's settings, {@link #matchingAdamW} those of J. Liu et al., "Muon
 * is scalable for LLM training", arXiv:2502.16982.
 *
 * <p>It trains the matrices of hidden layers: dense layers, and 1-D and 2-D convolutions as outputs
 * x (channels times kernel). An {@link AdamW} of its own trains the rest, as Jordan recommends:
 * biases, gains and shifts, embeddings, output layers (also a last dense layer before a bare loss),
 * a convolution that is the network's first layer, layers that are named with {@link
 * Builder#adamW(String...)}, and layers whose weights are not one matrix, such as recurrent ones.
 * The report says which.
 *
 * <p>State: one number for each weight of a matrix; two for what AdamW trains. A step costs 20 k^2
 * l + 10 k^3 operations, k and l the smaller and the larger of m and n.
 *
 * <p>Unchangeable; one can be installed in any number of networks.
 */
public final class Muon extends NetworkUpdater {
    private final ISchedule rate;
    private final double momentum;
    private final boolean nesterov;
    private final int steps;
    private final MuonScale scale;
    private final double weightDecay;
    private final AdamW rest;
    private final Set<String> named;

    private Muon(Builder builder) {
        this.rate = builder.rate;
        this.momentum = builder.momentum;
        this.nesterov = builder.nesterov;
        this.steps = builder.steps;
        this.scale = builder.scale;
        this.weightDecay = builder.weightDecay;
        this.rest = builder.rest;
        this.named = Set.copyOf(builder.named);
    }

    /**
     * Begins with Jordan's defaults: rate 0.02, momentum 0.95, Nesterov, 5 Newton-Schulz steps,
     * {@link MuonScale#SHAPE}, no decay; for the rest AdamW with rate 3e-4, betas 0.9 and 0.95,
     * epsilon 1e-10 and no decay.
     *
     * @return a builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Begins with the settings of "Muon is scalable": {@link MuonScale#MATCH_ADAMW}, and the same
     * rate and decay for the matrices and for the rest; betas 0.9 and 0.95 of its AdamW.
     *
     * @param schedule of AdamW's learning rates
     * @param weightDecay 0 or more; the paper has 0.1
     * @return a builder
     * @throws LngdArgumentException if the schedule is null, or the decay outside of its range
     */
    public static Builder matchingAdamW(ISchedule schedule, double weightDecay) {
        AdamW rest =
                AdamW.builder().learningRate(schedule).beta2(0.95).weightDecay(weightDecay).build();
        return builder()
                .scale(MuonScale.MATCH_ADAMW)
                .learningRate(schedule)
                .weightDecay(weightDecay)
                .rest(rest);
    }

    @Override
    public double weightDecay() {
        return weightDecay;
    }

    @Override
    void check(List<NetworkLayer> layers) {
        Set<String> known = layers.stream().map(NetworkLayer::name).collect(Collectors.toSet());
        for (String name : named) {
            if (!known.contains(name)) {
                throw Ranges.bad(
                        "adamW",
                        name,
                        "the name of a layer with parameters: "
                                + layers.stream()
                                        .map(NetworkLayer::name)
                                        .collect(Collectors.joining(", ")));
            }
        }
    }

    @Override
    String exclusion(NetworkLayer layer) {
        if (named.contains(layer.name())) {
            return "named for AdamW";
        }
        if (layer.live().conf().getLayer() instanceof BaseOutputLayer || layer.last()) {
            return "an output layer";
        }
        if (layer.embedding()) {
            return "an embedding";
        }
        return layer.first() && layer.convolution() ? "the first convolution" : null;
    }

    @Override
    IUpdater matrixUpdater(NetworkLayer layer) {
        MatrixShape shape = layer.matrix();
        return new MuonUpdater(
                rate,
                layer.name(),
                shape.outputs(),
                shape.inputs(),
                momentum,
                nesterov,
                steps,
                scale);
    }

    @Override
    AdamW rest() {
        return rest;
    }

    /** Settings of {@link Muon}. Every setter checks its range at once. */
    public static final class Builder {
        private ISchedule rate = new FixedSchedule(0.02);
        private double momentum = 0.95;
        private boolean nesterov = true;
        private int steps = 5;
        private MuonScale scale = MuonScale.SHAPE;
        private double weightDecay;
        private AdamW rest =
                AdamW.builder()
                        .learningRate(3e-4)
                        .beta2(0.95)
                        .epsilon(1e-10)
                        .weightDecay(0)
                        .build();
        private final Set<String> named = new HashSet<>();

        private Builder() {}

        /**
         * Sets a constant learning rate of the matrices. The rest has its own: {@link #rest}.
         *
         * @param value above 0; default 0.02
         * @return this builder
         * @throws LngdArgumentException if it is not above 0 and finite
         */
        public Builder learningRate(double value) {
            rate = Ranges.rate("learningRate", value);
            return this;
        }

        /**
         * Sets a schedule of learning rates of the matrices. The rest has its own: {@link #rest}.
         *
         * @param schedule one of DL4J's, or any that Jackson can write if the network is to be
         *     saved
         * @return this builder
         * @throws LngdArgumentException if it is null
         */
        public Builder learningRate(ISchedule schedule) {
            rate = Ranges.notNull("learningRate", schedule);
            return this;
        }

        /**
         * Sets the momentum.
         *
         * @param value 0 or more, below 1; default 0.95
         * @return this builder
         * @throws LngdArgumentException if it is outside of that
         */
        public Builder momentum(double value) {
            momentum = Ranges.beta("momentum", value);
            return this;
        }

        /**
         * Sets whether the momentum is Nesterov's.
         *
         * @param value default true
         * @return this builder
         */
        public Builder nesterov(boolean value) {
            nesterov = value;
            return this;
        }

        /**
         * Sets the steps of the Newton-Schulz iteration.
         *
         * @param value 1 or more; default 5
         * @return this builder
         * @throws LngdArgumentException if it is below 1
         */
        public Builder newtonSchulzSteps(int value) {
            steps = Ranges.atLeastOne("newtonSchulzSteps", value);
            return this;
        }

        /**
         * Sets the factor of the orthogonalised update.
         *
         * @param value default {@link MuonScale#SHAPE}
         * @return this builder
         * @throws LngdArgumentException if it is null
         */
        public Builder scale(MuonScale value) {
            scale = Ranges.notNull("scale", value);
            return this;
        }

        /**
         * Sets the decoupled weight decay of the matrices. It takes the place of a {@code
         * WeightDecay} in the configuration of the layers; 0 leaves the configuration's.
         *
         * @param value 0 or more, times the learning rate; default 0
         * @return this builder
         * @throws LngdArgumentException if it is negative or not finite
         */
        public Builder weightDecay(double value) {
            weightDecay = Ranges.notNegative("weightDecay", value);
            return this;
        }

        /**
         * Sets what trains everything that is no hidden matrix.
         *
         * @param value with rate and decay of its own
         * @return this builder
         * @throws LngdArgumentException if it is null
         */
        public Builder rest(AdamW value) {
            rest = Ranges.notNull("rest", value);
            return this;
        }

        /**
         * Names layers that AdamW shall train as well.
         *
         * @param layers names as the report has them; a layer without a name is layer0, layer1, ...
         * @return this builder
         * @throws LngdArgumentException if one is null
         */
        public Builder adamW(String... layers) {
            for (String layer : layers) {
                named.add(Ranges.notNull("adamW", layer));
            }
            return this;
        }

        /**
         * Makes the optimizer.
         *
         * @return with these settings
         */
        public Muon build() {
            return new Muon(this);
        }
    }
}
