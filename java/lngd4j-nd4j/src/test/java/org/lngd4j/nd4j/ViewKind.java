// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nd4j;

import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** Ways in which ND4J can hold a matrix; each makes one with the values of a compact 'c' array. */
enum ViewKind {
    C {
        @Override
        INDArray of(INDArray a) {
            return a.dup('c');
        }
    },
    F {
        @Override
        INDArray of(INDArray a) {
            return a.dup('f');
        }
    },
    TRANSPOSED {
        @Override
        INDArray of(INDArray a) {
            return a.transpose().dup('c').transpose();
        }
    },
    ROWS_OF_LARGER {
        @Override
        INDArray of(INDArray a) {
            INDArray larger = Nd4j.rand(DataType.FLOAT, a.size(0) + 5, a.size(1));
            return put(larger.get(NDArrayIndex.interval(3, 3 + a.size(0)), NDArrayIndex.all()), a);
        }
    },
    COLUMNS_OF_LARGER {
        @Override
        INDArray of(INDArray a) {
            INDArray larger = Nd4j.rand(DataType.FLOAT, a.size(0), a.size(1) + 4);
            return put(larger.get(NDArrayIndex.all(), NDArrayIndex.interval(2, 2 + a.size(1))), a);
        }
    },
    COLUMNS_OF_LARGER_F {
        @Override
        INDArray of(INDArray a) {
            INDArray larger = Nd4j.rand(DataType.FLOAT, a.size(0) + 2, a.size(1) + 4).dup('f');
            return put(
                    larger.get(
                            NDArrayIndex.interval(1, 1 + a.size(0)),
                            NDArrayIndex.interval(2, 2 + a.size(1))),
                    a);
        }
    },
    EVERY_SECOND {
        @Override
        INDArray of(INDArray a) {
            INDArray larger = Nd4j.rand(DataType.FLOAT, 2 * a.size(0), 3 * a.size(1));
            return put(
                    larger.get(
                            NDArrayIndex.interval(0, 2, 2 * a.size(0)),
                            NDArrayIndex.interval(0, 3, 3 * a.size(1))),
                    a);
        }
    },
    SLICE_OF_RANK_3 {
        @Override
        INDArray of(INDArray a) {
            INDArray larger = Nd4j.rand(DataType.FLOAT, a.size(0), 3, a.size(1));
            return put(
                    larger.get(NDArrayIndex.all(), NDArrayIndex.point(1), NDArrayIndex.all()), a);
        }
    },
    PERMUTED_RANK_3 {
        @Override
        INDArray of(INDArray a) {
            INDArray larger = Nd4j.rand(DataType.FLOAT, 3, a.size(1), a.size(0)).permute(2, 1, 0);
            return put(
                    larger.get(NDArrayIndex.all(), NDArrayIndex.all(), NDArrayIndex.point(2)), a);
        }
    },
    PART_OF_A_FLAT_VECTOR {
        @Override
        INDArray of(INDArray a) {
            INDArray flat = Nd4j.rand(DataType.FLOAT, 1, a.length() + 11);
            INDArray part = flat.get(NDArrayIndex.all(), NDArrayIndex.interval(7, 7 + a.length()));
            return put(part.reshape('f', a.size(0), a.size(1)), a);
        }
    };

    abstract INDArray of(INDArray a);

    private static INDArray put(INDArray view, INDArray a) {
        view.assign(a);
        return view;
    }
}
