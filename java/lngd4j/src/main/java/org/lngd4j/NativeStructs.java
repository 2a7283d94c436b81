// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.lngd4j.nativelib.NativeLibrary;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_layer_config;
import org.lngd4j.nativelib.global.lngd_optimizer;

/** Fills the structs of the C ABI. */
final class NativeStructs {
    private static final int REASON_BYTES = 512;

    private NativeStructs() {}

    static lngd_optimizer create(LngdOptions options, List<LayerSpec> layers) {
        try (lngd_config config = new lngd_config();
                lngd_layer_config specs = new lngd_layer_config(layers.size())) {
            options.values.write(config);
            DeviceChoice choice = DeviceChoice.of(options.device(), config).tell();
            config.device(choice.device().code());
            write(layers, specs);
            lngd_optimizer made = new lngd_optimizer();
            Status.check(lngd.lngd_create(config, specs, layers.size(), made));
            return made;
        }
    }

    static OptionValues recommend(List<LayerSpec> layers, long totalSteps, int batch) {
        Check.layers(layers);
        NativeLibrary.load();
        try (lngd_config config = new lngd_config();
                lngd_layer_config specs = new lngd_layer_config(layers.size());
                BytePointer reason = new BytePointer(REASON_BYTES)) {
            write(layers, specs);
            Status.check(
                    lngd.lngd_recommend(
                            specs, layers.size(), totalSteps, batch, config, reason, REASON_BYTES));
            reason.limit(0); // its text ends at the NUL, not at the end of the buffer
            return OptionValues.recommended(config, totalSteps, Status.text(reason));
        }
    }

    /** Leaves {@code specs} at its first struct. */
    private static void write(List<LayerSpec> layers, lngd_layer_config specs) {
        for (int i = 0; i < layers.size(); i++) {
            LayerSpec layer = layers.get(i);
            lngd_layer_config c = specs.position(i);
            start(layer, c);
            c.bias(layer.bias() ? 1 : 0)
                    .activation(layer.activation().code())
                    .output(layer.output().code());
            c.activation_parameter(layer.activationParameter());
            c.fisher(layer.fisher() == null ? -1 : layer.fisher().code());
        }
        specs.position(0);
    }

    private static void start(LayerSpec layer, lngd_layer_config c) {
        ParameterRule rule = layer.parameter();
        if (rule != null) {
            Status.check(lngd.lngd_parameter_init(layer.inputs(), c));
            c.method(rule.method().code()).learning_rate(rule.learningRate());
            c.weight_decay(rule.weightDecay()).beta1(rule.beta1()).beta2(rule.beta2());
            c.epsilon(rule.epsilon()).momentum(rule.momentum());
            return;
        }
        Convolution conv = layer.convolution();
        if (layer.embedding()) {
            Status.check(lngd.lngd_embedding_init(layer.inputs(), layer.outputs(), c));
            return;
        }
        if (conv == null) {
            Status.check(lngd.lngd_layer_init(layer.inputs(), layer.outputs(), c));
            return;
        }
        int[] kernel = conv.axes().stream().mapToInt(Convolution.Axis::kernel).toArray();
        Status.check(
                lngd.lngd_conv_init(kernel.length, layer.inputs(), layer.outputs(), kernel, c));
        for (int i = 0; i < kernel.length; i++) {
            Convolution.Axis axis = conv.axes().get(i);
            c.stride(i, axis.stride())
                    .padding_before(i, axis.before())
                    .padding_after(i, axis.after())
                    .dilation(i, axis.dilation());
        }
        c.padding(conv.same() ? lngd.LNGD_PADDING_SAME : lngd.LNGD_PADDING_EXPLICIT);
        c.groups(conv.groups());
    }

    /** Where an optimizer runs. */
    static Device device(lngd_optimizer optimizer) {
        try (lngd_config config = new lngd_config()) {
            config.struct_size(config.sizeof());
            Status.check(lngd.lngd_get_config(optimizer, config));
            return Codes.of(Device.values(), Device::code, config.device());
        }
    }
}
