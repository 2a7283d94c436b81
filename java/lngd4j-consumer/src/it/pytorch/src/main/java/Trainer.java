import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.pytorch.LngdLinear;
import org.lngd4j.pytorch.LngdTorch;

/** The example of docs/pytorch.md, in a project of one's own. */
public class Trainer {
    static class Classifier extends Module {
        final LngdLinear hidden = register_module("hidden", new LngdLinear(20, 64));
        final LngdLinear output =
                register_module("output", new LngdLinear(64, 3).output(OutputModel.SOFTMAX));

        Tensor forward(Tensor x) {
            return output.forward(torch.relu(hidden.forward(x)));
        }
    }

    static void train(Classifier model, Tensor x, Tensor labels, int batch, int epochs) {
        long perEpoch = x.size(0) / batch;
        LngdOptions options = LngdTorch.recommended(model, epochs * perEpoch, batch);
        try (LngdTorch lngd = LngdTorch.attach(model, options)) {
            System.out.println(lngd.report()); // what is done with each parameter, and why
            for (long step = 0; step < epochs * perEpoch; step++) {
                try (PointerScope scope = new PointerScope()) { // frees the tensors of the step
                    long from = step % perEpoch * batch;
                    Tensor logits = model.forward(x.narrow(0, from, batch));
                    torch.cross_entropy_loss(logits, labels.narrow(0, from, batch)).backward();
                    lngd.step();
                    lngd.zeroGrad();
                }
            }
        } // the model has the averaged weights
    }

    static double accuracy(Classifier model, Tensor x, Tensor labels) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            Tensor sums = model.forward(x).argmax(new org.bytedeco.pytorch.LongOptional(1), false);
            return sums.eq(labels).to(torch.ScalarType.Float).mean().item_float();
        }
    }

    public static void main(String[] arguments) throws Exception {
        torch.manual_seed(1);
        Classifier model = new Classifier();
        Tensor x = torch.randn(2000, 20);
        Tensor sum = x.narrow(1, 0, 2).sum(1);
        Tensor labels =
                sum.gt(new org.bytedeco.pytorch.Scalar(-0.6))
                        .to(torch.ScalarType.Long)
                        .add(
                                sum.gt(new org.bytedeco.pytorch.Scalar(0.6))
                                        .to(torch.ScalarType.Long));
        double before = accuracy(model, x, labels);
        train(model, x, labels, 50, 5);
        boolean nd4j = Trainer.class.getResource("/org/nd4j/linalg/factory/Nd4j.class") != null;
        System.out.printf(
                "accuracy %.3f -> %.3f, JavaCPP %s, ND4J %s%n",
                before, accuracy(model, x, labels), Loader.getVersion(), nd4j);
    }
}
