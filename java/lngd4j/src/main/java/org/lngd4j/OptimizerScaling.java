// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_tensor;

/**
 * Mixed precision: gradients of a loss that was scaled, as PyTorch's GradScaler does; apart from
 * observe and step for the sake of short files.
 */
abstract class OptimizerScaling extends OptimizerInverses {
    // Read by steps to come, so that they have to stay reachable.
    private TensorView scale;
    private TensorView foundInf;

    OptimizerScaling(LngdOptions options, List<LayerSpec> layers, lngd_optimizer pointer) {
        super(options, layers, pointer);
    }

    /**
     * From now on the gradients of every plan, and the deltas of {@link LayerSamples}, are {@code
     * scale} times what they stand for; each step divides by it as it reads them, before they are
     * clipped.
     *
     * @param scale finite, above 0; 1, as at first: no scale, and no flag
     * @throws org.lngd4j.nativelib.LngdArgumentException if it is out of its range
     * @throws org.lngd4j.nativelib.LngdStateException while the stream is being captured
     */
    public void gradientScale(double scale) {
        gradientScale(scale, false, null);
    }

    /**
     * The same with a flag that keeps steps out, and for signals.
     *
     * @param scale finite, above 0
     * @param signals whether what is observed as {@link Signal#GRADIENTS} is {@code scale} times
     *     what it stands for too, as where it comes from the backward pass of that loss
     * @param foundInf a tensor of one element, or null; see {@link #gradientScale(TensorView,
     *     boolean, TensorView)}
     * @throws org.lngd4j.nativelib.LngdArgumentException if one of them is not allowed
     * @throws org.lngd4j.nativelib.LngdStateException while the stream is being captured
     */
    public void gradientScale(double scale, boolean signals, TensorView foundInf) {
        set(scale, null, signals, foundInf);
    }

    /**
     * The same with a scale that lies in a tensor. Both tensors are read at each step until this is
     * called again, so that a program may change what is in them: in host memory during the call of
     * {@link StepPlan#step(double)}, in memory of the device in the order of the caller's stream,
     * and nothing waits for it. They must stay where they are, and are kept reachable.
     *
     * <p>A step that the flag keeps out is one that was not taken, as {@code GradScaler} skips
     * {@code optimizer.step()}: no layer moves, which {@link LayerHealth#skippedSteps()} counts;
     * weights, momentum, moments and averages of all kinds stay as they are, and what was observed
     * for it is dropped. The host is not told, so the intervals of statistics and inverses count
     * the step.
     *
     * @param scale a tensor of one element; where it is not finite, or not above 0, steps are kept
     *     out
     * @param signals as above
     * @param foundInf a tensor of one element: where it is not 0, a step is kept out; null: none is
     * @throws org.lngd4j.nativelib.LngdArgumentException if one of them is not allowed
     * @throws org.lngd4j.nativelib.LngdStateException while the stream is being captured
     */
    public void gradientScale(TensorView scale, boolean signals, TensorView foundInf) {
        set(1, Check.notNull("scale", scale), signals, foundInf);
    }

    private void set(double number, TensorView of, boolean signals, TensorView flag) {
        try (Scalar scaleStruct = new Scalar("scale", of);
                Scalar flagStruct = new Scalar("foundInf", flag)) {
            call(
                    optimizer ->
                            lngd.lngd_set_gradient_scale(
                                    optimizer,
                                    number,
                                    scaleStruct.tensor,
                                    signals ? 1 : 0,
                                    flagStruct.tensor));
        }
        scale = of;
        foundInf = flag;
    }

    /** A tensor for the time of a call. */
    private static final class Scalar implements AutoCloseable {
        private final TensorStruct struct;
        private final lngd_tensor tensor;

        Scalar(String argument, TensorView view) {
            if (view != null && view.rank() > NativeTensor.MAX_RANK) {
                throw Check.bad(
                        "the rank of " + argument, view.rank(), "0 to 4, with one element in all");
            }
            struct = view == null ? null : new TensorStruct();
            tensor = view == null ? null : struct.set(view);
        }

        @Override
        public void close() {
            if (struct != null) {
                struct.close();
            }
        }
    }
}
