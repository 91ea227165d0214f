#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# first.sh OPTION: the first kernel of "make run": report, load the second one by
# the system call that kexec's OPTION is for, start it.
trace=/sys/kernel/tracing
/harness/report.sh
[ ! -e $trace/events/kexec ] || echo 1 >$trace/events/kexec/enable

kexec "$1" -l /boot/bzImage --initrd=/boot/initrd --command-line="console=ttyS0,115200 earlyprintk=ttyS0,115200 panic=-1 panic_on_warn=1 kt.run=/harness/report.sh" || exit
echo "LOADED $(cat /sys/kernel/kexec_loaded)"
sed -n 's/.*kexec_load: /LOAD /p' $trace/trace
echo "REBOOT"
kexec -e -x	# there is no network to take down
