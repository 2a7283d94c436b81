// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import org.lngd4j.nativelib.LngdException;

/**
 * A golden file that is not of the format: not JSON, an unknown field, a wrong shape, or an input
 * that is missing.
 */
public class GoldenFormatException extends LngdException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes an exception.
     *
     * @param message the file, the field and what is wrong
     * @param cause the cause, may be null
     */
    public GoldenFormatException(String message, Throwable cause) {
        super(NO_STATUS, message, cause);
    }
}
