// SPDX-License-Identifier: Apache-2.0
/** The engine PyTorch of {@code lngd train}: its models, and the optimizers that train them. */
package org.lngd4j.cli.pytorch;
