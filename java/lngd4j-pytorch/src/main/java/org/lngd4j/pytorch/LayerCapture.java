// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.lang.ref.WeakReference;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Activation;
import org.lngd4j.LayerOptions;
import org.lngd4j.LayerSpec;
import org.lngd4j.OutputModel;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;

/**
 * The side of a layer that LNGD sees. Found by the address of the layer's C++ module, since {@code
 * named_modules()} gives modules of C++ and not the Java objects that were registered.
 */
final class LayerCapture {
    private static final Map<Long, WeakReference<LayerCapture>> LIVE = new ConcurrentHashMap<>();

    private final Module module;
    private final long address;
    private final LayerForm form;
    private Activation activation;
    private OutputModel output = OutputModel.HIDDEN;
    private LayerOptions options = LayerOptions.DEFAULT;
    private boolean attached;
    private Passes due; // null where nothing has to be remembered: nearly always

    LayerCapture(Module module, LayerForm form) {
        this.module = module;
        this.address = module.address();
        this.form = form;
        LIVE.values().removeIf(capture -> capture.get() == null);
        LIVE.put(address, new WeakReference<>(this));
    }

    /** The layer at this address of C++; null if there is none, or its Java object is gone. */
    static LayerCapture at(long address) {
        WeakReference<LayerCapture> found = LIVE.get(address);
        LayerCapture capture = found == null ? null : found.get();
        return capture == null || capture.module.isNull() ? null : capture;
    }

    void activation(Activation value) {
        checkMayChange("activation", value);
        activation = value;
    }

    void output(OutputModel value) {
        checkMayChange("output", value);
        output = value;
    }

    void options(LayerOptions value) {
        checkMayChange("options", value);
        options = value;
    }

    private void checkMayChange(String what, Object value) {
        if (value == null) {
            throw new LngdArgumentException(what + " is null");
        }
        if (attached) {
            throw new LngdStateException(
                    what + " of a layer that LNGD is attached to: tell it before attach");
        }
    }

    /**
     * What LNGD is told of the layer. Without an activation it is the identity, which is right
     * where nothing is made of it: with gradients of targets drawn from the model.
     */
    LayerSpec spec(String name) {
        LayerSpec spec =
                form.spec(name)
                        .activation(activation == null ? Activation.IDENTITY : activation)
                        .options(options);
        return output == OutputModel.HIDDEN ? spec : spec.output(output);
    }

    /** Whether its activation is known: told, or the identity of a link function. */
    boolean knowsActivation() {
        return activation != null
                || output == OutputModel.SOFTMAX
                || output == OutputModel.SIGMOID
                || output == OutputModel.SOFTMAX_GAUSSIAN;
    }

    OutputModel output() {
        return output;
    }

    LayerForm form() {
        return form;
    }

    boolean training() {
        return module.is_training();
    }

    /** Called by the layer in each forward pass. */
    Tensor seen(Tensor input, Tensor result) {
        return due == null ? result : due.seen(this, input, null, result);
    }

    /**
     * The same of a layer that is told which positions count.
     *
     * @param rows true where one counts, with the axes of the output but its last; null: all count
     */
    Tensor seen(Tensor input, Tensor rows, Tensor result) {
        RowMask.check(rows, result);
        return due == null ? result : due.seen(this, input, rows, result);
    }

    /** From now on forward passes are remembered, or not (null). */
    void due(Passes value) {
        due = value;
    }

    boolean attached() {
        return attached;
    }

    void attach() {
        attached = true;
    }

    void detach() {
        attached = false;
        due = null;
    }
}
