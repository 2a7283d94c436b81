// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

/**
 * The native library could not be loaded. {@link #report()} and the message list every path with
 * its reason.
 */
public class LngdNativeLoadException extends LngdException {
    private static final long serialVersionUID = 1L;

    private final transient LoadReport report;

    /**
     * Makes an exception.
     *
     * @param report all attempts
     * @param cause the last error of the JVM's linker, may be null
     */
    public LngdNativeLoadException(LoadReport report, Throwable cause) {
        super(NO_STATUS, "cannot load the native library of LNGD4J:\n" + report.describe(), cause);
        this.report = report;
    }

    /**
     * All attempts.
     *
     * @return the report; null in a deserialised exception (its text is in the message)
     */
    public LoadReport report() {
        return report;
    }
}
