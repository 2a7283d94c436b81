// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.adapter;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.lngd4j.LayerHealth;

/**
 * Tells what LNGD left out: steps of a layer, updates of its statistics, inverses. It looks after
 * the first step, every 50 steps, and at the end (asking a device at every step would make it
 * wait), and says what is new: the first time at once, then ever more rarely.
 */
public final class HealthWatch {
    private static final long EVERY = 50;

    private final Supplier<Map<String, LayerHealth>> layers;
    private final Consumer<String> say;
    private long nextLook = 1;
    private long nextWord;
    private long told;

    /**
     * A watch that has not looked yet.
     *
     * @param layers the health of each by name
     * @param say where a line goes
     */
    public HealthWatch(Supplier<Map<String, LayerHealth>> layers, Consumer<String> say) {
        this.layers = layers;
        this.say = say;
    }

    /**
     * Called after each step.
     *
     * @param steps steps done
     */
    public void stepped(long steps) {
        if (steps < nextLook) {
            return;
        }
        nextLook = steps + EVERY;
        if (steps >= nextWord && tell()) {
            nextWord = 2 * steps;
        }
    }

    /**
     * Says what has not been said yet.
     *
     * @return whether there was anything
     */
    public boolean tell() {
        Map<String, LayerHealth> health = layers.get();
        long now = health.values().stream().mapToLong(HealthWatch::trouble).sum();
        if (now == told) {
            return false;
        }
        told = now;
        health.forEach(
                (name, layer) -> {
                    if (trouble(layer) > 0) {
                        say.accept("layer " + name + ": " + words(layer));
                    }
                });
        return true;
    }

    /**
     * A restored state has counts of its own, which are no news.
     *
     * @param steps steps done
     */
    public void restored(long steps) {
        nextLook = steps + 1;
        nextWord = 0;
        told = layers.get().values().stream().mapToLong(HealthWatch::trouble).sum();
    }

    private static long trouble(LayerHealth h) {
        return h.skippedSteps() + h.skippedStatistics() + h.failedInverses();
    }

    private static String words(LayerHealth h) {
        List<String> words = new ArrayList<>();
        if (h.skippedSteps() > 0) {
            words.add(
                    h.skippedSteps()
                            + " of "
                            + h.steps()
                            + " steps did not move it (NaN or Inf in its gradient, no statistics yet,"
                            + " or the flag of a scaled loss)");
        }
        if (h.skippedStatistics() > 0) {
            words.add(
                    h.skippedStatistics()
                            + " updates of its statistics were left out (NaN, Inf, or nothing but"
                            + " zeros in what it saw)");
        }
        if (h.failedInverses() > 0) {
            words.add(
                    h.failedInverses()
                            + " blocks could not be inverted and kept their old inverse (more"
                            + " damping helps)");
        }
        return String.join("; ", words);
    }
}
