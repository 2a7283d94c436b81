// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

/**
 * What no other attempt could mend, and all ranks know: the job ends with it. As an exception of
 * the task it would be tried again.
 */
final class RefusedException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    RefusedException(String message, Throwable cause) {
        super(message, cause);
    }
}
