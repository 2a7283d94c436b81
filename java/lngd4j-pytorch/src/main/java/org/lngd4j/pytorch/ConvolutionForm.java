// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.function.Function;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv1dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.ConvPaddingMode;
import org.bytedeco.pytorch.DetailConv1dOptions;
import org.bytedeco.pytorch.DetailConv2dOptions;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.LayerSpec;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * A convolution. Its weights m x C/G x kernel are, in the memory of a contiguous tensor, the matrix
 * m x d_w whose rows are patches in the order channel, kernel row, kernel column.
 *
 * @param axes spatial axes: 1 or 2
 * @param specification the layer under a name
 */
record ConvolutionForm(int axes, Function<String, LayerSpec> specification) implements LayerForm {
    static LayerForm of(Conv1dImpl layer) {
        return new ConvolutionForm(
                1,
                name -> {
                    DetailConv1dOptions o = layer.options();
                    checkMode(name, o.padding_mode());
                    int[] kernel = numbers(o.kernel_size(), 1);
                    int[] dilation = numbers(o.dilation(), 1);
                    Padding padding =
                            holds(() -> o.padding().get0())
                                    ? Padding.of(numbers(o.padding().get0(), 1))
                                    : Padding.of(holds(() -> o.padding().get2()), kernel, dilation);
                    return LayerSpec.convolution(
                                    name, o.in_channels().get(), o.out_channels().get(), kernel)
                            .stride(numbers(o.stride(), 1))
                            .dilation(dilation)
                            .padding(padding.before, padding.after)
                            .groups(Math.toIntExact(o.groups().get()))
                            .bias(layer.bias().defined());
                });
    }

    static LayerForm of(Conv2dImpl layer) {
        return new ConvolutionForm(
                2,
                name -> {
                    DetailConv2dOptions o = layer.options();
                    checkMode(name, o.padding_mode());
                    int[] kernel = numbers(o.kernel_size(), 2);
                    int[] dilation = numbers(o.dilation(), 2);
                    Padding padding =
                            holds(() -> o.padding().get0())
                                    ? Padding.of(numbers(o.padding().get0(), 2))
                                    : Padding.of(holds(() -> o.padding().get2()), kernel, dilation);
                    return LayerSpec.convolution(
                                    name, o.in_channels().get(), o.out_channels().get(), kernel)
                            .stride(numbers(o.stride(), 2))
                            .dilation(dilation)
                            .padding(padding.before, padding.after)
                            .groups(Math.toIntExact(o.groups().get()))
                            .bias(layer.bias().defined());
                });
    }

    private static void checkMode(String name, ConvPaddingMode mode) {
        if (!holds(mode::get0)) {
            throw new LngdArgumentException(name + ": padding_mode is not zeros, allowed is zeros");
        }
    }

    private record Padding(int[] before, int[] after) {
        static Padding of(int[] both) {
            return new Padding(both, both);
        }

        /**
         * PyTorch's "same" pads dilation (kernel - 1) in all, the odd one behind; "valid" nothing.
         */
        static Padding of(boolean same, int[] kernel, int[] dilation) {
            int[] before = new int[kernel.length];
            int[] after = new int[kernel.length];
            for (int i = 0; same && i < kernel.length; i++) {
                int all = dilation[i] * (kernel[i] - 1);
                before[i] = all / 2;
                after[i] = all - before[i];
            }
            return new Padding(before, after);
        }
    }

    private interface Alternative {
        Object get();
    }

    /** Whether a std::variant holds this alternative: the presets throw for any other. */
    private static boolean holds(Alternative alternative) {
        try {
            return alternative.get() != null;
        } catch (RuntimeException e) {
            return false;
        }
    }

    private static int[] numbers(LongPointer values, int count) {
        int[] numbers = new int[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = Math.toIntExact(values.get(i));
        }
        return numbers;
    }

    @Override
    public LayerSpec spec(String name) {
        return specification.apply(name);
    }

    @Override
    public Tensor matrix(Tensor weights) {
        return weights.view(weights.size(0), -1);
    }

    @Override
    public Tensor inputs(Tensor input) {
        return images(input);
    }

    @Override
    public Tensor outputs(Tensor output) {
        return images(output);
    }

    /** An image without an axis of samples is one sample. */
    private Tensor images(Tensor x) {
        return x.dim() == axes + 1 ? x.unsqueeze(0) : x;
    }
}
