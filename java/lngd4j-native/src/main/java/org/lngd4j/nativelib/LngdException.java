// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

/**
 * Base of every exception that LNGD4J throws on its own account.
 *
 * <p>There is one hierarchy, rather than the JDK's {@link IllegalArgumentException} and {@link
 * IllegalStateException}, so that one {@code catch (LngdException e)} sees all of them and the
 * native status is never lost.
 */
public class LngdException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The status of an exception that did not come out of a native call. */
    public static final int NO_STATUS = -1;

    private final int status;

    /**
     * Makes an exception.
     *
     * @param status an {@code lngd_status} value, or {@link #NO_STATUS}
     * @param message what happened: the argument, the value seen and what is allowed
     */
    public LngdException(int status, String message) {
        this(status, message, null);
    }

    /**
     * Makes an exception with a cause.
     *
     * @param status an {@code lngd_status} value, or {@link #NO_STATUS}
     * @param message what happened
     * @param cause the cause, may be null
     */
    public LngdException(int status, String message, Throwable cause) {
        super(message, cause);
        this.status = status;
    }

    /**
     * Tells the native status behind this exception.
     *
     * @return an {@code lngd_status} value, or {@link #NO_STATUS}
     */
    public int status() {
        return status;
    }
}
