// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.global.lngd_tensor;

/** Tensors at fixed addresses: from addresses, from JavaCPP pointers, and from DLPack. */
class NativeTensorTest {
    private final FloatPointer memory = new FloatPointer(new Data(1).matrixOf(30));

    @Test
    void aPointerBeginsAtItsPosition() {
        NativeTensor t = NativeTensor.of(MemoryKind.HOST, 0, memory, 2, 3);
        assertThat(t.address()).isEqualTo(memory.address());
        assertThat(t.shape()).containsExactly(2, 3);
        assertThat(t.stride(0)).isEqualTo(3);
        assertThat(t.stride(1)).isEqualTo(1);
        memory.position(7);
        NativeTensor later = NativeTensor.of(MemoryKind.CUDA, 2, memory, 23);
        assertThat(later.address()).isEqualTo(memory.address() + 28);
        assertThat(later.deviceIndex()).isEqualTo(2);
        assertThat(later.toString()).contains("float32[23]", "CUDA:2");
        refused(() -> NativeTensor.of(MemoryKind.HOST, 0, memory, 24), "23", "24");
    }

    @Test
    void aPointerThatANativeFunctionFilledInHasNoCapacityToCheck() {
        FloatPointer filled = new AddressPointer().at(0x1000);
        assertThat(NativeTensor.of(MemoryKind.CUDA, 0, filled, 1000, 1000).address())
                .isEqualTo(0x1000);
    }

    @Test
    void aTransposedMatrixSharesItsMemory() {
        long[] shape = {4, 2};
        long[] strides = {5, -1};
        NativeTensor t = NativeTensor.strided(MemoryKind.CUDA, 1, 64, shape, strides).transpose();
        shape[0] = 99;
        strides[0] = 99;
        assertThat(t.shape()).containsExactly(2, 4);
        assertThat(t.stride(0)).isEqualTo(-1);
        assertThat(t.stride(1)).isEqualTo(5);
        assertThat(t.address()).isEqualTo(64);
        assertThat(t.deviceIndex()).isEqualTo(1);
        refused(() -> NativeTensor.at(MemoryKind.CUDA, 0, 64, 3).transpose(), "1");
    }

    @Test
    void whatCannotBeATensorIsRefused() {
        refused(() -> NativeTensor.at(MemoryKind.CUDA, 0, 0, 3), "address", "0");
        refused(() -> NativeTensor.at(MemoryKind.CUDA, -1, 64, 3), "device", "-1");
        refused(() -> NativeTensor.at(null, 0, 64, 3), "kind");
        refused(() -> NativeTensor.at(MemoryKind.CUDA, 0, 64), "number of sizes", "0");
        refused(() -> NativeTensor.at(MemoryKind.CUDA, 0, 64, new long[9]), "9", "8");
        refused(() -> NativeTensor.at(MemoryKind.CUDA, 0, 64, 3, 0), "[3, 0]");
        refused(() -> NativeTensor.at(MemoryKind.CUDA, 0, 64, (long[]) null), "shape");
        refused(() -> NativeTensor.at(MemoryKind.CUDA, 0, 64, 1L << 31, 1L << 31), "elements");
        long[] two = {2, 2};
        refused(
                () -> NativeTensor.strided(MemoryKind.CUDA, 0, 64, two, new long[] {1}),
                "strides",
                "1");
        refused(() -> NativeTensor.of(MemoryKind.HOST, 0, null, 1), "memory");
        refused(() -> NativeTensor.of(MemoryKind.HOST, 0, new FloatPointer(), 1), "null pointer");
    }

    @Test
    void aManagedTensorOfAnotherFrameworkIsRead() {
        try (Dlpack source = new Dlpack(0)) {
            NativeTensor t = NativeTensor.fromDlpack(source.managed);
            assertThat(t.address()).isEqualTo(memory.address() + 8);
            assertThat(t.shape()).containsExactly(2, 3);
            assertThat(t.stride(0)).isEqualTo(1);
            assertThat(t.stride(1)).isEqualTo(2);
            assertThat(t.kind()).isEqualTo(MemoryKind.CUDA_MANAGED);
            assertThat(t.deviceIndex()).isEqualTo(3);
            source.tensor.strides(null);
            NativeTensor compact = NativeTensor.fromDlpack(source.managed);
            assertThat(compact.stride(0)).isEqualTo(3);
            assertThat(compact.stride(1)).isEqualTo(1);
        }
    }

    @Test
    void aVersionedTensorIsReadBehindItsVersion() {
        try (Dlpack source = new Dlpack(32)) {
            new IntPointer(source.managed).put(0, 1).put(1, 1);
            NativeTensor t = NativeTensor.fromDlpackVersioned(source.managed);
            assertThat(t.address()).isEqualTo(memory.address() + 8);
            assertThat(t.shape()).containsExactly(2, 3);
            new IntPointer(source.managed).put(0, 2);
            refused(() -> NativeTensor.fromDlpackVersioned(source.managed), "version", "2.1");
        }
    }

    @Test
    void otherTensorsOfDlpackAreRefused() {
        try (Dlpack source = new Dlpack(0)) {
            source.tensor.dtype_bits((byte) 64);
            refused(() -> NativeTensor.fromDlpack(source.managed), "64 bits", "float32");
            source.tensor.dtype_bits((byte) 32).dtype_code((byte) 0);
            refused(() -> NativeTensor.fromDlpack(source.managed), "code 0");
            source.tensor.dtype_code((byte) 2).dtype_lanes((short) 4);
            refused(() -> NativeTensor.fromDlpack(source.managed), "4 lanes");
            source.tensor.dtype_lanes((short) 1).device_type(10);
            refused(() -> NativeTensor.fromDlpack(source.managed), "device type", "10");
            source.tensor.device_type(2).ndim(0);
            refused(() -> NativeTensor.fromDlpack(source.managed), "number of sizes", "0");
            source.tensor.ndim(2).data((Pointer) null).byte_offset(0);
            refused(() -> NativeTensor.fromDlpack(source.managed), "address");
        }
        refused(() -> NativeTensor.fromDlpack(null), "managed");
        refused(() -> NativeTensor.fromDlpackVersioned(new Pointer()), "null pointer");
    }

    private static void refused(ThrowingCallable call, String... words) {
        assertThatThrownBy(call)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContainingAll(words);
    }

    /** A struct of DLPack as another framework has it in memory, its DLTensor at an offset. */
    private final class Dlpack implements AutoCloseable {
        final BytePointer managed = new BytePointer(128);
        final lngd_tensor tensor;
        private final LongPointer shape = new LongPointer(2, 3);
        private final LongPointer strides = new LongPointer(1, 2);

        Dlpack(long offset) {
            Pointer.memset(managed, 0, 128);
            tensor = new lngd_tensor(new AddressPointer().at(managed.address() + offset));
            tensor.data(memory).byte_offset(8).device_type(13).device_id(3).ndim(2);
            tensor.dtype_code((byte) 2).dtype_bits((byte) 32).dtype_lanes((short) 1);
            tensor.shape(shape).strides(strides);
        }

        @Override
        public void close() {
            managed.close();
            shape.close();
            strides.close();
        }
    }
}
