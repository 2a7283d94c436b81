// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The layer sets that the benchmarks run on, built from the architectures rather than typed in, and checked against the published
 * number of parameters of each network.
 *
 * <pre>
 *   java bench/layers/Layers.java write bench/layers    writes one CSV a network
 *   java bench/layers/Layers.java check bench/layers    exit code 1 where a committed file is not what this program writes
 * </pre>
 */
public final class Layers {
    static final String HEADER = "name,kind,inputs,outputs,kernel,stride,padding,groups,height,width,bias,batch,activation";
    static final int BATCH = 256;

    /** Inputs and outputs of a convolution are channels; height and width are those of its input, of a dense layer the positions of a sample. */
    record Layer(String name, String kind, int inputs, int outputs, int kernel, int stride, int padding, int groups, int height, int width,
            boolean bias, String activation) {
        long parameters() {
            return (long) inputs / groups * kernel * kernel * outputs + (bias ? outputs : 0);
        }

        String csv() {
            return String.join(",", name, kind, "" + inputs, "" + outputs, "" + kernel, "" + stride, "" + padding, "" + groups, "" + height,
                    "" + width, bias ? "1" : "0", "" + BATCH, activation);
        }
    }

    /** A network under construction. {@code side} is the height and width of the activations at this point. */
    static final class Network {
        final List<Layer> layers = new ArrayList<>();
        int side;

        void dense(String name, int inputs, int outputs, int positions, boolean bias, String activation) {
            layers.add(new Layer(name, "dense", inputs, outputs, 1, 1, 0, 1, 1, positions, bias, activation));
        }

        /** A square convolution that does not change {@code side}: branches share their input. Returns its output's side. */
        int branch(String name, int inputs, int outputs, int kernel, int stride, int padding, boolean bias, String activation) {
            layers.add(new Layer(name, "conv", inputs, outputs, kernel, stride, padding, 1, side, side, bias, activation));
            return (side + 2 * padding - kernel) / stride + 1;
        }

        void conv(String name, int inputs, int outputs, int kernel, int stride, int padding, boolean bias, String activation) {
            side = branch(name, inputs, outputs, kernel, stride, padding, bias, activation);
        }

        long parameters() {
            return layers.stream().mapToLong(Layer::parameters).sum();
        }

        /** Scale and shift of the batch normalisation that follows every convolution without a bias. */
        long normalisation() {
            return layers.stream().filter(l -> l.kind.equals("conv") && !l.bias).mapToLong(l -> 2L * l.outputs).sum();
        }

        /** {@code others}: parameters of the network that no layer of the file holds. */
        Network of(long published, long others) {
            if (parameters() + others != published) {
                throw new IllegalStateException(parameters() + " + " + others + " parameters, but the network has " + published);
            }
            return this;
        }
    }

    static Network mlp() {
        Network n = new Network();
        n.dense("dense0", 784, 256, 1, true, "relu");
        n.dense("dense1", 256, 128, 1, true, "relu");
        n.dense("output", 128, 10, 1, true, "softmax");
        return n.of(235_146, 0); // DL4J's summary of 784-256-128-10
    }

    /** The LeNet of Caffe's and DL4J's MNIST examples: 20 and 50 filters, max pooling by 2 after each. */
    static Network lenet() {
        Network n = new Network();
        n.side = 28;
        n.conv("conv0", 1, 20, 5, 1, 0, true, "identity");
        n.side /= 2;
        n.conv("conv1", 20, 50, 5, 1, 0, true, "identity");
        n.side /= 2;
        n.dense("dense", 50 * n.side * n.side, 500, 1, true, "relu");
        n.dense("output", 500, 10, 1, true, "softmax");
        return n.of(431_080, 0);
    }

    /** ResNet-18 as it is built for CIFAR-10 everywhere: a 3 x 3 stem without pooling, 1 x 1 convolutions where a shortcut changes shape. */
    static Network resnet18() {
        Network n = new Network();
        n.side = 32;
        n.conv("conv1", 3, 64, 3, 1, 1, false, "relu");
        int channels = 64;
        for (int stage = 1; stage <= 4; stage++) {
            int width = 32 << stage;
            for (int block = 0; block < 2; block++) {
                int stride = stage > 1 && block == 0 ? 2 : 1;
                String name = "layer" + stage + "." + block + ".";
                if (stride != 1 || channels != width) {
                    n.branch(name + "shortcut", channels, width, 1, stride, 0, false, "identity");
                }
                n.conv(name + "conv1", channels, width, 3, stride, 1, false, "relu");
                n.conv(name + "conv2", width, width, 3, 1, 1, false, "identity"); // added to the shortcut before ReLU
                channels = width;
            }
        }
        n.dense("linear", 512, 10, 1, true, "softmax");
        return n.of(11_173_962, n.normalisation());
    }

