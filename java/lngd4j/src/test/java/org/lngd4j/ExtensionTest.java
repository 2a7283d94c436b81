// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** A run that lasts longer than it was told. */
class ExtensionTest {
    // A ratio of two roots and a product: a few roundings of 2^-53.
    private static final Offset<Double> ROUNDING = Offset.offset(1e-15);

    @Test
    void theOptionsAreThoseOfTheLongerRun() {
        LngdOptions recipe = LngdOptions.recipe(100).build().extended(300);
        assertThat(recipe.schedule()).isEqualTo(Schedule.cosine(400));
        assertThat(recipe.totalSteps()).isEqualTo(400);
        assertThat(recipe.trustRatio()).isCloseTo(0.17 / 20, ROUNDING);
        LngdOptions kronecker = LngdOptions.blockKronecker(80).build();
        LngdOptions longer = kronecker.extended(720);
        LngdOptions told = LngdOptions.blockKronecker(800).build();
        assertThat(longer.trustRatio()).isCloseTo(told.trustRatio(), ROUNDING);
        assertThat(longer.toBuilder().trustRatio(TrustRatio.ALWAYS, told.trustRatio()).build())
                .isEqualTo(told);
        assertThat(kronecker.statisticsInterval()).isEqualTo(1); // of which the longer one has 6
        assertThat(longer.statisticsInterval()).isEqualTo(6);
        LngdOptions fit = LngdOptions.recipeFit(10).build().extended(5);
        assertThat(fit.trustRatio()).isEqualTo(0.005);
        assertThat(fit.schedule()).isEqualTo(Schedule.linear(15));
    }

    @Test
    void whatWasSetByHandKeepsItsRatioOrItsValue() {
        LngdOptions options =
                LngdOptions.blockKronecker(100)
                        .trustRatio(TrustRatio.ALWAYS, 0.06)
                        .statisticsInterval(4)
                        .dampingSchedule(Schedule.linear(100))
                        .build()
                        .extended(500);
        assertThat(options.trustRatio()).isCloseTo(0.06 * Math.sqrt(150.0 / 650), ROUNDING);
        assertThat(options.statisticsInterval()).isEqualTo(4);
        assertThat(options.dampingSchedule()).isEqualTo(Schedule.linear(600));
        LngdOptions untold =
                LngdOptions.recipe(0)
                        .trustRatio(TrustRatio.ALWAYS, 0.06)
                        .schedule(Schedule.cosine(10))
                        .build()
                        .extended(10);
        assertThat(untold.trustRatio()).isEqualTo(0.06);
        assertThat(untold.schedule()).isEqualTo(Schedule.cosine(20));
    }

    @Test
    void whatCannotBeIsRefusedByName() {
        LngdOptions recipe = LngdOptions.recipe(100).build();
        for (long steps : new long[] {0, -1, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 53}) {
            assertThatThrownBy(() -> recipe.extended(steps))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessage("steps is " + steps + "; allowed is 1 to 9007199254740892");
        }
        LngdOptions paper = LngdOptions.paper().build();
        assertThatThrownBy(() -> paper.extended(5))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("schedule is constant(1.0)");
    }

    @Test
    void anOptimizerTakesThemOver() {
        try (LngdOptimizer optimizer = made()) {
            optimizer.extend(30);
            assertThat(optimizer.extension()).isEqualTo(30);
            assertThat(optimizer.options().schedule()).isEqualTo(Schedule.cosine(130));
            assertThat(optimizer.schedule(100, 0)).isEqualTo(Schedule.cosine(130).at(100, 0));
            assertThat(optimizer.get(Setting.TRUST_RATIO))
                    .isEqualTo(optimizer.options().trustRatio())
                    .isCloseTo(0.17 / Math.sqrt(180), ROUNDING);
            assertThat(optimizer.get(Setting.DAMPING_FACTOR)).isEqualTo(2 * (1 - 100 / 130.0));
            optimizer.set(Setting.TRUST_RATIO, 0.05);
            optimizer.set(Setting.INVERSE_INTERVAL, 3);
            optimizer.extend(1000);
            assertThat(optimizer.get(Setting.TRUST_RATIO))
                    .isCloseTo(0.05 * Math.sqrt(180.0 / 1180), ROUNDING);
            assertThat(optimizer.get(Setting.INVERSE_INTERVAL)).isEqualTo(3);
            assertThat(optimizer.get(Setting.STATISTICS_INTERVAL)).isEqualTo(6);
            assertThatThrownBy(() -> optimizer.extend(0)).hasMessageContaining("steps is 0");
            assertThat(optimizer.extension()).isEqualTo(1030);
        }
    }

    @Test
    void aStateGoesBackToTheLengthThatItIsToldWith() {
        try (LngdOptimizer optimizer = made();
                LngdOptimizer other = made()) {
            byte[] before = optimizer.saveState();
            optimizer.extend(50);
            byte[] after = optimizer.saveState();
            other.restoreState(after, optimizer.extension());
            assertThat(other.options()).isEqualTo(optimizer.options());
            assertThat(other.get(Setting.TRUST_RATIO))
                    .isEqualTo(optimizer.get(Setting.TRUST_RATIO));
            optimizer.restoreState(before);
            assertThat(optimizer.extension()).isZero();
            assertThat(optimizer.schedule(100, 0)).isZero();
            assertThatThrownBy(() -> other.restoreState(before, -1))
                    .hasMessageContaining("extension is -1");
            assertThat(other.extension()).isEqualTo(50);
        }
    }

    private static LngdOptimizer made() {
        return LngdOptimizer.create(
                LngdOptions.blockKronecker(100)
                        .device(Device.CPU)
                        .relativeDamping(2)
                        .dampingSchedule(Schedule.linear(100))
                        .build(),
                List.of(LayerSpec.dense("only", 5, 3).output(OutputModel.SOFTMAX)));
    }
}
