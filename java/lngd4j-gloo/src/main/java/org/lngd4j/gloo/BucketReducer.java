// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolVector;
import org.bytedeco.pytorch.Logger;
import org.bytedeco.pytorch.Reducer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.SizeTStringMap;
import org.bytedeco.pytorch.SizeTVector;
import org.bytedeco.pytorch.SizeTVectorVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;

/**
 * The all-reduce of gradients during the backward pass that makes them: PyTorch's own {@code
 * Reducer}, the engine of its {@code DistributedDataParallel} (S. Li et al., VLDB 2020). Parameters
 * are grouped into buckets, the last layers' first; a bucket travels as soon as its last gradient
 * is there, while the backward pass goes on below. For adapters of frameworks.
 *
 * <p>Its hooks are C++ on the accumulators of the gradients, and go with it: a graph that outlives
 * it calls nothing of ours. Buckets take as much memory as the parameters.
 *
 * <p>Not thread-safe.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
public final class BucketReducer implements AutoCloseable {
    /**
     * Bytes of the first bucket and the most that others have: those of PyTorch's
     * DistributedDataParallel. A network that has less than some of those is cut into eighths, or
     * nearly all of its gradients would wait for the last.
     */
    private static final long FIRST_BYTES = 1L << 20;

    private static final long BUCKET_BYTES = 25L << 20;
    private static final int PARTS = 8;

    /**
     * More for many ranks. Gloo's ring sends a bucket as messages of its bytes / ranks, 2 (ranks -
     * 1) of them one after the other; they are to take longer than the latency of each.
     */
    private static final long FIRST_MESSAGE_BYTES = 32L << 10;

    private static final long MESSAGE_BYTES = 256L << 10;

    private final Ranks ranks;
    private final long bytes;
    private final int buckets;

    /**
     * One number that no loss reaches. Through it the backward pass of a rank without samples goes;
     * and the Reducer warns where it is told to look for parameters that are not reached and all
     * are.
     */
    private final Tensor unreached;

    private Reducer reducer; // null: closed
    private Logger logger; // the Reducer calls it without asking whether there is one

    private BucketReducer(Ranks ranks, List<Tensor> parameters) {
        this.ranks = ranks;
        unreached = torch.zeros(1).requires_grad_(true);
        TensorVector all = new TensorVector();
        long sum = 0;
        for (Tensor parameter : parameters) {
            all.push_back(parameter);
            sum += parameter.nbytes();
        }
        all.push_back(unreached);
        bytes = sum;
        BoolVector sparse = new BoolVector(all.size());
        for (long i = 0; i < all.size(); i++) {
            sparse.put(i, false);
        }
        long first = Math.max(FIRST_BYTES, FIRST_MESSAGE_BYTES * ranks.size());
        long others = Math.min(BUCKET_BYTES, Math.max(FIRST_BYTES, bytes / PARTS));
        others = Math.max(others, MESSAGE_BYTES * ranks.size());
        SizeTVectorVector assignment = assignment(all, first, others);
        buckets = Math.toIntExact(assignment.size());
        reducer =
                new Reducer(
                        all,
                        assignment,
                        ranks.processGroup(),
                        sparse,
                        others,
                        true, // find_unused_parameters
                        false, // gradient_as_bucket_view: PyTorch's zero_grad would free a bucket
                        new SizeTStringMap(),
                        first,
                        false, // skip_all_reduce_unused_params
                        false); // use_python_reducer
        logger = new Logger(reducer);
        reducer.set_logger(logger);
        unreached.retainReference();
        reducer.retainReference();
        logger.retainReference();
    }

    /**
     * Makes one on each rank. No collective.
     *
     * @param ranks the processes; they close it, where they are closed or fail
     * @param parameters leaves that ask for gradients, float32 in host memory, in the order of the
     *     forward pass; the same on all ranks
     * @return the reducer; close it
     * @throws LngdArgumentException if there are none
     */
    public static BucketReducer create(Ranks ranks, List<Tensor> parameters) {
        if (parameters == null || parameters.isEmpty()) {
            throw new LngdArgumentException(
                    "parameters are " + parameters + ", allowed is one or more");
        }
        try (PointerScope scope = new PointerScope()) {
            BucketReducer made = new BucketReducer(ranks, parameters);
            ranks.add(made);
            return made;
        }
    }

    /** Buckets from the last parameter to the first, as a backward pass gets to them. */
    private static SizeTVectorVector assignment(TensorVector parameters, long first, long others) {
        TensorVector reversed = new TensorVector();
        long count = parameters.size();
        for (long i = count - 1; i >= 0; i--) {
            reversed.push_back(parameters.get(i));
        }
        SizeTVectorVector found =
                torch.compute_bucket_assignment_by_size(reversed, new SizeTVector(first, others))
                        .get0();
        SizeTVectorVector assignment = new SizeTVectorVector(found.size());
        for (long i = 0; i < found.size(); i++) {
            SizeTVector bucket = found.get(i);
            SizeTVector own = new SizeTVector(bucket.size());
            for (long j = 0; j < bucket.size(); j++) {
                own.put(j, count - 1 - bucket.get(j));
            }
            assignment.put(i, own);
        }
        return assignment;
    }

    /**
     * The backward pass of a loss. A collective: each rank calls it as often as the others. When it
     * returns, the gradients that this rank has are G = sum_r w_r G_r, G_r those of rank r; a
     * parameter that no rank's loss has reached has none.
     *
     * @param loss one number; null on a rank without samples, whose gradients are zeros
     * @param weight w_r of this rank, such as its part of the samples
     * @throws LngdHandleException if this was closed, as when an earlier collective failed
     * @throws RanksException if the pass fails on this rank, or another one dies or hangs; the
     *     ranks are of no use any more then
     */
    public void backward(Tensor loss, double weight) {
        if (reducer == null) {
            throw new LngdHandleException("this BucketReducer was closed");
        }
        try (PointerScope scope = new PointerScope()) {
            // The Reducer divides by the number of ranks before it adds.
            double scale = loss == null ? 0 : weight * ranks.size();
            Tensor root = loss == null ? unreached.sum() : loss;
            Tensor scaled = scale == 1 ? root : root.mul(new Scalar(scale));
            ranks.during(
                    "the backward pass with the all-reduce of " + buckets + " gradient buckets",
                    buckets,
                    bytes,
                    () -> {
                        reducer.prepare_for_forward();
                        reducer.prepare_for_backward(new TensorVector(scaled));
                        scaled.backward();
                    });
        }
    }

    /** {@return how many buckets there are: collectives of a backward pass, but for one more} */
    public int buckets() {
        return buckets;
    }

    /** Takes the hooks away. A second call does nothing. */
    @Override
    public void close() {
        if (reducer != null) {
            ranks.remove(this);
            logger.releaseReference();
            reducer.releaseReference();
            unreached.releaseReference();
            reducer = null;
        }
    }
}
