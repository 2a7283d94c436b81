// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.api.OptimizationAlgorithm;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.deeplearning4j.nn.conf.stepfunctions.NegativeGradientStepFunction;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.Fisher;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptions;
import org.lngd4j.Treatment;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.dataset.api.iterator.DataSetIterator;
import org.nd4j.shade.jackson.databind.ObjectMapper;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Attaches LNGD to Deeplearning4j networks.
 *
 * <pre>{@code
 * LngdOptions options = LngdOptions.recipe(epochs * batchesPerEpoch).build();
 * try (LngdTraining lngd = Lngd.attach(net, options)) {
 *     net.fit(iterator, epochs);
 * }
 * }</pre>
 *
 * <p>Several processes train one network with {@link DataParallel}.
 */
public final class Lngd {
    private static final Logger LOGGER = LoggerFactory.getLogger(Lngd.class);

    private Lngd() {}

    /**
     * Attaches LNGD with {@link AttachOptions#defaults()}.
     *
     * @param net the network; see {@link #attach(MultiLayerNetwork, LngdOptions, AttachOptions)}
     * @param options what LNGD shall do
     * @return the attachment; close it
     */
    public static LngdTraining attach(MultiLayerNetwork net, LngdOptions options) {
        return attach(net, options, AttachOptions.defaults());
    }

    /**
     * Attaches LNGD to a network. From now on every {@code fit} of the network trains dense and
     * output layers and convolutions by LNGD and the other layers by a first-order updater, which
     * the report tells layer by layer. Listeners, evaluation, early stopping, {@code
     * ModelSerializer}, {@code clone()}, dropout, constraints, gradient normalisation, L1, L2 and
     * weight decay work as before: the network's configuration is not changed, not even for the
     * time of the attachment.
     *
     * @param net the network, of data type FLOAT, trained with the mean loss by stochastic gradient
     *     descent (DL4J's defaults); initialised if it is not yet
     * @param options what LNGD shall do; with {@link Fisher#PROVIDED} the gradients of targets that
     *     are drawn from the network's own prediction, back-propagated in a second pass over the
     *     first {@code statisticsSamples} samples wherever statistics are due. That pass leaves
     *     gradients, batch statistics, counters and ND4J's random state alone, and takes the memory
     *     of one more gradient array. It needs outputs that are softmax with cross-entropy, sigmoid
     *     with binary cross-entropy or squared error, and no recurrent layer
     * @param attachOptions fallback updater, and which weights are left at the end
     * @return the attachment; close it to get the network back as it was
     * @throws LngdArgumentException if the network cannot be trained by LNGD; the message says what
     *     stands in the way
     * @throws LngdStateException if LNGD is attached to the network already
     */
    public static LngdTraining attach(
            MultiLayerNetwork net, LngdOptions options, AttachOptions attachOptions) {
        notNull("net", net);
        net.init();
        return attach(new SequentialNetwork(net), options, attachOptions);
    }

    /**
     * Attaches LNGD to a graph with {@link AttachOptions#defaults()}.
     *
     * @param graph the graph; see {@link #attach(ComputationGraph, LngdOptions, AttachOptions)}
     * @param options what LNGD shall do
     * @return the attachment; close it
     */
    public static LngdTraining attach(ComputationGraph graph, LngdOptions options) {
        return attach(graph, options, AttachOptions.defaults());
    }

    /**
     * Attaches LNGD to a graph: residual blocks, merges, several inputs and outputs. Everything
     * that {@link #attach(MultiLayerNetwork, LngdOptions, AttachOptions)} says holds for it. A
     * vertex with parameters of its own keeps its updater.
     *
     * @param graph the graph, of data type FLOAT, trained with the mean loss by stochastic gradient
     *     descent (DL4J's defaults); initialised if it is not yet
     * @param options what LNGD shall do; with {@link Fisher#PROVIDED} the gradients of targets that
     *     are drawn from the network's own prediction, back-propagated in a second pass over the
     *     first {@code statisticsSamples} samples wherever statistics are due. That pass leaves
     *     gradients, batch statistics, counters and ND4J's random state alone, and takes the memory
     *     of one more gradient array. It needs outputs that are softmax with cross-entropy, sigmoid
     *     with binary cross-entropy or squared error, and no recurrent layer
     * @param attachOptions fallback updater, and which weights are left at the end
     * @return the attachment; close it to get the graph back as it was
     * @throws LngdArgumentException if the graph cannot be trained by LNGD; the message says what
     *     stands in the way
     * @throws LngdStateException if LNGD is attached to the graph already
     */
    public static LngdTraining attach(
            ComputationGraph graph, LngdOptions options, AttachOptions attachOptions) {
        notNull("graph", graph);
        graph.init();
        return attach(new GraphNetwork(graph), options, attachOptions);
    }

