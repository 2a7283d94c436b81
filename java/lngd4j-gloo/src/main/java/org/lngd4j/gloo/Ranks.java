// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BroadcastOptions;
import org.bytedeco.pytorch.ProcessGroup;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.Work;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.MemoryKind;
import org.lngd4j.SumBuffers;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;

/**
 * The processes that train one model together, and the collectives between them: PyTorch's process
 * group with Gloo as its backend, over TCP and in host memory. Each process has a rank, from 0, and
 * all of them call the same methods in the same order. An all-reduce gives all ranks the same bits,
 * and the same from run to run with the same number of ranks: Gloo adds in a fixed order.
 *
 * <pre>{@code
 * Rendezvous file = Rendezvous.file(Path.of("/tmp/run-17")); // the same on all ranks
 * try (Ranks ranks = Ranks.connect(file, rank, 2, Duration.ofMinutes(5));
 *         LngdTorch lngd = LngdTorch.attach(model, options, ParameterRule.adamW(), ranks)) {
 *     // train
 * }
 * }</pre>
 *
 * <p>A collective whose partner is dead or hangs throws {@link RanksException}, at the latest after
 * the timeout. From then on the object is of no use, and its connections are closed, so that the
 * other ranks know of it at once.
 *
 * <p>Gloo speaks plain TCP: <b>no authentication, no encryption</b>. Whoever reaches the port can
 * read and change what is trained. Gloo listens on one address only, of the loopback interface
 * unless another is named: use it in a network of your own.
 *
 * <p>Not thread-safe.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
public final class Ranks implements AutoCloseable {
    /** The address that Gloo listens on where none is named: other machines cannot reach it. */
    public static final String LOOPBACK = "127.0.0.1";

    /**
     * Those that are open, so that the garbage collector leaves them alone. It frees in any order,
     * and a process group that is freed after its store damages the heap of the process (seen with
     * PyTorch 2.10 of the presets): what nobody closes is rather kept.
     */
    private static final Set<Ranks> OPEN = ConcurrentHashMap.newKeySet();

    private final int rank;
    private final int size;
    private final Duration timeout;
    private Connection connection; // null: closed
    private String broken; // why it is of no use; null: it is
    private long calls;
    private long bytes;
    private long nanos;

    private Ranks(int rank, int size, Duration timeout, Connection connection) {
        this.rank = rank;
        this.size = size;
        this.timeout = timeout;
        this.connection = connection;
        OPEN.add(this);
    }

    /**
     * Connects ranks of one machine: {@link #connect(Rendezvous, int, int, Duration, String)} with
     * {@link #LOOPBACK}.
     *
     * @param rendezvous where ranks find each other
     * @param rank this process, from 0
     * @param size how many there are
     * @param timeout of each collective
     * @return the ranks; close them
     */
    public static Ranks connect(Rendezvous rendezvous, int rank, int size, Duration timeout) {
        return connect(rendezvous, rank, size, timeout, LOOPBACK);
    }

    /**
     * Connects this process with all others. Returns when all are there.
     *
     * @param rendezvous where ranks find each other; the same on all
     * @param rank this process, 0 to {@code size} - 1
     * @param size how many processes train together, at least 1
     * @param timeout of connecting, and then of each collective: at least a millisecond. It has to
     *     be longer than the time by which a rank may come later than another, as with the forward
     *     and backward pass of a large share
     * @param bind the name or address of this machine, or the name of a network interface, that
     *     Gloo listens on; other ranks must reach it. Never all interfaces
     * @return the ranks; close them
     * @throws LngdArgumentException if an argument is out of its range, or {@code bind} is no
     *     address of this machine or stands for all of them
     * @throws RanksException if not all ranks come within the timeout
     */
    public static Ranks connect(
            Rendezvous rendezvous, int rank, int size, Duration timeout, String bind) {
        if (rendezvous == null) {
            throw new LngdArgumentException("rendezvous is null");
        }
        if (size < 1) {
            throw new LngdArgumentException("size is " + size + ", allowed is 1 or more");
        }
        if (rank < 0 || rank >= size) {
            throw new LngdArgumentException("rank is " + rank + ", allowed is 0 to " + (size - 1));
        }
        if (timeout == null || timeout.toMillis() < 1) {
            throw new LngdArgumentException(
                    "timeout is " + timeout + ", allowed is a millisecond or more");
        }
        GlooAddress address = GlooAddress.of(bind);
        try {
            return new Ranks(rank, size, timeout, rendezvous.connect(address, rank, size, timeout));
        } catch (RuntimeException e) {
            throw new RanksException(
                    "rank "
                            + rank
                            + " of "
                            + size
                            + " could not connect at "
                            + rendezvous
                            + " within "
                            + timeout
                            + ": "
                            + firstLine(e),
                    e);
        }
    }

    /**
     * Makes sure that Gloo can listen there, as {@link #connect} does.
     *
     * @param bind the name or address of this machine, or the name of a network interface
     * @throws LngdArgumentException if it is no address of this machine or stands for all of them
     */
    public static void checkBind(String bind) {
        GlooAddress.of(bind);
    }

    /**
     * This process.
     *
     * @return its rank, 0 to {@code size()} - 1
     */
    public int rank() {
        return rank;
    }

    /**
     * The world size.
     *
     * @return how many processes train together
     */
    public int size() {
        return size;
    }

    /**
     * All-reduce: adds the tensors of all ranks, element by element, in place.
     *
     * @param tensor contiguous, in host memory, of the same type and shape on all ranks
     * @throws LngdArgumentException if it is not
     * @throws RanksException if the collective fails; the tensor may be half written then
     */
    public void sum(Tensor tensor) {
        check(tensor);
        run(
                "the all-reduce of " + tensor.numel() + " numbers",
                tensor.nbytes(),
                group -> group.allreduce(new TensorVector(tensor)));
    }

    /**
     * All-reduce of the sums of an optimizer, in place, without a copy: between {@code closeSums()}
     * and {@code sumsReduced()}.
     *
     * @param sums buffers in host memory, of the same lengths on all ranks
     * @throws LngdArgumentException if they are on a device
     * @throws RanksException if the collective fails; discard the sums then
     */
    public void sum(SumBuffers sums) {
        if (sums == null || sums.kind() != MemoryKind.HOST) {
            throw new LngdArgumentException(
                    "sums are "
                            + (sums == null ? "null" : "in memory of kind " + sums.kind())
                            + ", allowed is HOST");
        }
        try (PointerScope scope = new PointerScope()) {
            if (sums.floatCount() > 0) {
                sum(view(sums.floats(), sums.floatCount(), torch.ScalarType.Float));
            }
            if (sums.doubleCount() > 0) {
                sum(view(sums.doubles(), sums.doubleCount(), torch.ScalarType.Double));
            }
        }
    }

    private static Tensor view(Pointer at, long count, torch.ScalarType type) {
        return torch.from_blob(at, new long[] {count}, new TensorOptions(type));
    }

    /**
     * Broadcast: gives all ranks the tensor of one, in place.
     *
     * @param tensor contiguous, in host memory, of the same type and shape on all ranks
     * @param root the rank whose numbers all get
     * @throws LngdArgumentException if an argument is not as said
     * @throws RanksException if the collective fails; the tensor may be half written then
     */
    public void broadcast(Tensor tensor, int root) {
        check(tensor);
        if (root < 0 || root >= size) {
            throw new LngdArgumentException("root is " + root + ", allowed is 0 to " + (size - 1));
        }
        run(
                "the broadcast of " + tensor.numel() + " numbers",
                tensor.nbytes(),
                group ->
                        group.broadcast(
                                new TensorVector(tensor), new BroadcastOptions().rootRank(root)));
    }

    /**
     * All-gather of short texts, such as addresses.
     *
     * @param text of this rank, of any length
     * @return those of all ranks, by rank
     * @throws RanksException if the collective fails
     */
    public List<String> gather(String text) {
        if (text == null) {
            throw new LngdArgumentException("text is null");
        }
        byte[] own = text.getBytes(StandardCharsets.UTF_8);
        try (PointerScope scope = new PointerScope()) {
            long[] lengths = new long[size];
            lengths[rank] = own.length;
            Tensor counts = Tensor.create(lengths);
            sum(counts);
            new LongPointer(counts.data_ptr()).get(lengths);
            long longest = 1;
            for (long length : lengths) {
                longest = Math.max(longest, length);
            }
            TensorOptions type = new TensorOptions(torch.ScalarType.Byte);
            Tensor mine = torch.zeros(new long[] {1, longest}, type);
            new BytePointer(mine.data_ptr()).put(own, 0, own.length);
            Tensor all = torch.zeros(new long[] {size, longest}, type);
            run("the all-gather of a text", longest, group -> group._allgather_base(all, mine));
            List<String> texts = new ArrayList<>();
            BytePointer data = new BytePointer(all.data_ptr());
            for (int r = 0; r < size; r++) {
                byte[] of = new byte[Math.toIntExact(lengths[r])];
                data.position(r * longest).get(of, 0, of.length);
                texts.add(new String(of, StandardCharsets.UTF_8));
            }
            return texts;
        }
    }

    /**
     * Makes sure that all ranks have the same facts, such as options and versions. Hashes are
     * exchanged, and the facts themselves only where they differ.
     *
     * @param facts name and value, in a fixed order
     * @throws LngdArgumentException on all ranks, where one differs from rank 0; the message says
     *     which and in what
     * @throws RanksException if the collective fails
     */
    public void agree(Map<String, String> facts) {
        if (facts == null) {
            throw new LngdArgumentException("facts are null");
        }
        String text = Agreement.text(facts);
        String hash = Agreement.hash(text);
        if (Collections.frequency(gather(hash), hash) < size) {
            throw new LngdArgumentException(
                    "the ranks differ, allowed is the same on all of them: "
                            + Agreement.differences(gather(text)));
        }
    }

    /**
     * What the collectives have cost so far.
     *
     * @return counts since the ranks connected
     */
    public CollectiveTimes times() {
        return new CollectiveTimes(calls, bytes, nanos);
    }

    /**
     * Gives up on purpose: closes the connections, so that the other ranks' next collective fails
     * at once, and not at the timeout. For a rank that cannot go on.
     *
     * @param why the reason, which later calls here tell
     */
    public void abandon(String why) {
        if (broken == null && connection != null) {
            broken = why;
            connection.disconnect();
        }
    }

    private void check(Tensor tensor) {
        checkUsable();
        if (tensor == null || !tensor.defined()) {
            throw new LngdArgumentException("tensor is null or not defined");
        }
        if (!tensor.device().is_cpu() || !tensor.is_contiguous()) {
            throw new LngdArgumentException(
                    "tensor is "
                            + (tensor.is_contiguous() ? "" : "not contiguous and ")
                            + "on "
                            + tensor.device().str().getString()
                            + ", allowed is a contiguous one on cpu");
        }
    }

    private void checkUsable() {
        if (connection == null) {
            throw new LngdHandleException("these Ranks were closed");
        }
        if (broken != null) {
            throw new LngdStateException(
                    name()
                            + " is of no use any more, since "
                            + broken
                            + "; connect all ranks anew");
        }
    }

    private void run(String what, long length, Function<ProcessGroupGloo, Work> start) {
        checkUsable();
        long began = System.nanoTime();
        try (PointerScope scope = new PointerScope()) {
            start.apply(connection.group())._wait();
            calls++;
            bytes += length;
            nanos += System.nanoTime() - began;
        } catch (RuntimeException e) {
            throw failed(what, e);
        }
    }

    private RanksException failed(String what, RuntimeException cause) {
        String message = what + " failed: " + firstLine(cause);
        abandon(message);
        return new RanksException(
                name()
                        + ": "
                        + message
                        + ". Another rank has died, given up, or hung for "
                        + timeout
                        + "; start all ranks anew from the last state that was saved",
                cause);
    }

    /** Collectives that go on while something else is computed, so that their time is not known. */
    void during(String what, int collectives, long length, Runnable work) {
        checkUsable();
        try {
            work.run();
            calls += collectives;
            bytes += length;
        } catch (RuntimeException e) {
            throw failed(what, e);
        }
    }

    /** The process group; whoever holds it is told of its end by {@link #add}. */
    ProcessGroup processGroup() {
        checkUsable();
        return connection.wrapped(rank, size);
    }

    void add(BucketReducer reducer) {
        connection.add(reducer);
    }

    void remove(BucketReducer reducer) {
        if (connection != null) {
            connection.remove(reducer);
        }
    }

    /** PyTorch adds the stack of C++, and Gloo begins with the path of its source. */
    static String firstLine(Throwable e) {
        String line = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
        return line.replaceFirst("^\\[[^]]*/([^]/]*)]", "[$1]");
    }

    private String name() {
        return "rank " + rank + " of " + size;
    }

    /** Closes the connections. A second call does nothing. */
    @Override
    public void close() {
        if (connection != null) {
            connection.close();
            connection = null;
            OPEN.remove(this);
        }
    }

    @Override
    public String toString() {
        return "Ranks["
                + name()
                + (connection == null ? ", closed]" : broken != null ? ", broken]" : "]");
    }
}
