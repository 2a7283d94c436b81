// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.nativelib.LngdStateDataException;

/**
 * Parameters and buffers of a module as bytes, of any size: for each its name, type, shape and
 * numbers in the order of the host, then a checksum. PyTorch's own archive was rejected: it is made
 * in memory as a whole.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class Weights {
    private static final int CHUNK = 1 << 16;

    private Weights() {}

    static void write(Module module, DataOutputStream out) throws IOException {
        CRC32C crc = new CRC32C();
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            write(module.named_parameters(), out, crc);
            write(module.named_buffers(), out, crc);
        }
        out.writeLong(crc.getValue());
    }

    /** Bytes of the parameters. */
    static long bytes(Module module) {
        long sum = 0;
        try (PointerScope scope = new PointerScope()) {
            TensorVector parameters = module.parameters();
            for (long i = 0; i < parameters.size(); i++) {
                sum += parameters.get(i).nbytes();
            }
        }
        return sum;
    }

    /** A checksum of the parameters. Buffers differ between ranks: each has its own averages. */
    static long checksum(Module module) {
        CRC32C crc = new CRC32C();
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            write(
                    module.named_parameters(),
                    new DataOutputStream(OutputStream.nullOutputStream()),
                    crc);
        } catch (IOException e) { // not to nowhere
            throw new UncheckedIOException(e);
        }
        return crc.getValue();
    }

    private static void write(StringTensorDict tensors, DataOutputStream out, CRC32C crc)
            throws IOException {
        out.writeInt(Math.toIntExact(tensors.size()));
        byte[] chunk = new byte[CHUNK];
        for (long i = 0; i < tensors.size(); i++) {
            Tensor t = tensors.get(i).access().detach().contiguous();
            out.writeUTF(tensors.get(i).key().getString());
            out.writeUTF(kind(t));
            long bytes = t.nbytes();
            try (BytePointer data = new BytePointer(t.data_ptr())) {
                for (long at = 0; at < bytes; at += CHUNK) {
                    int length = (int) Math.min(CHUNK, bytes - at);
                    data.position(at).get(chunk, 0, length);
                    crc.update(chunk, 0, length);
                    out.write(chunk, 0, length);
                }
            }
        }
    }

    /**
     * Reads them into a module of the same kind.
     *
     * @throws LngdStateDataException if they are damaged, or those of another module; some may have
     *     been changed then
     */
    static void read(Module module, DataInputStream in) throws IOException {
        CRC32C crc = new CRC32C();
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            read(module.named_parameters(), in, crc);
            read(module.named_buffers(), in, crc);
        }
        if (in.readLong() != crc.getValue()) {
            throw new LngdStateDataException("the weights are damaged: their checksum is wrong");
        }
    }

    private static void read(StringTensorDict tensors, DataInputStream in, CRC32C crc)
            throws IOException {
        int count = in.readInt();
        if (count != tensors.size()) {
            throw new LngdStateDataException(
                    "the weights are those of a module with "
                            + count
                            + " tensors, this one has "
                            + tensors.size());
        }
        byte[] chunk = new byte[CHUNK];
        for (long i = 0; i < count; i++) {
            Tensor t = tensors.get(i).access().detach();
            String name = tensors.get(i).key().getString();
            String of = in.readUTF() + " " + in.readUTF();
            if (!of.equals(name + " " + kind(t))) {
                throw new LngdStateDataException(
                        "the weights have "
                                + of
                                + " where this module has "
                                + name
                                + " "
                                + kind(t));
            }
            Tensor compact = t.is_contiguous() ? t : torch.empty_like(t).contiguous();
            long bytes = compact.nbytes();
            try (BytePointer data = new BytePointer(compact.data_ptr())) {
                for (long at = 0; at < bytes; at += CHUNK) {
                    int length = (int) Math.min(CHUNK, bytes - at);
                    in.readFully(chunk, 0, length);
                    crc.update(chunk, 0, length);
                    data.position(at).put(chunk, 0, length);
                }
            }
            if (compact != t) {
                t.copy_(compact);
            }
        }
    }

    private static String kind(Tensor t) {
        long[] shape = new long[Math.toIntExact(t.dim())];
        Arrays.setAll(shape, t::size);
        return t.scalar_type().intern() + " " + Arrays.toString(shape);
    }
}