    /**
     * Makes a network of a file and attaches LNGD to it where the file was written; {@link
     * LngdTraining#network()} is the network. {@link AttachOptions#defaults()}.
     *
     * @param file what {@link LngdTraining#save} or {@link LngdCheckpointListener} wrote
     * @param options those that the run was attached with
     * @return the attachment; close it
     * @throws IOException if the file cannot be read or is no such file
     */
    public static LngdTraining resume(Path file, LngdOptions options) throws IOException {
        return resume(file, options, AttachOptions.defaults());
    }

    /**
     * Makes a network of a file and attaches LNGD to it where the file was written. With the same
     * data the training goes on with the bits that it would have had without stopping.
     *
     * <pre>{@code
     * Path last = LngdCheckpointListener.last(folder).orElseThrow();
     * try (LngdTraining lngd = Lngd.resume(last, options)) {
     *     MultiLayerNetwork net = (MultiLayerNetwork) lngd.network();
     *     net.addListeners(LngdCheckpointListener.builder(lngd, folder).everyEpochs(1).build());
     *     net.fit(iterator, epochs - net.getEpochCount());
     * }
     * }</pre>
     *
     * <p>Listeners are not in the file. Custom layers of DL4J have to be on the class path.
     *
     * @param file what {@link LngdTraining#save} or {@link LngdCheckpointListener} wrote
     * @param options those that the run was attached with; an extension of it is in the file
     * @param attachOptions likewise
     * @return the attachment, of a {@code MultiLayerNetwork} or {@code ComputationGraph}; close it
     * @throws IOException if the file cannot be read or is no such file
     * @throws org.lngd4j.nativelib.LngdStateDataException if it does not belong to these options
     */
    public static LngdTraining resume(Path file, LngdOptions options, AttachOptions attachOptions)
            throws IOException {
        notNull("file", file);
        notNull("options", options);
        notNull("attachOptions", attachOptions);
        String json = Checkpoint.configuration(file);
        LngdTraining training =
                new ObjectMapper().readTree(json).has("vertices")
                        ? attach(
                                new ComputationGraph(ComputationGraphConfiguration.fromJson(json)),
                                options,
                                attachOptions)
                        : attach(
                                new MultiLayerNetwork(MultiLayerConfiguration.fromJson(json)),
                                options,
                                attachOptions);
        try {
            training.restore(file);
            return training;
        } catch (IOException | RuntimeException e) {
            training.abandon();
            throw e;
        }
    }

    /**
     * What is recommended for a network, by the rule of {@link LngdOptions#recommended} on the
     * layers that {@link #attach} would train: {@code BLOCK_KRONECKER} for softmax and sigmoid
     * outputs, {@code BLOCK_KRONECKER_FIT} for squared error and autoencoders. It is {@code RECIPE}
     * where that preset cannot train the network: where targets cannot be drawn from it and
     * back-propagated (a recurrent layer, another loss). What was chosen and why is logged at level
     * INFO by SLF4J and told by {@link LngdOptions#reason()}.
     *
     * <pre>{@code
     * LngdOptions options = Lngd.recommended(net, epochs * batchesPerEpoch, batch);
     * try (LngdTraining lngd = Lngd.attach(net, options)) {
     *     net.fit(iterator, epochs);
     * }
     * }</pre>
     *
     * @param net the network, as for {@link #attach(MultiLayerNetwork, LngdOptions,
     *     AttachOptions)}; initialised if it is not yet, not changed otherwise
     * @param totalSteps length of the run in steps, at least 1
     * @param batch samples of a step, at least 1
     * @return the options
     * @throws LngdArgumentException if the network cannot be trained by LNGD, or a number is out of
     *     its range
     */
    public static LngdOptions recommended(MultiLayerNetwork net, long totalSteps, int batch) {
        notNull("net", net);
        net.init();
        return recommended(new SequentialNetwork(net), totalSteps, batch);
    }

    /**
     * What is recommended for a graph: {@link #recommended(MultiLayerNetwork, long, int)}. Of
     * several outputs the last in forward order decides.
     *
     * @param graph the graph; initialised if it is not yet, not changed otherwise
     * @param totalSteps length of the run in steps, at least 1
     * @param batch samples of a step, at least 1
     * @return the options
     * @throws LngdArgumentException if the graph cannot be trained by LNGD, or a number is out of
     *     its range
     */
    public static LngdOptions recommended(ComputationGraph graph, long totalSteps, int batch) {
        notNull("graph", graph);
        graph.init();
        return recommended(new GraphNetwork(graph), totalSteps, batch);
    }

    /**
     * The length of a run in steps, for {@link LngdOptions} and {@link #recommended}: batches of
     * the iterator times epochs. Goes through the iterator once, and resets it before and after.
     *
     * @param data an iterator that can be reset
     * @param epochs at least 1
     * @return the steps, at least 1
     * @throws LngdArgumentException if the iterator cannot be reset or is empty, or there are no
     *     epochs
     */
    public static long steps(DataSetIterator data, int epochs) {
        notNull("data", data);
        if (!data.resetSupported()) {
            throw new LngdArgumentException(
                    "data cannot be reset, allowed is an iterator that supports it: " + data);
        }
        if (epochs < 1) {
            throw new LngdArgumentException("epochs is " + epochs + ", allowed is 1 or more");
        }
        data.reset();
        long batches = 0;
        for (; data.hasNext(); data.next()) {
            batches++;
        }
        data.reset();
        if (batches == 0) {
            throw new LngdArgumentException("data has 0 batches, allowed is 1 or more");
        }
        return batches * epochs;
    }

