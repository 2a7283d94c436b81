// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.nativelib.LngdArgumentException;

/** The attachment of a model on all ranks: the same everywhere, or an exception everywhere. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class ParallelStart {
    private ParallelStart() {}

    static TorchAttachment start(
            Module model, LngdOptions options, ParameterRule rule, Ranks ranks) {
        TorchAttachment made = null;
        RuntimeException refused = null;
        try {
            made = TorchAttachment.start(model, shareOf(options, ranks.size()), rule);
            made.connect(ranks);
        } catch (RuntimeException e) {
            refused = e;
        }
        try (PointerScope scope = new PointerScope()) {
            tell(ranks, refused);
            ranks.agree(RankFacts.of(made));
            broadcast(model, ranks);
            return made;
        } catch (RuntimeException | Error e) {
            if (made != null) {
                made.close();
            }
            throw e;
        }
    }

    /** All ranks together feed the statistics with the samples that the options say. */
    private static LngdOptions shareOf(LngdOptions options, int ranks) {
        int samples = options.statisticsSamples();
        return options.toBuilder().statisticsSamples((samples + ranks - 1) / ranks).build();
    }

    /** Throws on all ranks, where one of them has refused the model: none waits for it in vain. */
    private static void tell(Ranks ranks, RuntimeException refused) {
        List<String> all;
        try {
            all = ranks.gather(refused == null ? "" : String.valueOf(refused.getMessage()));
        } catch (RuntimeException e) {
            if (refused == null) {
                throw e;
            }
            refused.addSuppressed(e);
            throw refused;
        }
        if (refused != null) {
            throw refused;
        }
        for (int rank = 0; rank < all.size(); rank++) {
            if (!all.get(rank).isEmpty()) {
                throw new LngdArgumentException("rank " + rank + " says: " + all.get(rank));
            }
        }
    }

    /** Gives all ranks the parameters and buffers of rank 0. */
    private static void broadcast(Module model, Ranks ranks) {
        for (TensorVector all : new TensorVector[] {model.parameters(), model.buffers()}) {
            for (long i = 0; i < all.size(); i++) {
                Tensor own = all.get(i).detach();
                Tensor compact = own.contiguous(); // itself, where it is
                ranks.broadcast(compact, 0);
                if (!own.is_contiguous()) {
                    own.copy_(compact);
                }
            }
        }
    }
}
