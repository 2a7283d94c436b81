// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.lngd4j.InversePlacement;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.gloo.RankOptions;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Refusal;

/** The attachment of a model on all ranks: the same everywhere, or an exception everywhere. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class ParallelStart {
    private ParallelStart() {}

    static TorchAttachment start(
            Module model,
            LngdOptions options,
            ParameterRule rule,
            Ranks ranks,
            InversePlacement inverses) {
        TorchAttachment[] made = new TorchAttachment[1];
        try (PointerScope scope = new PointerScope()) {
            Refusal.together(
                    ranks,
                    () -> {
                        LngdTorch.notNull("model", model);
                        LngdTorch.notNull("options", options);
                        LngdTorch.notNull("others", rule);
                        LngdTorch.notNull("inverses", inverses);
                        LngdOptions own = RankOptions.shareOf(options, ranks.size());
                        made[0] = TorchAttachment.start(model, own, rule);
                        made[0].connect(ranks);
                    });
            ranks.agree(TorchFacts.of(made[0]));
            made[0].shareInverses(ranks, inverses); // may be refused: before a parameter is changed
            broadcast(model, ranks);
            return made[0];
        } catch (RuntimeException | Error e) {
            if (made[0] != null) {
                made[0].close();
            }
            throw e;
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
