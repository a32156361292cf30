/*
 * program.h: a program of commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include "tool.h"

G_BEGIN_DECLS

int virtHptProgramRun(const VirtHptCommand *table, int argc, char **argv);

G_END_DECLS
