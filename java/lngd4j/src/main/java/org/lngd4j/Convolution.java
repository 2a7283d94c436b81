// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.ArrayList;
import java.util.List;

/**
 * The geometry of a convolutional {@link LayerSpec}. Immutable.
 *
 * @param axes one entry a spatial axis: one (length), or two (height, then width)
 * @param same whether padding follows from the image: size / stride positions, rounded up, the
 *     zeros that this takes put round it, the odd one at the end; the paddings of the axes are then
 *     0
 * @param groups into how many parts the channels are cut, each of which sees itself only; divides
 *     the channels in and out. Each has a factor Phi of its own
 */
public record Convolution(List<Axis> axes, boolean same, int groups) implements LayerKind {
    private static final int LARGEST = 65_535;

    /**
     * One spatial axis.
     *
     * @param kernel size of the kernel, in [1, 65535]
     * @param stride in [1, 65535]
     * @param before zeros before the first element, in [0, 65535]
     * @param after zeros after the last one, in [0, 65535]
     * @param dilation distance between the elements that the kernel sees, in [1, 65535]
     */
    public record Axis(int kernel, int stride, int before, int after, int dilation) {
        /**
         * Checks the ranges.
         *
         * @param kernel size of the kernel
         * @param stride stride
         * @param before zeros before the first element
         * @param after zeros after the last one
         * @param dilation dilation
         */
        public Axis {
            check("kernel", kernel, 1);
            check("stride", stride, 1);
            check("padding before", before, 0);
            check("padding after", after, 0);
            check("dilation", dilation, 1);
        }
    }

    @Override
    public String word() {
        return "a convolution";
    }

    /**
     * Checks the ranges.
     *
     * @param axes one or two axes
     * @param same whether padding follows from the image
     * @param groups number of groups, 1 or more
     */
    public Convolution {
        axes = List.copyOf(Check.notNull("axes", axes));
        if (axes.isEmpty() || axes.size() > 2) {
            throw Check.bad("the number of spatial axes", axes.size(), "1 or 2");
        }
        check("groups", groups, 1);
        if (same && axes.stream().anyMatch(a -> a.before() > 0 || a.after() > 0)) {
            throw Check.bad("padding", "given", "none with same(): it follows from the image");
        }
    }

    static Convolution of(int... kernel) {
        List<Axis> axes = new ArrayList<>();
        for (int k : kernel) {
            axes.add(new Axis(k, 1, 0, 0, 1));
        }
        return new Convolution(axes, false, 1);
    }

    Convolution stride(int... values) {
        return each(
                "stride",
                values,
                (a, v) -> new Axis(a.kernel(), v, a.before(), a.after(), a.dilation()));
    }

    Convolution before(int... values) {
        return each(
                "padding",
                values,
                (a, v) -> new Axis(a.kernel(), a.stride(), v, a.after(), a.dilation()));
    }

    Convolution after(int... values) {
        return each(
                "padding",
                values,
                (a, v) -> new Axis(a.kernel(), a.stride(), a.before(), v, a.dilation()));
    }

    Convolution dilation(int... values) {
        return each(
                "dilation",
                values,
                (a, v) -> new Axis(a.kernel(), a.stride(), a.before(), a.after(), v));
    }

    Convolution withSame(boolean value) {
        return new Convolution(axes, value, groups);
    }

    Convolution withGroups(int value) {
        return new Convolution(axes, same, value);
    }

    /**
     * Elements of a patch in one channel.
     *
     * @return the product of the kernel sizes
     */
    public long patch() {
        long product = 1;
        for (Axis axis : axes) {
            product *= axis.kernel();
        }
        return product;
    }

    private interface Change {
        Axis apply(Axis axis, int value);
    }

    /** One value for all axes, or one for each. */
    private Convolution each(String what, int[] values, Change change) {
        if (values.length != 1 && values.length != axes.size()) {
            throw Check.bad(
                    "the number of values of " + what,
                    values.length,
                    "1 or " + axes.size() + ", one for each axis");
        }
        List<Axis> changed = new ArrayList<>();
        for (int i = 0; i < axes.size(); i++) {
            changed.add(change.apply(axes.get(i), values[values.length == 1 ? 0 : i]));
        }
        return new Convolution(changed, same, groups);
    }

    private static void check(String what, int value, int least) {
        if (value < least || value > LARGEST) {
            throw Check.bad(what, value, "a whole number in [" + least + ", " + LARGEST + "]");
        }
    }
}
