// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;

/** Two ranks whose loss is sum_i c_r p_i^2 / 2, so that the gradient of p_i is c_r p_i. */
class BucketReducerTest {
    private static final int ROWS = 600; // 600 x 600 floats are more than the first bucket takes

    @TempDir Path folder;

    private Rendezvous file;

    @BeforeEach
    void file() {
        file = Rendezvous.file(folder.resolve("store"));
    }

    private static List<Tensor> parameters() {
        List<Tensor> parameters = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            Tensor p = torch.full(new long[] {ROWS, i == 1 ? 1 : ROWS}, new Scalar(1.0 + i));
            p.requires_grad_(true);
            p.retainReference();
            parameters.add(p);
        }
        return parameters;
    }

    private static Tensor loss(List<Tensor> parameters, double factor) {
        Tensor sum = torch.zeros(1);
        for (Tensor p : parameters) {
            sum = sum.add(p.mul(p).sum().mul(new Scalar(factor / 2)));
        }
        return sum;
    }

    private static void assertAll(Tensor gradient, double value) {
        float[] all = new float[(int) gradient.numel()];
        new FloatPointer(gradient.data_ptr()).get(all);
        // 6e-8 a rounding, of which there are four
        assertThat(all).containsOnly(new float[] {(float) value}, Offset.offset(5e-7f * 4));
    }

    @Test
    void gradientsAreAddedByWeightInSeveralBuckets() throws Exception {
        RankThreads.run(
                file,
                ranks -> {
                    List<Tensor> p = parameters();
                    try (BucketReducer reducer = BucketReducer.create(ranks, p)) {
                        assertThat(reducer.buckets()).isEqualTo(3); // of a mebibyte or more
                        for (int step = 0; step < 3; step++) {
                            double weight = ranks.rank() == 0 ? 0.25 : 0.75;
                            reducer.backward(loss(p, ranks.rank() + 1), weight);
                            for (int i = 0; i < 4; i++) {
                                // and what was there is kept
                                assertAll(p.get(i).grad(), (step + 1) * 1.75 * (1 + i));
                            }
                        }
                    }
                    assertThat(ranks.times().calls()).isEqualTo(9);
                    return null;
                });
    }

    @Test
    void aRankWithoutSamplesAddsZerosAndWhatNobodyReachesHasNoGradient() throws Exception {
        RankThreads.run(
                file,
                ranks -> {
                    List<Tensor> p = parameters();
                    try (BucketReducer reducer = BucketReducer.create(ranks, p)) {
                        for (int step = 0; step < 2; step++) {
                            p.forEach(t -> t.mutable_grad().put(new Tensor()));
                            boolean empty = ranks.rank() == step;
                            reducer.backward(empty ? null : loss(p.subList(1, 3), 1), 1);
                            assertThat(p.get(0).grad().defined()).isFalse();
                            assertThat(p.get(3).grad().defined()).isFalse();
                            assertAll(p.get(1).grad(), 2);
                            assertAll(p.get(2).grad(), 3);
                        }
                        // One rank reaches the first, the other the last.
                        reducer.backward(
                                loss(p.subList(ranks.rank() * 3, 1 + ranks.rank() * 3), 1), 1);
                        assertAll(p.get(0).grad(), 1);
                        assertAll(p.get(3).grad(), 4);
                    }
                    return null;
                });
    }

    /** A graph that outlives the reducer, and a reducer that the ranks outlive. */
    @Test
    void afterItsEndABackwardPassIsThatOfOneRank() throws Exception {
        RankThreads.run(
                file,
                ranks -> {
                    List<Tensor> p = parameters();
                    BucketReducer reducer = BucketReducer.create(ranks, p);
                    Tensor early = loss(p, 1 + ranks.rank());
                    reducer.backward(loss(p, 1), 0.5);
                    reducer.close();
                    reducer.close();
                    p.forEach(t -> t.mutable_grad().put(new Tensor()));
                    early.backward();
                    assertAll(p.get(0).grad(), 1 + ranks.rank());
                    assertThatThrownBy(() -> reducer.backward(loss(p, 1), 0.5))
                            .isInstanceOf(LngdHandleException.class);
                    try (BucketReducer next = BucketReducer.create(ranks, p)) {
                        p.forEach(t -> t.mutable_grad().put(new Tensor()));
                        next.backward(loss(p, 1 + ranks.rank()), 0.5);
                        assertAll(p.get(0).grad(), 1.5);
                    }
                    ranks.gather(""); // and the connections serve as before
                    return null;
                });
    }

    /** The other rank is in the midst of its own pass, and must not wait for the timeout. */
    @Test
    void aPassThatFailsOnOneRankIsAnExceptionOnAll() throws Exception {
        long began = System.nanoTime();
        RankThreads.run(
                file,
                ranks -> {
                    List<Tensor> p = parameters();
                    BucketReducer reducer = BucketReducer.create(ranks, p);
                    Tensor loss = loss(p, 1);
                    if (ranks.rank() == 1) {
                        loss.backward(); // frees what the second pass would need
                    }
                    assertThatThrownBy(() -> reducer.backward(loss, 0.5))
                            .isInstanceOf(RanksException.class)
                            .hasMessageContaining("backward pass");
                    assertThatThrownBy(() -> reducer.backward(loss, 0.5))
                            .isInstanceOf(LngdHandleException.class);
                    return null;
                });
        assertThat(System.nanoTime() - began).isLessThan(10_000_000_000L); // of 20 s
    }

    @Test
    void badArgumentsAreRefused() throws Exception {
        RankThreads.run(
                file,
                ranks -> {
                    assertThatThrownBy(() -> BucketReducer.create(ranks, List.of()))
                            .isInstanceOf(LngdArgumentException.class)
                            .hasMessage("parameters are [], allowed is one or more");
                    return null;
                });
    }
}
