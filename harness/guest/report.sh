#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# One line a fact of the running kernel, for the host.
echo "BOOT id $(cat /proc/sys/kernel/random/boot_id)"
echo "BOOT release $(uname -r) $(uname -v)"
echo "BOOT cmdline $(cat /proc/cmdline)"
