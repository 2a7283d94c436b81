// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Map;
import org.deeplearning4j.nn.conf.BackpropType;
import org.lngd4j.InversePlacement;
import org.lngd4j.LayerRate;
import org.lngd4j.LngdOptions;
import org.lngd4j.MemoryKind;
import org.lngd4j.gloo.RankFacts;
import org.lngd4j.gloo.RankOptions;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Refusal;
import org.lngd4j.nativelib.LngdArgumentException;

/** The attachment of a network on all ranks: the same everywhere, or an exception everywhere. */
final class ParallelStart {
    private ParallelStart() {}

    /** How an attachment is made on this rank. */
    interface Attach {
        LngdTraining attach() throws IOException;
    }

    static LngdOptions shareOf(LngdOptions options, Ranks ranks) {
        return options == null ? null : RankOptions.shareOf(options, ranks.size());
    }

    /**
     * The same on all ranks, or an exception on all.
     *
     * @param broadcast whether the weights of rank 0 are to count. Not those of a file: LNGD's
     *     state is of the same file, so that other weights must be seen, in the first step
     */
    static DataParallel start(
            Ranks ranks,
            LngdOptions options,
            InversePlacement inverses,
            boolean broadcast,
            Attach how) {
        if (ranks == null) {
            throw new LngdArgumentException("ranks is null");
        }
        LngdTraining[] made = new LngdTraining[1];
        GlooStep[] step = new GlooStep[1];
        try {
            Refusal.together(
                    ranks,
                    () -> {
                        check(options);
                        check(inverses);
                        try {
                            made[0] = how.attach();
                        } catch (IOException e) {
                            throw new UncheckedIOException(e);
                        }
                        check(made[0]);
                        step[0] = new GlooStep(ranks, made[0].attachment());
                        made[0].attachment().connect(step[0]);
                    });
            Map<String, String> facts = RankFacts.of(made[0].options(), made[0].report());
            NetworkFacts.add(facts, made[0]);
            ranks.agree(facts);
            step[0].shareInverses(inverses); // may be refused: before any parameter is changed
            made[0].note(step[0].inverses().toString());
            if (broadcast) {
                step[0].broadcast();
            }
            return new DataParallel(made[0], step[0].inverses());
        } catch (RuntimeException | Error e) {
            if (made[0] != null) {
                made[0].abandon();
            }
            throw e;
        }
    }

    private static void check(LngdOptions options) {
        if (options != null && options.layerRate() == LayerRate.EMPIRICAL) {
            throw new LngdArgumentException(
                    "options.layerRate is EMPIRICAL, a mean over the samples of one rank; allowed"
                            + " with ranks is KRONECKER or NONE");
        }
    }

    private static void check(InversePlacement inverses) {
        if (inverses == null) {
            throw new LngdArgumentException(
                    "inverses is null, allowed is one of "
                            + Arrays.toString(InversePlacement.values()));
        }
    }

    private static void check(LngdTraining made) {
        if (made.attachment().net().backpropType() == BackpropType.TruncatedBPTT) {
            throw new LngdArgumentException(
                    "the network is trained by truncated backpropagation through time, whose steps"
                            + " depend on the length of a share; allowed with ranks is"
                            + " BackpropType.Standard");
        }
        if (made.optimizer().sums().kind() != MemoryKind.HOST) {
            throw new LngdArgumentException(
                    "options.device is "
                            + made.optimizer().device()
                            + ", allowed with ranks is CPU: Gloo adds in host memory");
        }
    }
}
