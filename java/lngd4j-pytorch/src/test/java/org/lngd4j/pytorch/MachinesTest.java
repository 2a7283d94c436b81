// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.ParameterRule;

/** Two machines train as one process does, until somebody cuts the cable. */
@Tag("slow")
@EnabledIf(
        value = "allowed",
        disabledReason = "making network namespaces needs root, CAP_SYS_ADMIN and ip (iproute2)")
class MachinesTest {
    @TempDir Path folder;

    static boolean allowed() {
        return Machines.allowed();
    }

    @Test
    void twoMachinesTrainAsOneAndACutCableIsAnExceptionOnBoth() throws Exception {
        List<Process> processes = new ArrayList<>();
        try (Machines machines = Machines.start()) {
            for (int rank = 0; rank < 2; rank++) {
                processes.add(
                        machines.java(
                                rank,
                                folder.resolve("log." + rank),
                                MachineProgram.class,
                                folder.toString(),
                                Integer.toString(rank)));
            }
            await(processes, "trained.0", "trained.1");
            machines.cut();
            long cut = System.nanoTime();
            for (int rank = 0; rank < 2; rank++) {
                assertThat(processes.get(rank).waitFor(30, TimeUnit.SECONDS))
                        .as(log(rank))
                        .isTrue();
                assertThat(processes.get(rank).exitValue()).as(log(rank)).isZero();
                assertThat(Files.readString(folder.resolve("cut." + rank)))
                        .startsWith("rank " + rank + " of 2: the ")
                        .contains("Another rank has died, given up, or hung for PT5S");
            }
            // One timeout, and what it takes a busy machine to end two JVMs.
            assertThat(System.nanoTime() - cut)
                    .isBetween(
                            MachineProgram.TIMEOUT.minusSeconds(1).toNanos(),
                            3 * MachineProgram.TIMEOUT.toNanos());
        } finally {
            processes.forEach(Process::destroyForcibly);
        }
        assertThat(weights(1)).containsExactly(weights(0));
        float[] one = alone();
        for (int i = 0; i < one.length; i++) {
            // sums of float32 in another order, as in RanksTest
            assertThat(weights(0)[i]).isCloseTo(one[i], org.assertj.core.data.Offset.offset(1e-5f));
        }
    }

    private static float[] alone() {
        RankNets.Net net = new RankNets.Mlp(1);
        try (LngdTorch lngd =
                LngdTorch.attach(
                        net,
                        RankProgram.Run.MLP_BLOCK_KRONECKER.options(),
                        ParameterRule.adamW())) {
            lngd.leaveAverages(false);
            for (int step = 0; step < MachineProgram.STEPS; step++) {
                org.bytedeco
                        .pytorch
                        .global
                        .torch
                        .cross_entropy_loss(
                                net.forward(net.inputs(step)),
                                Nets.labels(step, RankNets.samples(step)))
                        .backward();
                lngd.step();
                lngd.zeroGrad();
            }
        }
        return Nets.weights(net);
    }

    private void await(List<Process> processes, String... files) throws Exception {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(120);
        for (String file : files) {
            while (!Files.exists(folder.resolve(file))) {
                boolean running = processes.stream().allMatch(Process::isAlive);
                if (!running || System.nanoTime() > until) {
                    throw new AssertionError(file + " is not there:\n" + log(0) + log(1));
                }
                Thread.sleep(50);
            }
        }
    }

    private String log(int rank) throws IOException {
        return Files.readString(folder.resolve("log." + rank));
    }

    private float[] weights(int rank) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(folder.resolve("weights." + rank)));
        float[] weights = new float[bytes.remaining() / Float.BYTES];
        bytes.asFloatBuffer().get(weights);
        return weights;
    }
}
