// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.ParameterRule;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.RanksException;
import org.lngd4j.gloo.Rendezvous;

/** What each of the {@link Machines} runs. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class MachineProgram {
    static final int PORT = 29_407; // in a network of its own
    static final Duration TIMEOUT = Duration.ofSeconds(5);
    static final int STEPS = 12;

    private MachineProgram() {}

    /** Arguments: a folder for what is seen, the rank. */
    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        int rank = Integer.parseInt(args[1]);
        // One process may start much later than the other; from then on the timeout is short.
        Rendezvous rendezvous = Rendezvous.tcp(Machines.address(0), PORT);
        try (Ranks ranks =
                Ranks.connect(
                        rendezvous, rank, 2, Duration.ofSeconds(60), Machines.address(rank))) {
            ranks.gather("here");
        }
        String own = Machines.address(rank);
        Rendezvous second = Rendezvous.tcp(Machines.address(0), PORT + 1);
        try (Ranks ranks = Ranks.connect(second, rank, 2, TIMEOUT, own)) {
            train(folder, rank, ranks);
        }
    }

    private static void train(Path folder, int rank, Ranks ranks) throws IOException {
        RankNets.Net net = new RankNets.Mlp(1 + rank);
        try (LngdTorch lngd =
                LngdTorch.attach(
                        net,
                        RankProgram.Run.MLP_BLOCK_KRONECKER.options(),
                        ParameterRule.adamW(),
                        ranks)) {
            lngd.leaveAverages(false);
            for (int step = 0; step < STEPS; step++) {
                step(net, lngd, rank, step);
            }
            try (DataOutputStream out =
                    new DataOutputStream(
                            Files.newOutputStream(folder.resolve("weights." + rank)))) {
                for (float w : Nets.weights(net)) {
                    out.writeFloat(w);
                }
            }
            Files.createFile(folder.resolve("trained." + rank));
            while (true) { // until the cable is cut
                step(net, lngd, rank, 0);
            }
        } catch (RanksException e) {
            Files.writeString(folder.resolve("cut." + rank), e.getMessage());
        }
    }

    static void step(RankNets.Net net, LngdTorch lngd, int rank, int step) {
        try (PointerScope scope = new PointerScope()) {
            int half = RankNets.samples(step) / 2;
            int samples = rank == 0 ? half : RankNets.samples(step) - half;
            Tensor x = net.inputs(step).narrow(0, rank * half, samples);
            Tensor y = Nets.labels(step, RankNets.samples(step)).narrow(0, rank * half, samples);
            lngd.share(rank * half, samples);
            lngd.backward(torch.cross_entropy_loss(net.forward(x), y));
            lngd.step();
            lngd.zeroGrad();
        }
    }
}
