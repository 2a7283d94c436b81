import java.util.List;
import org.bytedeco.javacpp.Loader;
import org.deeplearning4j.datasets.iterator.utilty.ListDataSetIterator;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.LngdOptions;
import org.lngd4j.dl4j.Lngd;
import org.lngd4j.dl4j.LngdTraining;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.api.iterator.DataSetIterator;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** The example of README.md, in a project of one's own. */
public class Trainer {
    static void train(MultiLayerNetwork net, DataSetIterator data, int epochs) {
        long steps = Lngd.steps(data, epochs); // goes through the data once, to count batches
        LngdOptions options = Lngd.recommended(net, steps, data.batch());
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            System.out.println(lngd.report()); // what is done with each layer, and why
            net.fit(data, epochs);
        } // the network is as it was, with trained (averaged) weights
    }

    public static void main(String[] arguments) throws Exception {
        Nd4j.getRandom().setSeed(1);
        MultiLayerNetwork net =
                new MultiLayerNetwork(
                        new NeuralNetConfiguration.Builder()
                                .seed(1)
                                .list()
                                .layer(
                                        new DenseLayer.Builder()
                                                .nIn(20)
                                                .nOut(64)
                                                .activation(Activation.RELU)
                                                .build())
                                .layer(
                                        new OutputLayer.Builder(LossFunction.MCXENT)
                                                .nIn(64)
                                                .nOut(3)
                                                .activation(Activation.SOFTMAX)
                                                .build())
                                .build());
        net.init();
        INDArray x = Nd4j.randn(2000, 20);
        INDArray y = Nd4j.zeros(2000, 3);
        for (int i = 0; i < 2000; i++) {
            double sum = x.getDouble(i, 0) + x.getDouble(i, 1);
            y.putScalar(i, sum < -0.6 ? 0 : sum < 0.6 ? 1 : 2, 1);
        }
        List<DataSet> samples = new DataSet(x, y).asList();
        DataSetIterator data = new ListDataSetIterator<>(samples, 50);
        double before = net.evaluate(data).accuracy();
        train(net, data, 5);
        System.out.printf(
                "accuracy %.3f -> %.3f, JavaCPP %s%n",
                before, net.evaluate(data).accuracy(), Loader.getVersion());
    }
}
