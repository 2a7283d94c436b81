// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import java.io.PrintWriter;
import org.lngd4j.cli.compare.CompareCommand;
import org.lngd4j.cli.fisher.FisherCommand;
import org.lngd4j.cli.support.NativesFolder;
import org.lngd4j.cli.support.Versions;
import org.lngd4j.cli.toys.ToysCommand;
import org.lngd4j.nativelib.LngdException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * The command {@code lngd}. An error is one line on standard error, and the exit status tells its
 * kind: 0 done, 1 failed, 2 bad input, 130 stopped by a signal. With {@code LNGD_DEBUG} set the
 * stack trace follows.
 */
@Command(
        name = "lngd",
        description =
                "Trains neural networks with the layer-wise natural gradient (LNGD) on the JVM.",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        subcommands = {
            TrainCommand.class,
            TranslateCommand.class,
            CompareCommand.class,
            ToysCommand.class,
            InfoCommand.class,
            SelftestCommand.class,
            FisherCommand.class,
            BenchCommand.class
        })
public final class Main implements Runnable {
    @CommandLine.Spec private CommandLine.Model.CommandSpec spec;

    private Main() {}

    /** Runs the command and ends the process with its status. */
    public static void main(String[] arguments) {
        System.exit(run(arguments));
    }

    /**
     * Runs the command in this process.
     *
     * @return the exit status
     */
    public static int run(String... arguments) {
        quietLibraries();
        CommandLine command =
                new CommandLine(new Main())
                        .setCaseInsensitiveEnumValuesAllowed(true)
                        .setOverwrittenOptionsAllowed(false)
                        .setAbbreviatedOptionsAllowed(false)
                        .setOut(new PrintWriter(System.out, true))
                        .setErr(new PrintWriter(System.err, true))
                        .setExecutionStrategy(Main::refuseEmptyAndRun)
                        .setParameterExceptionHandler((e, given) -> parameterError(e))
                        .setExecutionExceptionHandler((e, line, parsed) -> executionError(e));
        try {
            return command.execute(arguments);
        } catch (OutOfMemoryError e) {
            print(
                    "out of memory ("
                            + e.getMessage()
                            + "); more is had by LNGD_JAVA_OPTS=-Xmx8g, less is needed with"
                            + " --train-samples",
                    e);
            return CliException.FAILURE;
        } catch (LinkageError | StackOverflowError e) {
            // picocli hands only exceptions to its handlers.
            print(e.toString(), e);
            return CliException.FAILURE;
        }
    }

    /** {@code lngd} alone is a question for help, and no success. */
    @Override
    public void run() {
        throw new ParameterException(
                spec.commandLine(),
                "Missing command: train, translate, compare, toys, info or selftest");
    }

    /** Prints the version of this command. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"lngd " + Versions.lngd4j()};
        }
    }

    private static void quietLibraries() {
        // JavaCPP would print its version warnings itself; through SLF4J they meet the no-op
        // logger.
        System.setProperty("org.bytedeco.javacpp.logger", "slf4j");
        NativesFolder.choose();
        // The curves are drawn into a file.
        System.setProperty("java.awt.headless", "true");
    }

    // Each option would meet an empty value in its own way: as the folder it was started in, as a
    // file of no name.
    private static int refuseEmptyAndRun(ParseResult parsed) {
        for (ParseResult part = parsed; part != null; part = part.subcommand()) {
            for (OptionSpec option : part.matchedOptions()) {
                if (option.originalStringValues().stream().anyMatch(String::isBlank)) {
                    throw new ParameterException(
                            part.commandSpec().commandLine(),
                            option.longestName() + " is empty, allowed is " + option.paramLabel());
                }
            }
        }
        return new CommandLine.RunLast().execute(parsed);
    }

    private static int parameterError(ParameterException e) {
        print(
                e.getMessage()
                        + " (see "
                        + e.getCommandLine().getCommandSpec().qualifiedName()
                        + " --help)",
                e);
        return CliException.BAD_INPUT;
    }

    private static int executionError(Exception e) {
        if (e instanceof CliException ours) {
            print(ours.getMessage(), e);
            return ours.exitStatus();
        }
        // The library's own exceptions are written for users; of any other the type is part of the
        // news.
        print(e instanceof LngdException ? e.getMessage() : e.toString(), e);
        return CliException.FAILURE;
    }

    private static void print(String message, Throwable e) {
        System.err.println("lngd: " + message.replaceAll("\\s*\\R\\s*", " "));
        if (System.getenv("LNGD_DEBUG") != null) {
            e.printStackTrace();
        }
        System.err.flush();
    }
}
