// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dPadding;
import org.bytedeco.pytorch.DetailConv2dOptions;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.LayerSpec;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * A convolution. Its weights m x C/G x KH x KW are, in the memory of a contiguous tensor, the
 * matrix m x d_w whose rows are patches in the order channel, kernel row, kernel column.
 */
record ConvolutionForm(Conv2dImpl layer) implements LayerForm {
    private static final int AXES = 2;

    @Override
    public LayerSpec spec(String name) {
        DetailConv2dOptions options = layer.options();
        if (!holds(() -> options.padding_mode().get0())) {
            throw new LngdArgumentException(name + ": padding_mode is not zeros, allowed is zeros");
        }
        int[] kernel = pair(options.kernel_size());
        int[] dilation = pair(options.dilation());
        int[][] padding = padding(options.padding(), kernel, dilation);
        return LayerSpec.convolution(
                        name, options.in_channels().get(), options.out_channels().get(), kernel)
                .stride(pair(options.stride()))
                .dilation(dilation)
                .padding(padding[0], padding[1])
                .groups(Math.toIntExact(options.groups().get()))
                .bias(layer.bias().defined());
    }

    /** PyTorch's "same" pads dilation (kernel - 1) in all, the odd one behind. */
    private static int[][] padding(Conv2dPadding padding, int[] kernel, int[] dilation) {
        int[] before = new int[AXES];
        int[] after = new int[AXES];
        if (holds(padding::get0)) {
            before = pair(padding.get0());
            after = before;
        } else if (holds(padding::get2)) {
            for (int i = 0; i < AXES; i++) {
                int all = dilation[i] * (kernel[i] - 1);
                before[i] = all / 2;
                after[i] = all - before[i];
            }
        }
        return new int[][] {before, after};
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

    private static int[] pair(LongPointer values) {
        return new int[] {Math.toIntExact(values.get(0)), Math.toIntExact(values.get(1))};
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
    private static Tensor images(Tensor x) {
        return x.dim() == AXES + 1 ? x.unsqueeze(0) : x;
    }
}
