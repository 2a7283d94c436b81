// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.nativelib.LngdStateDataException;
import org.lngd4j.nativelib.LngdStateException;

/**
 * An optimizer's state as bytes, big-endian: magic, format, optimizer, learning rate, number of
 * parameters; for each its name, method, steps, and the tensors by rows; at the end a CRC-32 of
 * everything before.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class OptimizerState {
    private static final int MAGIC = 0x4C4E4F50;
    private static final int FORMAT = 1;

    private OptimizerState() {}

    static byte[] write(String optimizer, double learningRate, List<ParameterStep> steps) {
        long size = 3L * Integer.BYTES + length(optimizer) + Double.BYTES + Long.BYTES;
        for (ParameterStep step : steps) {
            size += length(step.name()) + length(step.method()) + Long.BYTES + Integer.BYTES;
            for (Tensor t : step.state()) {
                size += Long.BYTES + t.numel() * Float.BYTES;
            }
        }
        if (size > Integer.MAX_VALUE) {
            throw new LngdStateException(
                    "the state has " + size + " bytes; allowed are " + Integer.MAX_VALUE);
        }
        ByteBuffer out = ByteBuffer.allocate((int) size).putInt(MAGIC).putInt(FORMAT);
        put(out, optimizer);
        out.putDouble(learningRate).putInt(steps.size());
        for (ParameterStep step : steps) {
            put(out, step.name());
            put(out, step.method());
            out.putLong(step.count()).putInt(step.state().size());
            step.state().forEach(t -> put(out, t));
        }
        return out.putLong(checksum(out.array())).array();
    }

    private static int length(String text) {
        return Integer.BYTES + text.getBytes(StandardCharsets.UTF_8).length;
    }

    private static void put(ByteBuffer out, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.putInt(bytes.length).put(bytes);
    }

    private static void put(ByteBuffer out, Tensor tensor) {
        try (PointerScope scope = new PointerScope()) {
            float[] values = new float[Math.toIntExact(tensor.numel())];
            new FloatPointer(tensor.cpu().contiguous().data_ptr()).get(values);
            out.putLong(values.length);
            out.asFloatBuffer().put(values);
            out.position(out.position() + values.length * Float.BYTES);
        }
    }

    private static long checksum(byte[] state) {
        CRC32 crc = new CRC32();
        crc.update(state, 0, state.length - Long.BYTES);
        return crc.getValue();
    }

    /** Reads all, then changes; gives the learning rate. */
    static double read(byte[] state, String optimizer, List<ParameterStep> steps) {
        ByteBuffer in = ByteBuffer.wrap(state);
        if (state.length < 3 * Integer.BYTES + Long.BYTES || in.getInt() != MAGIC) {
            throw new LngdStateDataException(
                    "the state has "
                            + state.length
                            + " bytes and does not begin as one of this package");
        }
        if (in.getLong(state.length - Long.BYTES) != checksum(state)) {
            throw new LngdStateDataException("the state is damaged: its checksum is another");
        }
        expect("format", in.getInt(), FORMAT);
        List<Long> counts = new ArrayList<>();
        List<float[]> values = new ArrayList<>();
        double learningRate;
        try {
            expect("optimizer", text(in), optimizer);
            learningRate = in.getDouble();
            expect("number of parameters", in.getInt(), steps.size());
            for (ParameterStep step : steps) {
                expect("next parameter", text(in), step.name());
                expect("method of " + step.name(), text(in), step.method());
                counts.add(in.getLong());
                expect("number of tensors of " + step.name(), in.getInt(), step.state().size());
                for (Tensor t : step.state()) {
                    expect("numbers of a tensor of " + step.name(), in.getLong(), t.numel());
                    values.add(floats(in, Math.toIntExact(t.numel())));
                }
            }
        } catch (BufferUnderflowException e) {
            throw new LngdStateDataException("the state ends too early");
        }
        apply(steps, counts, values);
        return learningRate;
    }

    private static void expect(String what, Object seen, Object allowed) {
        if (!seen.equals(allowed)) {
            throw new LngdStateDataException(
                    "the state's " + what + " is " + seen + "; allowed is " + allowed);
        }
    }

    private static String text(ByteBuffer in) {
        int length = in.getInt();
        if (length < 0 || length > in.remaining()) {
            throw new LngdStateDataException("the state has a text of " + length + " bytes");
        }
        byte[] bytes = new byte[length];
        in.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static float[] floats(ByteBuffer in, int count) {
        float[] values = new float[count];
        in.asFloatBuffer().get(values);
        in.position(in.position() + count * Float.BYTES);
        return values;
    }

    private static void apply(List<ParameterStep> steps, List<Long> counts, List<float[]> values) {
        int next = 0;
        for (int i = 0; i < steps.size(); i++) {
            steps.get(i).count(counts.get(i));
            for (Tensor t : steps.get(i).state()) {
                try (PointerScope scope = new PointerScope();
                        NoGradGuard guard = new NoGradGuard()) {
                    FloatPointer memory = new FloatPointer(values.get(next++));
                    t.copy_(torch.from_blob(memory, t.numel()).view(t.sizes()));
                }
            }
        }
    }
}