    private static LngdOptions recommended(Network net, long totalSteps, int batch) {
        // Without a length there would be no trust ratio; the core names the argument.
        LngdOptions recipe = LngdOptions.recipe(Math.max(1, totalSteps)).build();
        check(net, recipe);
        String problem = SampledFisher.problem(net);
        LngdOptions options =
                problem == null ? recipe.toBuilder().fisher(Fisher.PROVIDED).build() : recipe;
        List<LayerSpec> specs =
                trained(LayerChoices.of(net, options)).stream().map(LayerChoice::spec).toList();
        LngdOptions chosen = LngdOptions.recommended(specs, totalSteps, batch);
        if (problem != null) {
            String reason = "RECIPE: targets cannot be drawn and back-propagated: " + problem;
            chosen = LngdOptions.recipe(totalSteps).reason(reason).build();
        }
        LOGGER.info("LNGD recommends {}", chosen.reason());
        return chosen;
    }

    private static LngdTraining attach(
            Network net, LngdOptions options, AttachOptions attachOptions) {
        notNull("options", options);
        notNull("attachOptions", attachOptions);
        check(net, options);
        List<LayerChoice> choices = LayerChoices.of(net, options);
        trained(choices);
        return LngdTraining.start(net, options, attachOptions, choices);
    }

    /** The layers of LNGD, of which there is one at least. */
    private static List<LayerChoice> trained(List<LayerChoice> choices) {
        List<LayerChoice> ours =
                choices.stream().filter(c -> c.treatment() == Treatment.LNGD).toList();
        if (ours.isEmpty()) {
            StringBuilder reasons = new StringBuilder();
            choices.forEach(
                    c -> reasons.append("; ").append(c.name()).append(": ").append(c.detail()));
            throw new LngdArgumentException("net has no layer that LNGD can train" + reasons);
        }
        return ours;
    }

    private static void check(Network network, LngdOptions options) {
        Model net = network.model();
        if (isAttached(network)) {
            throw new LngdStateException(
                    "LNGD is attached to this network already; close that attachment first");
        }
        if (net.params().dataType() != DataType.FLOAT) {
            throw new LngdArgumentException(
                    "net has the data type "
                            + net.params().dataType()
                            + "; allowed is FLOAT: convert it with net.convertDataType(DataType.FLOAT)");
        }
        if (!net.conf().isMiniBatch()) {
            throw new LngdArgumentException(
                    "net is configured with miniBatch(false), a summed loss; allowed is the mean"
                            + " loss, miniBatch(true)");
        }
        OptimizationAlgorithm algorithm = net.conf().getOptimizationAlgo();
        if (algorithm != OptimizationAlgorithm.STOCHASTIC_GRADIENT_DESCENT) {
            throw new LngdArgumentException(
                    "net is configured with the optimization algorithm "
                            + algorithm
                            + "; allowed is STOCHASTIC_GRADIENT_DESCENT");
        }
        if (net.conf().getStepFunction() != null
                && !(net.conf().getStepFunction() instanceof NegativeGradientStepFunction)) {
            throw new LngdArgumentException(
                    "net is configured with the step function "
                            + net.conf().getStepFunction().getClass().getSimpleName()
                            + "; allowed is the default, NegativeGradientStepFunction");
        }
        // getOptimizer() alone fails after net.clear(); getUpdater() makes a new one.
        if (network.updater() != null && net.getOptimizer().getGradientsAccumulator() != null) {
            throw new LngdArgumentException(
                    "net has a gradients accumulator (distributed training); allowed is a network that trains alone");
        }
        if (options.fisher() == Fisher.PROVIDED) {
            SampledFisher.check(network);
        }
    }

    private static boolean isAttached(Network net) {
        if (net.updaterIfAny() instanceof Network.AttachedUpdater) {
            return true;
        }
        // MultiLayerNetwork.clear() drops the updater, so it alone does not tell.
        for (Unit unit : net.units()) {
            if (unit.layer() != null
                    && unit.layer().conf() != null
                    && unit.layer().conf().getLayer() instanceof BaseLayer conf) {
                boolean loss =
                        conf instanceof BaseOutputLayer output
                                && output.getLossFn() instanceof CapturingLoss;
                if (loss || conf.getActivationFn() instanceof CapturingActivation) {
                    return true;
                }
            }
        }
        return false;
    }

    private static void notNull(String argument, Object value) {
        if (value == null) {
            throw new LngdArgumentException(argument + " is null");
        }
    }
}
