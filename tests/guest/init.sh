#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The first and only script of the Linux guest of scripts/get-guest. The kernel
# command line says what to do:
#   godwit.run=COMMAND     a shell command ('+' for blank); default: a shell
#   godwit.modules=no      load no modules
# Prints "godwit-guest: ready" before, "godwit-guest: done STATUS" after, and
# powers off.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null

run=
for word in $(cat /proc/cmdline); do
    case $word in
    godwit.run=*) run=$(echo "${word#godwit.run=}" | tr + ' ') ;;
    godwit.modules=no) : > /modules/order ;;
    esac
done

for name in $(cat /modules/order); do
    insmod "/modules/$name.ko" || echo "godwit-guest: cannot load $name"
done

echo "godwit-guest: ready, $(uname -sr), $(nproc) harts"
if [ -n "$run" ]; then
    sh -c "$run"
    echo "godwit-guest: done $?"
    poweroff -f
fi
exec setsid cttyhack sh
