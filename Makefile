# SPDX-License-Identifier: GPL-2.0
# "make help" lists what can be made.

export KERNEL_SRC ACCEL JOBS
export PYTHONDONTWRITEBYTECODE = 1

# The first run on a fresh machine has no python3 before deps is through.
PYTHON = python3

.DEFAULT_GOAL := help
.NOTPARALLEL:

help:	## this list
	@echo 'make TARGET [VARIABLE=value]'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | \
		while IFS='|' read -r target text; do \
			printf '%-16s%s\n' "$$target" "$$text"; done
	@echo
	@echo '  KERNEL_SRC=PATH a Linux 6.12 tree or tarball, in place of linux-source-6.12'
	@echo '  ACCEL=kvm       run the guests on KVM; the default is tcg'
	@echo '  MODE=load|file  with run: kexec_load or kexec_file_load; the default is both'
	@echo '  JOBS=N          how much to build at a time; the default is all processors'
	@echo '  CONFIG=debug    with kernel: build the kernel that finds mistakes'

run: deps	## boot our kernel, kexec into a second one, compare both
	@$(PYTHON) harness/run.py $(MODE)

test: deps	## every test: user space, KUnit, guests, builds, checks
	@harness/deps --check
	@$(PYTHON) harness/test.py

soak: deps	## the long matrix of guests: takes long
	@harness/deps --test
	@$(PYTHON) harness/test.py --soak

unit: deps	## the pure files in user space, under ASan and UBSan
	@$(PYTHON) harness/test.py --only unit

kunit: deps	## KUnit tests, by the kernel tree's own kunit.py
	@$(PYTHON) harness/test.py --only kunit

bench: deps	## side by side with the stock kexec; writes bench/RESULTS.md
	@$(PYTHON) bench/bench.py

check: deps	## checkpatch on each patch, sparse, W=1, a build with clang
	@harness/deps --check
	@harness/check

kernel: deps	## build/bzImage, build/vmlinux, build/.config
	@$(PYTHON) harness/kernel.py $(or $(CONFIG),release)
	@$(PYTHON) harness/initramfs.py

stock: deps	## build-stock/bzImage: the same config, the base's own kexec
	@$(PYTHON) harness/kernel.py stock

tree: deps	## build/linux: assemble the sources, build nothing
	@$(PYTHON) harness/tree.py

series: deps	## patches for git am, with a cover letter
	@harness/series

series-check: deps	## does each patch build, and is the last tree ours
	@harness/series-check

apply: deps	## put it into a kernel tree: make apply KDIR=/path/to/linux
	@harness/apply "$(KDIR)"

deps:	## install what is missing (root), or say what is
	@harness/deps

clean:	## remove the build folders; the cache folder stays
	rm -rf build build-debug build-stock

.PHONY: help run test soak unit kunit bench check kernel stock tree series \
	series-check apply deps clean
