// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Vectors of floats in files: the length as a long, then the floats, big-endian. ND4J's own binary
 * form was tried: its reader takes the JVM down on damaged data.
 */
public final class FloatVectors {
    private FloatVectors() {}

    /** Writes a float vector, [n] or [1, n]. */
    public static void write(INDArray vector, DataOutputStream out) throws IOException {
        float[] values = vector.toFloatVector();
        ByteBuffer bytes = ByteBuffer.allocate(Math.multiplyExact(values.length, Float.BYTES));
        bytes.asFloatBuffer().put(values);
        out.writeLong(values.length);
        out.write(bytes.array());
    }

    /**
     * Reads a vector as [1, n].
     *
     * @throws IOException where there are fewer numbers than promised
     */
    public static INDArray read(DataInputStream in) throws IOException {
        long length = in.readLong();
        if (length < 1 || length > Integer.MAX_VALUE / Float.BYTES) {
            throw new IOException("a vector of " + length + " numbers");
        }
        byte[] bytes = in.readNBytes((int) length * Float.BYTES);
        if (bytes.length < length * Float.BYTES) {
            throw new IOException(
                    "a vector ends after "
                            + bytes.length / Float.BYTES
                            + " of "
                            + length
                            + " numbers");
        }
        float[] values = new float[(int) length];
        ByteBuffer.wrap(bytes).asFloatBuffer().get(values);
        return Nd4j.createFromArray(new float[][] {values});
    }
}
