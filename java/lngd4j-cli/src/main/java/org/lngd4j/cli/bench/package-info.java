// SPDX-License-Identifier: Apache-2.0

/** Tables and a picture of what {@code lngd bench --json} wrote. */
package org.lngd4j.cli.bench;
