// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

/**
 * An end of the command that is told to the user in one line, with the exit status that goes with
 * it.
 *
 * <p>{@link #badInput} is for what the user can put right (options, files, folders): exit status
 * {@value #BAD_INPUT}. {@link #failure} is for a run that could not finish or a check that did not
 * pass: exit status {@value #FAILURE}.
 */
public final class CliException extends RuntimeException {
    /** Exit status of a run that failed, or of a check that did not pass. */
    public static final int FAILURE = 1;

    /** Exit status of bad input: an option, a file or a folder. */
    public static final int BAD_INPUT = 2;

    private static final long serialVersionUID = 1L;

    private final int exitStatus;

    private CliException(int exitStatus, String message, Throwable cause) {
        super(message, cause);
        this.exitStatus = exitStatus;
    }

    /** Something the user can put right. */
    public static CliException badInput(String message) {
        return new CliException(BAD_INPUT, message, null);
    }

    /** Something the user can put right, found out through {@code cause}. */
    public static CliException badInput(String message, Throwable cause) {
        return new CliException(BAD_INPUT, message, cause);
    }

    /** A run that could not finish. */
    public static CliException failure(String message) {
        return new CliException(FAILURE, message, null);
    }

    /** A run that could not finish because of {@code cause}. */
    public static CliException failure(String message, Throwable cause) {
        return new CliException(FAILURE, message, cause);
    }

    /** The status that the process ends with. */
    public int exitStatus() {
        return exitStatus;
    }
}
