// SPDX-License-Identifier: Apache-2.0

/** {@code lngd fisher}: the exact Fisher block of a layer beside its approximations. */
package org.lngd4j.cli.fisher;
