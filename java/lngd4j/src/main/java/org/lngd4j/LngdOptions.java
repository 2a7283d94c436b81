// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Everything an {@link LngdOptimizer} can be told. Immutable; made by a {@link Builder} that starts
 * from a preset.
 *
 * <pre>{@code
 * LngdOptions options = LngdOptions.recipe(6 * 235).momentum(0.95).build();
 * }</pre>
 */
public final class LngdOptions extends OptionAccessors {
    LngdOptions(OptionValues values) {
        super(values);
    }

    /**
     * The default preset, for a run of known length.
     *
     * @param totalSteps length of the run in steps; 0: not known, then a trust ratio must be set
     * @return a builder with the values of {@link Preset#RECIPE}
     */
    public static Builder recipe(long totalSteps) {
        return preset(Preset.RECIPE, totalSteps);
    }

    /**
     * The preset for autoencoders and regression.
     *
     * @param totalSteps length of the run in steps, for the schedule; 0: not known
     * @return a builder with the values of {@link Preset#RECIPE_FIT}
     */
    public static Builder recipeFit(long totalSteps) {
        return preset(Preset.RECIPE_FIT, totalSteps);
    }

    /**
     * The default preset with the layer rate of the paper.
     *
     * @param totalSteps length of the run in steps; 0: not known, then a trust ratio must be set
     * @return a builder with the values of {@link Preset#RECIPE_EMPIRICAL}
     */
    public static Builder recipeEmpirical(long totalSteps) {
        return preset(Preset.RECIPE_EMPIRICAL, totalSteps);
    }

    /**
     * Block-diagonal KFAC inside LNGD's machinery, for softmax and sigmoid outputs.
     *
     * @param totalSteps length of the run in steps; 0: not known, then a trust ratio must be set
     * @return a builder with the values of {@link Preset#BLOCK_KRONECKER}
     */
    public static Builder blockKronecker(long totalSteps) {
        return preset(Preset.BLOCK_KRONECKER, totalSteps);
    }

    /**
     * Block-diagonal KFAC inside LNGD's machinery, for reconstruction and regression.
     *
     * @param totalSteps length of the run in steps; 0: not known, then a trust ratio must be set
     * @return a builder with the values of {@link Preset#BLOCK_KRONECKER_FIT}
     */
    public static Builder blockKroneckerFit(long totalSteps) {
        return preset(Preset.BLOCK_KRONECKER_FIT, totalSteps);
    }

    /**
     * NG+, the last rival of the paper's table 6.
     *
     * @return a builder with the values of {@link Preset#NGPLUS}
     */
    public static Builder ngPlus() {
        return preset(Preset.NGPLUS, 0);
    }

    /**
     * What the library recommends for a network: {@link Preset#BLOCK_KRONECKER} where the last
     * layer is a softmax or sigmoid output, {@link Preset#BLOCK_KRONECKER_FIT} for other outputs
     * and for autoencoders (as many outputs as inputs); with fewer samples for convolutions, a soft
     * trust ratio for batches below 32, and whitened orthogonalisation where the batch is large
     * enough to pay for it. {@link #reason()} tells what was chosen and why. The rule is that of
     * {@code lngd_recommend} in the C ABI.
     *
     * @param layers the layers in forward order, the last with its output model; at least one
     * @param totalSteps length of the run in steps, at least 1
     * @param batch samples of a step, at least 1; of sequences the rows that dense layers see:
     *     tokens
     * @return the options; device, threads and seed are those of a preset
     * @throws org.lngd4j.nativelib.LngdArgumentException for an argument out of its range, and for
     *     layers that {@link LngdOptimizer#create} would refuse
     */
    public static LngdOptions recommended(List<LayerSpec> layers, long totalSteps, int batch) {
        return new LngdOptions(NativeStructs.recommend(layers, totalSteps, batch));
    }

    /**
     * The paper as printed.
     *
     * @return a builder with the values of {@link Preset#PAPER}
     */
    public static Builder paper() {
        return preset(Preset.PAPER, 0);
    }

    /**
     * A preset by its name.
     *
     * @param preset the preset
     * @param totalSteps length of the run in steps, at least 0; 0: not known
     * @return a builder with the values of the preset
     * @throws org.lngd4j.nativelib.LngdNativeLoadException if the native library, which has the
     *     values, cannot be loaded
     */
    public static Builder preset(Preset preset, long totalSteps) {
        return new Builder(OptionValues.of(preset, totalSteps));
    }

    /**
     * A builder that starts from these options.
     *
     * @return a new builder
     */
    public Builder toBuilder() {
        return new Builder(values);
    }

    /**
     * The same run, told to last for longer. What depends on the length is then what a run of the
     * new length would have had:
     *
     * <ul>
     *   <li>schedules are {@linkplain Schedule#stretched stretched}, that of the learning rate to
     *       the new end;
     *   <li>{@link #trustRatio()} (tau) changes by the rule of the preset, such as 1 /
     *       sqrt(length): more steps, each of them shorter. One that was set by hand changes by the
     *       same ratio;
     *   <li>{@link #statisticsInterval()} and {@link #inverseInterval()} are the preset's for the
     *       new length where they were the preset's for the old one, and stay otherwise;
     *   <li>all else stays. {@link #averagingWindow()} is a share of the steps that were done, so
     *       that it needs no length.
     * </ul>
     *
     * @param steps more steps, at least 1
     * @return the options of the longer run
     * @throws org.lngd4j.nativelib.LngdArgumentException if {@code steps} is out of its range, or
     *     the schedule has no end
     */
    public LngdOptions extended(long steps) {
        return Extension.of(this, steps);
    }

    /**
     * All options by name, in a fixed order; null for a schedule that is not set.
     *
     * @return a new map
     */
    public Map<String, Object> asMap() {
        return values.map();
    }

    /** Equal options have equal values; their {@link #reason()} does not matter. */
    @Override
    public boolean equals(Object other) {
        return other instanceof LngdOptions that && asMap().equals(that.asMap());
    }

    @Override
    public int hashCode() {
        return Objects.hash(asMap());
    }

    @Override
    public String toString() {
        return "LngdOptions" + asMap() + (reason().isEmpty() ? "" : " (" + reason() + ")");
    }

    /**
     * Sets options one by one. Each setter checks its argument and throws {@link
     * org.lngd4j.nativelib.LngdArgumentException} with its name, value and range. Not thread-safe.
     */
    public static final class Builder extends UpdateSetters<Builder> {
        Builder(OptionValues start) {
            super(start);
        }

        @Override
        Builder self() {
            return this;
        }

        /**
         * The options.
         *
         * @return the options, immutable; this builder may go on to be used
         * @throws org.lngd4j.nativelib.LngdArgumentException if the trust ratio is on and has no
         *     tau, since neither the number of steps nor tau was given
         */
        public LngdOptions build() {
            if (v.trustMode != TrustRatio.OFF && !(v.trustRatio > 0)) {
                throw Check.bad(
                        "trustRatio",
                        v.trustRatio,
                        "a number above 0: give the preset the number of steps, or call trustRatio("
                                + v.trustMode
                                + ", tau)");
            }
            return new LngdOptions(v);
        }
    }
}
