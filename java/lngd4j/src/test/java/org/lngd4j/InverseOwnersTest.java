// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** Layers go to ranks, longest first. */
class InverseOwnersTest {
    @Test
    void theLongestGoFirst() {
        assertThat(InverseOwners.longestFirst(new double[] {1, 8, 3, 5, 2}, 2))
                .containsExactly(1, 0, 1, 1, 0); // 8, 2 and 5, 3, 1
        assertThat(InverseOwners.longestFirst(new double[] {2, 2, 2, 2}, 3))
                .containsExactly(0, 1, 2, 0); // of equals the first layer, and the first rank
        assertThat(InverseOwners.longestFirst(new double[] {0, 4, 0, 1}, 4))
                .containsExactly(0, 0, 0, 1); // parameters cost nothing
        assertThat(InverseOwners.longestFirst(new double[] {3, 4}, 1)).containsExactly(0, 0);
        assertThat(InverseOwners.longestFirst(new double[0], 3)).isEmpty();
    }

    /** Graham's bound against the best of all assignments. */
    @Test
    void itIsNotFarFromTheBest() {
        Random random = new Random(3);
        for (int round = 0; round < 50; round++) {
            double[] costs = random.doubles(7, 0, 1).toArray();
            int ranks = 2 + round % 2;
            double best = Double.MAX_VALUE;
            for (int code = 0; code < Math.pow(ranks, costs.length); code++) {
                int[] owners = new int[costs.length];
                for (int i = 0, rest = code; i < owners.length; i++, rest /= ranks) {
                    owners[i] = rest % ranks;
                }
                best = Math.min(best, InverseOwners.largestLoad(costs, owners));
            }
            int[] owners = InverseOwners.longestFirst(costs, ranks);
            assertThat(InverseOwners.largestLoad(costs, owners))
                    .isBetween(best * (1 - 1e-12), best * (4 / 3.0 - 1 / (3.0 * ranks)));
        }
    }

    @Test
    void theLoadIsTheLargest() {
        assertThat(InverseOwners.largestLoad(new double[] {1, 2, 4}, new int[] {5, 5, 0}))
                .isEqualTo(4);
        assertThat(InverseOwners.largestLoad(new double[] {1, 5, 4}, new int[] {2, 2, 0}))
                .isEqualTo(6);
        assertThat(InverseOwners.largestLoad(new double[0], new int[0])).isZero();
    }

    @Test
    void whatIsWrongIsRefused() {
        for (double wrong : new double[] {-1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertThatThrownBy(() -> InverseOwners.longestFirst(new double[] {1, wrong}, 2))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("costs[1] is " + wrong);
        }
        assertThatThrownBy(() -> InverseOwners.longestFirst(new double[] {1}, 0))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("ranks is 0");
        assertThatThrownBy(() -> InverseOwners.longestFirst(null, 1))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("costs");
        assertThatThrownBy(() -> InverseOwners.largestLoad(new double[2], new int[1]))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("owners.length is 1");
        assertThatThrownBy(() -> InverseOwners.largestLoad(new double[2], new int[] {0, -1}))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("owners[1] is -1");
        int[] same = InverseOwners.longestFirst(new double[] {3, 1, 2}, 2);
        assertThat(Arrays.equals(same, InverseOwners.longestFirst(new double[] {3, 1, 2}, 2)))
                .isTrue();
    }
}
