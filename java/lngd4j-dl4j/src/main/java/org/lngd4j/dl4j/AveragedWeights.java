// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

/**
 * The time during which a network holds its averaged weights. {@link #close()} brings the weights
 * of the training back, to the same bits.
 *
 * <pre>{@code
 * try (AveragedWeights averaged = lngd.averagedWeights()) {
 *     System.out.println(net.evaluate(testData).stats());
 * }
 * }</pre>
 *
 * <p>A step meanwhile, and a second {@link LngdTraining#averagedWeights()}, throw {@link
 * org.lngd4j.nativelib.LngdStateException}. Not thread-safe: it belongs to the thread that trains.
 */
public final class AveragedWeights implements AutoCloseable {
    private final LngdTraining training;
    private final boolean active;

    AveragedWeights(LngdTraining training, boolean active) {
        this.training = training;
        this.active = active;
    }

    /**
     * Whether there was anything to exchange.
     *
     * @return false before the first step: the network then simply has its weights
     */
    public boolean active() {
        return active;
    }

    /** Brings the weights of the training back. A second call does nothing. */
    @Override
    public void close() {
        training.release(this);
    }
}
