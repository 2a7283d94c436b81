// SPDX-License-Identifier: Apache-2.0
/** The Transformer on PyTorch: encoder, decoder, and the search for a translation. */
package org.lngd4j.cli.pytorch.transformer;
