#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# ima.sh first: have files measured, then kexec into the same kernel and initrd.
# ima.sh second LENGTH DIGEST: see that what was on IMA's list then is on it now.
ima=/sys/kernel/security/ima
list=$ima/ascii_runtime_measurements

# retain_initrd keeps the initrd as a file for whoever starts another kernel.
load()
{
	kexec -s -l /boot/bzImage --initrd=/sys/firmware/initrd \
		--command-line="$(sed "s/kt.run=.*/kt.run=$1/" /proc/cmdline)"
}

digest()
{
	head -n "$1" $list | sha256sum | cut -d ' ' -f 1
}

first()
{
	for what in KEXEC_KERNEL_CHECK KEXEC_INITRAMFS_CHECK KEXEC_CMDLINE; do
		echo "measure func=$what" >$ima/policy || exit
	done
	load "" || exit
	length=$(wc -l <$list)
	load "\/harness\/ima.sh:second:$length:$(digest "$length")" || exit
	kexec -e -x	# there is no network to take down
}

tests=0
check()
{
	tests=$((tests + 1))
	word=ok
	[ "$2" = "$3" ] || word="not ok"
	echo "$word $tests $1"
	[ "$word" = ok ] || echo "# $2, expected $3"
}

# The command line of this boot came after the list was counted.
second()
{
	check "four entries by the first load" "$1" 4
	check "the entries of the first kernel" "$(digest "$1")" "$2"
	check "the command line of this one" \
		"$(grep " kexec-cmdline " $list | tail -n 1 | cut -d ' ' -f 6)" \
		"$(tr -d '\n' </proc/cmdline | xxd -p | tr -d '\n')"
	check "the starts of both" "$(grep -c " boot_aggregate$" $list)" 2
}

"$@"
