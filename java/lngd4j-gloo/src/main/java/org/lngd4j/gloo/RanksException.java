// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import org.lngd4j.nativelib.LngdException;

/**
 * A collective failed: another rank is dead, hangs, or did something else at that moment. The
 * {@link Ranks} are of no use any more, and a step that was under way is lost: start all ranks
 * anew, from the last state that was saved.
 */
public class RanksException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message which rank it is that tells, what it did, and what went wrong
     * @param cause what the process group threw; may be null
     */
    public RanksException(String message, Throwable cause) {
        super(NO_STATUS, message, cause);
    }
}
