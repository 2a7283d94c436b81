// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.InverseBuffer;
import org.lngd4j.InverseOwners;
import org.lngd4j.InversePlacement;
import org.lngd4j.InverseRange;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.MemoryKind;
import org.lngd4j.StepPlan;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * The inverses of an optimizer on several ranks: each computes all of them, or each computes those
 * of its own layers and gets the others by broadcast, in place, one for each owner. Weights are the
 * same bits either way.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
public final class InverseSharing {
    private final LngdOptimizer optimizer;
    private final Ranks ranks;
    private final PlacementDecision decision;
    private final int[] owners; // of the layers
    private final boolean[] broadcasts; // of the owners, in the coming exchange

    private InverseSharing(
            LngdOptimizer optimizer, Ranks ranks, PlacementDecision decision, int[] owners) {
        this.optimizer = optimizer;
        this.ranks = ranks;
        this.decision = decision;
        this.owners = owners;
        this.broadcasts = new boolean[ranks.size()];
    }

    /**
     * Decides where inverses are computed, before the first plan of the optimizer is made. A
     * collective: all ranks call it, with optimizers of the same layers and options. With {@link
     * InversePlacement#AUTO} it measures for some milliseconds: how fast each rank inverts a layer,
     * and broadcasts to all ranks. The slowest rank's figures count, so that all decide alike.
     *
     * @param optimizer of this rank, in host memory, without plans
     * @param ranks the processes
     * @param placement what is asked for
     * @return what {@link #exchange} has to be called on before each step
     * @throws LngdArgumentException on all ranks, where they differ in what they ask for or in
     *     costs, or one of them fails
     * @throws org.lngd4j.nativelib.LngdStateException if the optimizer has plans
     * @throws RanksException if a collective fails
     */
    public static InverseSharing start(
            LngdOptimizer optimizer, Ranks ranks, InversePlacement placement) {
        if (placement == null) {
            throw new LngdArgumentException(
                    "placement is null, allowed is one of "
                            + Arrays.toString(InversePlacement.values()));
        }
        double[] costs = new double[optimizer.layerCount()];
        long floats = 0;
        int costliest = 0;
        for (int i = 0; i < costs.length; i++) {
            costs[i] = optimizer.inverseCost(i).operations();
            floats += optimizer.inverseCost(i).floats();
            costliest = costs[i] > costs[costliest] ? i : costliest;
        }
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("the placement of inverses", placement.toString());
        facts.put("costs of inverses", Arrays.toString(costs));
        ranks.agree(facts);
        InverseSpeeds speeds = null;
        if (placement == InversePlacement.AUTO && ranks.size() > 1 && costs[costliest] > 0) {
            int layer = costliest;
            double[] own = new double[1];
            Refusal.together(
                    ranks,
                    () -> own[0] = InverseSpeeds.inversions(optimizer, optimizer.spec(layer)));
            speeds = InverseSpeeds.of(ranks, own[0]);
        }
        PlacementDecision decision =
                PlacementDecision.of(
                        placement,
                        costs,
                        floats,
                        ranks.size(),
                        optimizer.options().inverseInterval(),
                        speeds);
        int[] owners = InverseOwners.longestFirst(costs, ranks.size());
        Refusal.together(
                ranks,
                () -> {
                    if (decision.placement() == InversePlacement.OWNED) {
                        checkMemory(optimizer.inverses());
                        optimizer.shareInverses(owners, ranks.rank());
                    }
                });
        ranks.agree(Map.of("the decision on inverses", decision + " " + Arrays.toString(owners)));
        return new InverseSharing(optimizer, ranks, decision, owners);
    }

    private static void checkMemory(InverseBuffer inverses) {
        if (inverses.kind() != MemoryKind.HOST) {
            throw new LngdArgumentException(
                    "inverses are in memory of kind " + inverses.kind() + ", allowed is HOST");
        }
    }

    /**
     * Before each step of a plan, when the statistics are complete: where ranks share inverses and
     * some are due, this rank's are computed and all are exchanged. A collective.
     *
     * @param plan whose step comes; the same layers on all ranks
     * @return how many broadcasts there were
     * @throws RanksException if a broadcast fails; the ranks step no more then
     */
    public int exchange(StepPlan plan) {
        if (decision.placement() != InversePlacement.OWNED) {
            return 0;
        }
        plan.refresh();
        Arrays.fill(broadcasts, false);
        for (int layer = 0; layer < owners.length; layer++) {
            broadcasts[owners[layer]] |= optimizer.needsInverses(layer);
        }
        int count = 0;
        InverseBuffer inverses = optimizer.inverses();
        for (int owner = 0; owner < broadcasts.length; owner++) {
            if (broadcasts[owner]) {
                broadcast(inverses, owner);
                count++;
            }
        }
        if (count > 0) {
            optimizer.inversesReceived();
        }
        return count;
    }

    private void broadcast(InverseBuffer inverses, int owner) {
        InverseRange range = optimizer.inverseRange(owner);
        try (PointerScope scope = new PointerScope()) {
            Tensor view =
                    torch.from_blob(
                            inverses.floats(range),
                            new long[] {range.count()},
                            new TensorOptions(torch.ScalarType.Float));
            ranks.broadcast(view, owner);
        }
    }

    /**
     * What was decided.
     *
     * @return the placement and the figures behind it
     */
    public PlacementDecision decision() {
        return decision;
    }
}
