// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** Progress bars on the terminal of standard error. */
public final class Bars {
    private Bars() {}

    /**
     * A bar to go on with. It is told how wide the terminal is: a bar that asks does so through
     * JLine, which takes the handler of SIGINT, and Ctrl-C then ends the JVM without its shutdown
     * hooks, which write the checkpoint.
     */
    public static ProgressBarBuilder on(String task, long steps) {
        return new ProgressBarBuilder()
                .setTaskName(task)
                .setInitialMax(steps)
                .setStyle(ProgressBarStyle.ASCII)
                .setMaxRenderedLength(Terminal.columns())
                .setConsumer(new ConsoleProgressBarConsumer(System.err, Terminal.columns()));
    }
}
