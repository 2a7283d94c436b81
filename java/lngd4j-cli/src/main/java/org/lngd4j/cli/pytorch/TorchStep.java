// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.io.IOException;
import java.util.List;

/** A first-order optimizer on a module, PyTorch's own or this project's. */
interface TorchStep extends AutoCloseable {
    /** Moves the parameters and frees their gradients. */
    void step(double learningRate);

    /** What the user should know before the first step, a line each. */
    List<String> notices();

    /** Everything that the next steps depend on but the weights and the rate. */
    byte[] save() throws IOException;

    /** Takes up what {@link #save} gave. */
    void restore(byte[] state) throws IOException;

    @Override
    void close();
}