    /** ResNet-50 as in torchvision: the stride of a bottleneck is in its 3 x 3 convolution. */
    static Network resnet50() {
        Network n = new Network();
        n.side = 224;
        n.conv("conv1", 3, 64, 7, 2, 3, false, "relu");
        n.side = (n.side + 2 - 3) / 2 + 1; // max pooling 3, stride 2, padding 1
        int channels = 64;
        int[] blocks = {3, 4, 6, 3};
        for (int stage = 1; stage <= 4; stage++) {
            int width = 32 << stage;
            for (int block = 0; block < blocks[stage - 1]; block++) {
                int stride = stage > 1 && block == 0 ? 2 : 1;
                String name = "layer" + stage + "." + block + ".";
                if (block == 0) {
                    n.branch(name + "downsample", channels, 4 * width, 1, stride, 0, false, "identity");
                }
                n.conv(name + "conv1", channels, width, 1, 1, 0, false, "relu");
                n.conv(name + "conv2", width, width, 3, stride, 1, false, "relu");
                n.conv(name + "conv3", width, 4 * width, 1, 1, 0, false, "identity");
                channels = 4 * width;
            }
        }
        n.dense("fc", 2048, 1000, 1, true, "softmax");
        return n.of(25_557_032, n.normalisation());
    }

    /**
     * Transformer-Big (Vaswani et al. 2017) as fairseq builds it for WMT En-De with one dictionary of 32768 for both sides and all embeddings
     * shared: the output projection is that matrix. A sample is a sentence of 32 positions, a choice of ours: the corpus has about 25 tokens a
     * sentence and padding. Embedding look-ups have a diagonal Phi and no kernel here.
     */
    static Network transformer() {
        final int width = 1024, hidden = 4096, vocabulary = 32768, positions = 32, depth = 6;
        Network n = new Network();
        long norms = 0;
        for (String side : new String[] {"encoder", "decoder"}) {
            boolean decoder = side.equals("decoder");
            for (int i = 0; i < depth; i++) {
                String name = side + "." + i + ".";
                for (String attention : decoder ? new String[] {"self", "cross"} : new String[] {"self"}) {
                    for (String role : new String[] {"q", "k", "v", "out"}) {
                        n.dense(name + attention + "." + role, width, width, positions, true, "identity");
                    }
                }
                n.dense(name + "fc1", width, hidden, positions, true, "relu");
                n.dense(name + "fc2", hidden, width, positions, true, "identity");
                norms += (decoder ? 3 : 2) * 2L * width;
            }
        }
        n.dense("output", width, vocabulary, positions, false, "softmax");
        return n.of(209_911_808, norms);
    }

    static String file(Network network) {
        StringBuilder text = new StringBuilder(HEADER).append('\n');
        network.layers.forEach(l -> text.append(l.csv()).append('\n'));
        return text.toString();
    }

    public static void main(String[] args) throws IOException {
        if (args.length != 2 || !(args[0].equals("write") || args[0].equals("check"))) {
            System.err.println("usage: java bench/layers/Layers.java write|check FOLDER");
            System.exit(2);
        }
        String[] names = {"mlp", "lenet", "resnet18-cifar", "resnet50-imagenet", "transformer-big"};
        Network[] networks = {mlp(), lenet(), resnet18(), resnet50(), transformer()};
        boolean same = true;
        for (int i = 0; i < names.length; i++) {
            Path path = Path.of(args[1], names[i] + ".csv");
            String text = file(networks[i]);
            if (args[0].equals("write")) {
                Files.writeString(path, text);
            } else if (!Files.exists(path) || !Files.readString(path).equals(text)) {
                same = false;
                System.err.println(path + " is not what Layers.java writes");
            }
            System.out.printf("%s: %d layers, %d parameters%n", names[i], networks[i].layers.size(), networks[i].parameters());
        }
        System.exit(same ? 0 : 1);
    }
}
