// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * What turns a network's gradients into its training: attached to one network, from the first step
 * to {@link #close}. The loop knows only this, so that LNGD and DL4J's own updaters run through the
 * very same code and clock.
 */
public interface TrainingMethod extends AutoCloseable {
    /** One line about the method and its settings. */
    String describe();

    /** What the user should know before the first step, a line each. */
    default List<String> notices() {
        return List.of();
    }

    /** Every setting by name, defaults included, for {@code summary.json}. */
    Map<String, Object> details();

    /** Where the update is computed: {@code cpu}, {@code cuda:0}. */
    String device();

    /** Called after each step of the network, inside the training clock. */
    void afterStep();

    /** Whether evaluation and the delivered model use averaged weights. */
    boolean averages();

    /**
     * Calls {@code action} while the averaged weights are in the network, then brings back the
     * weights of the training bit by bit. Where {@link #averages} is false, just calls it.
     */
    <T> T withAveragedWeights(Supplier<T> action);

    /**
     * Writes everything but the network's weights to {@code file}, so that {@link #restore} goes on
     * bit by bit.
     */
    void save(Path file) throws IOException;

    /** Takes up what {@link #save} wrote. The network already has the weights of that time. */
    void restore(Path file) throws IOException;

    /**
     * Seconds spent so far by kernel group ({@code statistics}, {@code inverse}, ...), empty where
     * unknown.
     */
    Map<String, Double> kernelSeconds();

    /**
     * What was left out so far, resumed runs included; null where nothing of the kind is counted.
     */
    default HealthCounts health() {
        return null;
    }

    /** Ends the training; the network is DL4J's alone again. */
    @Override
    void close();
}
