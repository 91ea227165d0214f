#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# whole.sh HOW KERNEL INITRD JUMPS: report, and jump to the KERNEL with the INITRD
# (files of the disk; none: the disk is its root), until it was JUMPS times from
# ours. From a distribution's kernel on, the next is ours again.
#	HOW	kexec's option for the system call, or systemctl
how=$1 kernel=$2 initrd=$3 jumps=$4
efi=/sys/firmware/efi

fail()
{
	echo "FAILED $*"
	exit 1
}

# A distribution's kernel gets at the disk with the modules of its own initrd.
mount_disk()
{
	[ ! -e /boot/bzImage ] || return 0
	[ ! -d /debian ] ||
		chroot /debian modprobe -a virtio_pci virtio_blk ext4 || return
	for try in 1 2 3 4 5; do
		[ -e /dev/vda ] || sleep 1
	done
	mkdir /run/disk
	mount -o ro /dev/vda /run/disk && mount -o bind /run/disk/boot /boot
}

# A call into the firmware that is answered, and one that is remembered.
check_efi()
{
	vars=$efi/efivars
	# Linux's own GUID, of which a file is not immutable
	counter=$vars/kexec-cfc8fc79-be2e-4ddc-97f0-9f98bfe298a0
	[ ! -d /debian ] || insmod /efivarfs.ko || return
	mount -t efivarfs efivarfs $vars || return
	maps=$(ls -d $efi/runtime-map/* | wc -l)
	[ "$maps" -gt 0 ] || return
	count=0
	[ ! -e $counter ] || count=$(tail -c +5 $counter)
	printf '\007\0\0\0%d' $((count + 1)) >$counter || return
	echo "EFI variables $(ls $vars | wc -l) maps $maps counter $count"
}

# The command line of the next kernel: this one's, with other words at its end.
words()
{
	sed 's/ \(rdinit\|root\|kt.run\)=.*//' /proc/cmdline | tr '\n' ' '
	case $kernel in
	*/*)	printf 'rdinit=/kt/harness/enter.sh ' ;;
	esac
	[ "$initrd" != none ] || printf 'root=/dev/vda ro init=/init '
	echo "kt.run=/harness/whole.sh:$again:$jumps"
}

# What systemctl and, after it has stopped everything, systemd-shutdown do (252).
systemctl_kexec()
{
	if [ "$(cat /sys/kernel/kexec_loaded)" = 0 ]; then
		kexec --load "/boot/$kernel" --append "$1" \
			--initrd "/boot/$initrd" || return
	fi
	echo "LOADED $(cat /sys/kernel/kexec_loaded)"
	sync
	umount /boot /run/disk
	kexec -e	# never comes back, or the machine is just rebooted
	reboot -f
}

/harness/report.sh
mount_disk || fail "to mount the disk"
[ ! -d $efi ] || check_efi || fail "EFI"
if [ -e /sum ]; then
	md5sum -c /sum || fail "the initrd is not what it was"
fi
[ "$jumps" -gt 0 ] || exit 0

again=$how:$kernel:$initrd
if [ -d /debian ]; then
	how=-s kernel=bzImage initrd=initrd
else
	jumps=$((jumps - 1))
fi
asked=$(words)
echo "ASKED $asked"
if [ "$how" = systemctl ]; then
	systemctl_kexec "$asked"
	fail "systemctl kexec"
fi
if [ "$initrd" = none ]; then
	set --
else
	set -- "--initrd=/boot/$initrd"
fi
kexec "$how" -l "/boot/$kernel" "$@" --command-line="$asked" || fail "to load"
echo "LOADED $(cat /sys/kernel/kexec_loaded)"
kexec -e -x	# there is no network to take down
fail "to jump"
