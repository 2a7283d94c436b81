// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

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
     * All options by name, in a fixed order; null for a schedule that is not set.
     *
     * @return a new map
     */
    public Map<String, Object> asMap() {
        return values.map();
    }

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
        return "LngdOptions" + asMap();
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
