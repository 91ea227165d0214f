#!/kt/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# rdinit of a distribution's kernel, from its own initrd, in which our files are
# below /kt: go there, with all of that initrd below /debian.
/kt/bin/busybox mount -o bind / /kt/debian
exec /kt/bin/busybox chroot /kt /init
