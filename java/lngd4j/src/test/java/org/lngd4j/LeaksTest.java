// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** What nobody closes is found, given back, and reported with the place where it was made. */
class LeaksTest {
    private final Logger logger = Logger.getLogger("org.lngd4j.leaks");
    private final List<LogRecord> records = new CopyOnWriteArrayList<>();
    private final Handler handler =
            new Handler() {
                @Override
                public void publish(LogRecord record) {
                    // What other tests left behind may be found while this one runs.
                    if (stack(record).contains("LeaksTest." + test)) {
                        records.add(record);
                    }
                }

                @Override
                public void flush() {}

                @Override
                public void close() {}
            };

    private volatile String test;

    @BeforeEach
    void listen(TestInfo info) {
        test = info.getTestMethod().orElseThrow().getName();
        logger.addHandler(handler);
        logger.setUseParentHandlers(false);
        System.setProperty("org.lngd4j.leaks", "true");
    }

    @AfterEach
    void stop() {
        System.clearProperty("org.lngd4j.leaks");
        logger.removeHandler(handler);
        logger.setUseParentHandlers(true);
    }

    @Test
    void aLeakedOptimizerIsReportedWithItsOrigin() {
        leakOptimizer();
        collectUntil(() -> !records.isEmpty());
        assertThat(records.get(0).getMessage())
                .contains("LngdOptimizer of 1 layers")
                .contains("never closed");
        assertThat(stack(records.get(0))).contains("LeaksTest").contains("leakOptimizer");
    }

    private static void leakOptimizer() {
        new Net(LngdOptions.recipe(10));
    }

    @Test
    void aLeakedPlanIsDestroyedByTheNextCallAtTheLatest() {
        Net net = new Net(LngdOptions.recipe(10));
        long before = net.optimizer.memory().total();
        for (int i = 0; i < 50; i++) {
            net.plan(net.w, net.b);
        }
        collectUntil(() -> records.size() == 50);
        assertThat(records.get(0).getMessage()).contains("StepPlan");
        assertThat(net.optimizer.memory().total()).isEqualTo(before);
        net.stepped(2);
        net.optimizer.close();
    }

    @Test
    void whatIsClosedIsNotReported() {
        for (int i = 0; i < 20; i++) {
            Net net = new Net(LngdOptions.recipe(10));
            try (StepPlan plan = net.plan(net.w, net.b)) {
                assertThat(plan.optimizer()).isSameAs(net.optimizer);
            }
            net.optimizer.close();
        }
        leakOptimizer();
        // The leak made last shows that the cleaner has been round.
        collectUntil(() -> !records.isEmpty());
        assertThat(records).hasSize(1);
    }

    private static void collectUntil(BooleanSupplier condition) {
        for (int i = 0; i < 200 && !condition.getAsBoolean(); i++) {
            System.gc();
            try {
                Thread.sleep(20);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        assertThat(condition.getAsBoolean()).isTrue();
    }

    private static String stack(LogRecord record) {
        StringWriter text = new StringWriter();
        record.getThrown().printStackTrace(new PrintWriter(text));
        return text.toString();
    }
}
