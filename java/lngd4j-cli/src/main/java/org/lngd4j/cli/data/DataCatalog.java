// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.nio.file.Path;
import java.util.function.Consumer;

/** The data sets that {@code --data} can name: the one place where they are listed. */
public final class DataCatalog {
    private DataCatalog() {}

    /**
     * Finds and reads a data set.
     *
     * @param data the value of {@code --data}: a name, a folder of IDX or CIFAR-10 files, or null
     *     for Fashion-MNIST
     * @param notice is told, in one line each, of what takes time
     */
    public static Dataset read(String data, Consumer<String> notice) {
        if (CurvesDataset.NAME.equals(data)) {
            return CurvesDataset.generate();
        }
        if (GlyphsDataset.NAME.equals(data)) {
            return GlyphsDataset.generate();
        }
        Path folder =
                Cifar10.NAME.equals(data)
                        ? new Cifar10Archive(notice).locate()
                        : new FashionMnist(notice).locate(data);
        return Cifar10.isIn(folder) ? Cifar10.read(folder) : Dataset.read(folder);
    }
}
