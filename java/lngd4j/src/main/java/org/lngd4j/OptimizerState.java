// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.ref.Reference;
import org.bytedeco.javacpp.BytePointer;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_optimizer;

/** What an {@link LngdOptimizer} saves and goes back to: its state, and how long its run is. */
abstract class OptimizerState {
    /** What every JVM can allocate. */
    static final int LARGEST_ARRAY = Integer.MAX_VALUE - 8;

    private static final int CHUNK = 1 << 20;

    final OptimizerHandle handle;
    ScheduledSettings scheduled;
    private final LngdOptions made;
    private LngdOptions options;
    private long extension;

    OptimizerState(LngdOptions options, lngd_optimizer pointer) {
        this.made = options;
        this.options = options;
        this.scheduled = new ScheduledSettings(options);
        this.handle = new OptimizerHandle(pointer);
    }

    /**
     * The size of a saved state. It depends on options and layers only.
     *
     * @return bytes
     */
    public long stateSize() {
        long[] size = new long[1];
        call(optimizer -> lngd.lngd_state_size(optimizer, size));
        return size[0];
    }

    /**
     * Everything that the next steps depend on, as bytes: averages, inverses, momentum, counters,
     * settings. Restored into an optimizer of the same options and layers on the same backend,
     * training goes on with the same bits.
     *
     * @return the state
     * @throws LngdStateException between {@link LngdOptimizer#observe} and the step, while averages
     *     are swapped in, and where a Java array cannot hold the state: {@link
     *     #saveState(OutputStream)} can write it
     */
    public byte[] saveState() {
        long size = stateSize();
        if (size > LARGEST_ARRAY) {
            throw new LngdStateException(
                    "the state has "
                            + size
                            + " bytes, more than a Java array can hold: write it to a stream");
        }
        byte[] state = new byte[(int) size];
        try (BytePointer buffer = saved(size)) {
            buffer.get(state);
        }
        return state;
    }

    /**
     * Writes what {@link #saveState()} gives, of any size. It is put together in native memory
     * first, so that nothing is written where saving is refused.
     *
     * @param out where to; not closed
     * @throws IOException if it cannot be written
     * @throws LngdStateException between {@link LngdOptimizer#observe} and the step, and while
     *     averages are swapped in
     */
    public void saveState(OutputStream out) throws IOException {
        Check.notNull("out", out);
        long size = stateSize();
        byte[] chunk = new byte[(int) Math.min(CHUNK, size)];
        try (BytePointer buffer = saved(size)) {
            for (long at = 0; at < size; at += chunk.length) {
                int length = (int) Math.min(chunk.length, size - at);
                buffer.position(at).get(chunk, 0, length);
                out.write(chunk, 0, length);
            }
        }
    }

    private BytePointer saved(long size) {
        BytePointer buffer = new BytePointer(size);
        try {
            long[] written = new long[1];
            call(optimizer -> lngd.lngd_state_save(optimizer, buffer, size, written));
            return buffer;
        } catch (RuntimeException e) {
            buffer.close();
            throw e;
        }
    }

    /**
     * Goes back to a saved state, of a run that was not extended. Plans stay valid.
     *
     * @param state what {@link #saveState()} gave
     * @throws org.lngd4j.nativelib.LngdStateDataException if the data are truncated, corrupt, or of
     *     another version or configuration; nothing is changed then
     */
    public void restoreState(byte[] state) {
        restoreState(state, 0);
    }

    /**
     * Goes back to a saved state. Plans stay valid.
     *
     * @param state what {@link #saveState()} gave
     * @param extension what {@link #extension()} gave when it was saved; schedules go by it
     * @throws org.lngd4j.nativelib.LngdStateDataException if the data are truncated, corrupt, or of
     *     another version or configuration; nothing is changed then
     * @throws org.lngd4j.nativelib.LngdArgumentException if the options that this optimizer was
     *     made with cannot be extended by so many steps
     */
    public void restoreState(byte[] state, long extension) {
        try {
            restoreState(new ByteArrayInputStream(Check.notNull("state", state)), extension);
        } catch (IOException e) { // not from an array
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Goes back to a saved state of any size. Plans stay valid.
     *
     * @param state what {@link #saveState(OutputStream)} wrote, and nothing behind it; read to its
     *     end, not closed
     * @param extension what {@link #extension()} gave when it was saved; schedules go by it
     * @throws IOException if it cannot be read; nothing is changed then
     * @throws org.lngd4j.nativelib.LngdStateDataException if the data are truncated, corrupt, or of
     *     another version or configuration; nothing is changed then
     * @throws org.lngd4j.nativelib.LngdArgumentException if the options that this optimizer was
     *     made with cannot be extended by so many steps
     */
    public void restoreState(InputStream state, long extension) throws IOException {
        Check.notNull("state", state);
        LngdOptions then = extendedBy(Check.atLeast("extension", extension, 0L));
        // One byte more than there should be: a longer state is refused, not cut.
        long most = stateSize() + 1;
        try (BytePointer buffer = new BytePointer(most)) {
            long bytes = fill(buffer, most, state);
            buffer.position(0);
            call(optimizer -> lngd.lngd_state_restore(optimizer, buffer, bytes));
        }
        follow(then, extension);
    }

    private static long fill(BytePointer buffer, long most, InputStream in) throws IOException {
        byte[] chunk = new byte[(int) Math.min(CHUNK, most)];
        long at = 0;
        while (at < most) {
            int length = in.readNBytes(chunk, 0, (int) Math.min(chunk.length, most - at));
            if (length == 0) {
                break;
            }
            buffer.position(at).put(chunk, 0, length);
            at += length;
        }
        return at;
    }

    /** Of what this was made with, so that several extensions and one of their sum are the same. */
    final LngdOptions extendedBy(long steps) {
        return steps == 0 ? made : made.extended(steps);
    }

    /** Schedules by these options; each setting that has one is set anew. */
    final void follow(LngdOptions changed, long by) {
        options = changed;
        extension = by;
        scheduled = new ScheduledSettings(changed);
    }

    /**
     * By how many steps {@link LngdOptimizer#extend} has made the run longer.
     *
     * @return their sum; 0 where it was not called
     */
    public long extension() {
        return extension;
    }

    /**
     * The options that this optimizer was made with, or that {@link LngdOptimizer#extend} has made
     * of them.
     *
     * @return the options; settings changed since are told by {@link LngdOptimizer#get}
     */
    public LngdOptions options() {
        return options;
    }

    /** A native call that takes the handle and gives a status. */
    interface Call {
        int on(lngd_optimizer optimizer);
    }

    /** The door, the call and the check, for everything that is not called in every step. */
    void call(Call call) {
        lngd_optimizer optimizer = handle.enter();
        try {
            Status.check(call.on(optimizer));
        } finally {
            handle.exit();
        }
        Reference.reachabilityFence(this);
    }
}
