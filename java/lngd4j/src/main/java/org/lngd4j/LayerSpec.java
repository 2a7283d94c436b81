// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * One layer of a network, as LNGD needs to know it. Immutable; the methods that take an argument
 * give a changed copy.
 *
 * <pre>{@code
 * List<LayerSpec> layers = List.of(
 *         LayerSpec.convolution("edges", 1, 16, 5, 5).stride(2),
 *         LayerSpec.dense("hidden", 784, 256).activation(Activation.TANH),
 *         LayerSpec.dense("output", 256, 10).output(OutputModel.SOFTMAX));
 * }</pre>
 *
 * @param name a name for messages and reports, not empty
 * @param kind what the layer makes of its inputs: dense, a convolution, an embedding; or that it is
 *     a tensor outside of any layer
 * @param inputs a dense layer's d_w, columns of the weights without the bias; a convolution's
 *     channels in, of all groups together; an embedding's vocabulary, how many indices there are;
 *     in [1, 2^24]; elements of a parameter, in [1, 2^31)
 * @param outputs m, rows of the weights; a convolution's channels out; in [1, 2^24]
 * @param bias whether there is a bias
 * @param activation the activation phi; {@link Activation#IDENTITY} for the softmax and sigmoid
 *     outputs
 * @param activationParameter slope of LEAKY_RELU in [0, 1], alpha of ELU above 0; otherwise ignored
 * @param output the predictive model
 * @param fisher how the layer's Fisher information is taken; null: as in {@link LngdOptions}
 * @param options what it does otherwise than the {@link LngdOptions} say
 */
public record LayerSpec(
        String name,
        LayerKind kind,
        long inputs,
        long outputs,
        boolean bias,
        Activation activation,
        double activationParameter,
        OutputModel output,
        Fisher fisher,
        LayerOptions options) {

    /**
     * Checks everything that can be checked without the native library.
     *
     * @param name a name, not empty
     * @param kind dense, convolution, embedding or parameter
     * @param inputs d_w, channels in, or the size of the vocabulary
     * @param outputs m
     * @param bias whether there is a bias
     * @param activation the activation
     * @param activationParameter slope of LEAKY_RELU or alpha of ELU
     * @param output the predictive model
     * @param fisher how Fisher information is taken, or null
     * @param options what it does otherwise
     */
    public LayerSpec {
        Check.notNull("name", name);
        if (name.isEmpty()) {
            throw Check.bad("name", "\"\"", "a name that is not empty");
        }
        Check.notNull(name + ": kind", kind);
        Check.notNull(name + ": activation", activation);
        Check.notNull(name + ": output", output);
        Check.notNull(name + ": options", options);
        LayerChecks.sizes(name, kind, inputs, outputs, bias);
        LayerChecks.activation(name, activation, activationParameter, output);
    }

    /**
     * A dense (fully connected) layer with bias, {@link Activation#RELU}, not an output layer.
     *
     * @param name a name for messages and reports, not empty
     * @param inputs d_w, in [1, 2^24]
     * @param outputs m, in [1, 2^24]
     * @return the layer
     */
    public static LayerSpec dense(String name, long inputs, long outputs) {
        return new LayerSpec(
                name,
                LayerKind.Plain.DENSE,
                inputs,
                outputs,
                true,
                Activation.RELU,
                0,
                OutputModel.HIDDEN,
                null,
                LayerOptions.DEFAULT);
    }

    /**
     * A convolution with bias, {@link Activation#RELU}, stride and dilation 1, no padding, one
     * group, not an output layer.
     *
     * @param name a name for messages and reports, not empty
     * @param channelsIn channels of the image, in [1, 2^24]
     * @param channelsOut channels of the result, in [1, 2^24]
     * @param kernel one size (1-D) or two (height, width), in [1, 65535]
     * @return the layer
     */
    public static LayerSpec convolution(
            String name, long channelsIn, long channelsOut, int... kernel) {
        return new LayerSpec(
                name,
                Convolution.of(Check.notNull("kernel", kernel)),
                channelsIn,
                channelsOut,
                true,
                Activation.RELU,
                0,
                OutputModel.HIDDEN,
                null,
                LayerOptions.DEFAULT);
    }

    /**
     * An embedding without bias, {@link Activation#IDENTITY}, not an output layer. Its inputs are
     * indices, whole numbers from 0 to vocabulary - 1 as float32, one for each of T positions of a
     * sample: N x T, with signals and deltas N x m x T (for T = 1 also N, and N x m). Phi is
     * diagonal and kept as a vector, with one damping for all indices; {@code blockSize} does not
     * matter. A bias is a diagonal entry with a damping of its own: cross terms between indices and
     * bias are dropped. An index that is none keeps the update of the statistics out, as NaN does.
     * Which approximations have embeddings {@link Approximation#hasEmbeddings} tells.
     *
     * @param name a name for messages and reports, not empty
     * @param vocabulary how many indices there are, columns of the weights; in [1, 2^24]
     * @param outputs m, length of the vector that an index stands for; in [1, 2^24]
     * @return the layer
     */
    public static LayerSpec embedding(String name, long vocabulary, long outputs) {
        return new LayerSpec(
                name,
                LayerKind.Plain.EMBEDDING,
                vocabulary,
                outputs,
                false,
                Activation.IDENTITY,
                0,
                OutputModel.HIDDEN,
                null,
                LayerOptions.DEFAULT);
    }

    /**
     * A tensor outside of any layer: the scales of a norm, a positional table, the weights of a
     * layer that LNGD does not know. It has no statistics; the same step moves it by its rule. It
     * is bound in a plan as {@code weights} and {@code weightGradients} of 1 to 4 axes, without
     * bias. Where layers are counted, as for the depth slope, it is not.
     *
     * @param name a name for messages and reports, not empty
     * @param elements how many numbers it has, in [1, 2^31)
     * @param rule what moves it
     * @return the entry
     */
    public static LayerSpec parameter(String name, long elements, ParameterRule rule) {
        return new LayerSpec(
                name,
                Check.notNull("rule", rule),
                elements,
                1,
                false,
                Activation.IDENTITY,
                0,
                OutputModel.HIDDEN,
                null,
                LayerOptions.DEFAULT);
    }

    /**
     * A copy of a convolution with another stride.
     *
     * @param values one for all axes, or one for each (height, width)
     * @return the copy
     */
    public LayerSpec stride(int... values) {
        return with(geometry("stride").stride(values));
    }

    /**
     * A copy of a convolution with zeros on both sides of the image.
     *
     * @param values how many, one for all axes, or one for each (height, width)
     * @return the copy
     */
    public LayerSpec padding(int... values) {
        return padding(values, values);
    }

    /**
     * A copy of a convolution with zeros round the image.
     *
     * @param before above and left, one for all axes, or one for each (height, width)
     * @param after below and right
     * @return the copy
     */
    public LayerSpec padding(int[] before, int[] after) {
        return with(geometry("padding").before(before).after(after));
    }

    /**
     * A copy of a convolution whose padding follows from the image, see {@link Convolution#same}.
     *
     * @return the copy
     */
    public LayerSpec same() {
        return with(geometry("same").withSame(true));
    }

    /**
     * A copy of a convolution with another dilation.
     *
     * @param values one for all axes, or one for each (height, width)
     * @return the copy
     */
    public LayerSpec dilation(int... values) {
        return with(geometry("dilation").dilation(values));
    }

    /**
     * A copy of a convolution with groups.
     *
     * @param value how many; divides the channels in and out
     * @return the copy
     */
    public LayerSpec groups(int value) {
        return with(geometry("groups").withGroups(value));
    }

    private Convolution geometry(String what) {
        if (kind instanceof Convolution convolution) {
            return convolution;
        }
        throw Check.bad(
                what + " of layer \"" + name + "\"", "set", "none: the layer is " + kind.word());
    }

    private LayerSpec with(LayerKind value) {
        return copy(value, bias, activation, activationParameter, output, fisher, options);
    }

    /**
     * A copy with or without a bias.
     *
     * @param value whether there is a bias
     * @return the copy
     */
    public LayerSpec bias(boolean value) {
        return copy(kind, value, activation, activationParameter, output, fisher, options);
    }

    /**
     * A copy with another activation and its default parameter.
     *
     * @param value the activation
     * @return the copy
     */
    public LayerSpec activation(Activation value) {
        return activation(value, Check.notNull("activation", value).defaultParameter());
    }

    /**
     * A copy with another activation.
     *
     * @param value the activation
     * @param parameter slope of LEAKY_RELU in [0, 1], alpha of ELU above 0; otherwise ignored
     * @return the copy
     */
    public LayerSpec activation(Activation value, double parameter) {
        return copy(kind, bias, value, parameter, output, fisher, options);
    }

    /**
     * A copy with another predictive model. The softmax and sigmoid models, which are link
     * functions themselves, also set the activation to {@link Activation#IDENTITY}.
     *
     * @param value the model
     * @return the copy
     */
    public LayerSpec output(OutputModel value) {
        Check.notNull("output", value);
        Activation phi = LayerChecks.isLink(value) ? Activation.IDENTITY : activation;
        return copy(kind, bias, phi, activationParameter, value, fisher, options);
    }

    /**
     * A copy with a way of its own to take Fisher information.
     *
     * @param value the way; null: as in {@link LngdOptions}
     * @return the copy
     */
    public LayerSpec fisher(Fisher value) {
        return copy(kind, bias, activation, activationParameter, output, value, options);
    }

    /**
     * A copy that does something otherwise than the other layers.
     *
     * @param value what
     * @return the copy
     */
    public LayerSpec options(LayerOptions value) {
        return copy(kind, bias, activation, activationParameter, output, fisher, value);
    }

    private LayerSpec copy(
            LayerKind newKind,
            boolean newBias,
            Activation newActivation,
            double newParameter,
            OutputModel newOutput,
            Fisher newFisher,
            LayerOptions newOptions) {
        return new LayerSpec(
                name,
                newKind,
                inputs,
                outputs,
                newBias,
                newActivation,
                newParameter,
                newOutput,
                newFisher,
                newOptions);
    }

    /**
     * Columns of the weights without the bias, d_w.
     *
     * @return inputs; for a convolution the channels of a group times the kernel
     */
    public long weightColumns() {
        return kind instanceof Convolution c ? inputs / c.groups() * c.patch() : inputs;
    }

    /**
     * Columns of the weights with the bias, d.
     *
     * @return d_w, plus 1 where there is a bias
     */
    public long columns() {
        return weightColumns() + (bias ? 1 : 0);
    }

    /**
     * Groups of channels, each with a factor Phi of its own.
     *
     * @return 1 but for a grouped convolution
     */
    public int groups() {
        return kind instanceof Convolution c ? c.groups() : 1;
    }

    /**
     * The geometry of a convolution.
     *
     * @return null for anything else
     */
    public Convolution convolution() {
        return kind instanceof Convolution convolution ? convolution : null;
    }

    /**
     * Whether the layer looks up a column of its weights for an index.
     *
     * @return whether it is an embedding
     */
    public boolean embedding() {
        return kind == LayerKind.Plain.EMBEDDING;
    }

    /**
     * What moves a parameter outside of any layer.
     *
     * @return null for a layer
     */
    public ParameterRule parameter() {
        return kind instanceof ParameterRule rule ? rule : null;
    }

    /** Whether a batch has positions behind its samples. */
    boolean isPositional() {
        return embedding() || kind instanceof Convolution;
    }
}
