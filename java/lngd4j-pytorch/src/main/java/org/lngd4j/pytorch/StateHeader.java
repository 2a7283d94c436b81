// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import org.lngd4j.nativelib.LngdStateDataException;

/**
 * What stands before the library's state in that of an attachment.
 *
 * @param steps steps done
 * @param epoch epochs that the user has told
 * @param told where the schedule of the options ended
 * @param extension by how many steps the run was extended since
 */
record StateHeader(long steps, int epoch, long told, long extension) {
    private static final int MAGIC = 0x4C4E4754;

    /** Format 1 had no length: its runs were never extended. */
    private static final int FORMAT = 2;

    void write(OutputStream to) throws IOException {
        DataOutputStream out = new DataOutputStream(to);
        out.writeInt(MAGIC);
        out.writeInt(FORMAT);
        out.writeLong(steps);
        out.writeInt(epoch);
        out.writeLong(told);
        out.writeLong(extension);
        out.flush();
    }

    /**
     * Reads no byte more than it has.
     *
     * @param told where the schedule of the options here ends
     */
    static StateHeader read(InputStream from, long told) throws IOException {
        try {
            DataInputStream in = new DataInputStream(from);
            if (in.readInt() != MAGIC) {
                throw new LngdStateDataException(
                        "the state does not begin as one of LngdTorch does");
            }
            int format = in.readInt();
            if (format < 1 || format > FORMAT) {
                throw new LngdStateDataException(
                        "the state has the format " + format + ", allowed is 1 to " + FORMAT);
            }
            StateHeader header =
                    new StateHeader(
                            in.readLong(),
                            in.readInt(),
                            format == 1 ? told : in.readLong(),
                            format == 1 ? 0 : in.readLong());
            header.check(told);
            return header;
        } catch (EOFException e) {
            throw new LngdStateDataException("the state ends within its header: truncated");
        }
    }

    private void check(long toldHere) {
        if (extension < 0 || extension > 0 && told != toldHere) {
            throw new LngdStateDataException(
                    "the state is of a run that was told "
                            + told
                            + " steps and extended by "
                            + extension
                            + "; the options here tell "
                            + toldHere
                            + ", allowed are those of that run");
        }
    }
}
