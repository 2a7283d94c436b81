// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.lngd4j.InversePlacement;

/** Where inverses are computed, by given figures. */
class PlacementDecisionTest {
    // 2e9 operations in all, 1e9 of the busiest of two; 4e6 bytes.
    private static final double[] COSTS = {1e9, 0, 0.6e9, 0.4e9};
    private static final long FLOATS = 1_000_000;

    private static PlacementDecision decide(
            InversePlacement asked, int ranks, double operations, double bytes, double latency) {
        InverseSpeeds speeds = new InverseSpeeds(operations, bytes, latency);
        return PlacementDecision.of(asked, COSTS, FLOATS, ranks, 25, speeds);
    }

    @Test
    void autoTakesWhatIsFaster() {
        // 0.2 s against 0.1 s and 0.04 s of transfer.
        PlacementDecision owned = decide(InversePlacement.AUTO, 2, 1e10, 1e8, 0);
        assertThat(owned.placement()).isEqualTo(InversePlacement.OWNED);
        assertThat(owned.replicatedSeconds()).isEqualTo(0.2);
        assertThat(owned.ownedSeconds()).isEqualTo(0.1 + 0.04);
        assertThat(owned.broadcasts()).isEqualTo(2);
        assertThat(owned.largest()).isEqualTo(1e9);
        // 0.2 s against 0.1 s and 0.2 s, or two times 0.06 s of latency.
        assertThat(decide(InversePlacement.AUTO, 2, 1e10, 2e7, 0).placement())
                .isEqualTo(InversePlacement.REPLICATED);
        assertThat(decide(InversePlacement.AUTO, 2, 1e10, 1e12, 0.06).placement())
                .isEqualTo(InversePlacement.REPLICATED);
        // More ranks than layers with a cost: three owners, and no more than the longest layer.
        PlacementDecision many = decide(InversePlacement.AUTO, 8, 1e10, 1e8, 0);
        assertThat(many.broadcasts()).isEqualTo(3);
        assertThat(many.ownedSeconds()).isEqualTo(0.1 + 0.04);
    }

    @Test
    void whatIsAskedForIsTaken() {
        for (InversePlacement asked :
                new InversePlacement[] {InversePlacement.OWNED, InversePlacement.REPLICATED}) {
            PlacementDecision taken = PlacementDecision.of(asked, COSTS, FLOATS, 2, 25, null);
            assertThat(taken.placement()).isEqualTo(asked);
            assertThat(taken.ownedSeconds()).isNaN();
            assertThat(taken.replicatedSeconds()).isNaN();
        }
    }

    @Test
    void thereIsNothingToShare() {
        assertThat(decide(InversePlacement.AUTO, 1, 1e10, 1e8, 0).placement())
                .isEqualTo(InversePlacement.REPLICATED);
        assertThat(
                        PlacementDecision.of(
                                        InversePlacement.AUTO, new double[] {0, 0}, 0, 4, 1, null)
                                .placement())
                .isEqualTo(InversePlacement.REPLICATED);
    }

    @Test
    void theFiguresAreTold() {
        assertThat(decide(InversePlacement.AUTO, 2, 1e10, 1e8, 0.001))
                .hasToString(
                        "inverses OWNED, by AUTO: 2.00e+09 operations, of which an owner has at most"
                                + " 1.00e+09, and 4.00e+06 bytes, every 25 steps on 2 ranks; at"
                                + " 1.00e+10 operations/s, 1.00e+08 bytes/s and 0.00100 s a"
                                + " broadcast (2): 0.200 s REPLICATED, 0.142 s OWNED");
        assertThat(PlacementDecision.of(InversePlacement.REPLICATED, COSTS, FLOATS, 2, 3, null))
                .hasToString(
                        "inverses REPLICATED, as asked for: 2.00e+09 operations, of which an owner"
                                + " has at most 1.00e+09, and 4.00e+06 bytes, every 3 steps on 2"
                                + " ranks");
    }
}
