// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_layer_config;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_tensor;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Fills the structs of the C ABI. */
final class NativeStructs {
    /** DLPack's kDLCPU. */
    private static final int DEVICE_CPU = 1;

    /** DLPack's kDLFloat. */
    private static final byte CODE_FLOAT = 2;

    private NativeStructs() {}

    static lngd_optimizer create(LngdOptions options, List<LayerSpec> layers) {
        try (lngd_config config = new lngd_config();
                lngd_layer_config specs = new lngd_layer_config(layers.size())) {
            options.values.write(config);
            for (int i = 0; i < layers.size(); i++) {
                LayerSpec layer = layers.get(i);
                lngd_layer_config c = specs.position(i);
                Status.check(lngd.lngd_layer_init(layer.inputs(), layer.outputs(), c));
                c.bias(layer.bias() ? 1 : 0)
                        .activation(layer.activation().code())
                        .output(layer.output().code());
                c.activation_parameter(layer.activationParameter());
                c.fisher(layer.fisher() == null ? -1 : layer.fisher().code());
            }
            lngd_optimizer made = new lngd_optimizer();
            Status.check(lngd.lngd_create(config, specs.position(0), layers.size(), made));
            return made;
        }
    }

    /** A tensor struct with the memory of its shape and strides. */
    record Tensor(lngd_tensor struct, LongPointer extents) implements AutoCloseable {
        @Override
        public void close() {
            struct.close();
            extents.close();
        }
    }

    /** A tensor of an array that was checked. The array must be kept reachable by the caller. */
    static Tensor tensor(INDArray a) {
        Tensor tensor = new Tensor(new lngd_tensor(), new LongPointer(2L * a.rank()));
        fill(tensor.struct, tensor.extents, a.rank());
        for (int i = 0; i < a.rank(); i++) {
            tensor.extents.put(i, a.size(i));
            tensor.extents.put(a.rank() + (long) i, a.stride(i));
        }
        tensor.struct.data(new AddressPointer().at(Views.address(a)));
        return tensor;
    }

    /**
     * Everything but the address and the extents: {@code rank} sizes, then {@code rank} strides, to
     * be put by the caller.
     */
    static void fill(lngd_tensor struct, LongPointer extents, int rank) {
        Pointer.memset(struct, 0, struct.sizeof());
        struct.device_type(DEVICE_CPU).ndim(rank);
        struct.dtype_code(CODE_FLOAT).dtype_bits((byte) Float.SIZE).dtype_lanes((short) 1);
        struct.shape(extents);
        extents.position(rank);
        struct.strides(extents);
        extents.position(0);
    }
}
