#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The first and only script of the Linux guest of scripts/get-guest. The kernel
# command line says what to do:
#   godwit.run=COMMAND     a shell command ('+' for blank); default: a shell
#   godwit.modules=no      load no modules
# Prints "godwit-guest: ready" before, "godwit-guest: done STATUS" after, and
# powers off. Where there is a keyboard, its power button does that as well,
# at any time from "ready" on, and prints "godwit-guest: power button".
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null

run=
for word in $(cat /proc/cmdline); do
    case $word in
    godwit.run=*) run=$(echo "${word#godwit.run=}" | tr + ' ') ;;
    godwit.modules=no) : > /modules/order; : > /modules/order-keyboard ;;
    esac
done

load() {
    for name in $(cat "/modules/$1"); do
        insmod "/modules/$name.ko" || echo "godwit-guest: cannot load $name"
    done
}

# acpid runs what is called like the event.
heed_power_button() {
    mkdir -p /etc/acpi/PWRF /var/log /var/run
    cat > /etc/acpi/PWRF/00000080 <<'END'
#!/bin/sh
echo "godwit-guest: power button" > /dev/console
poweroff -f
END
    chmod 755 /etc/acpi/PWRF/00000080
    acpid
}

load order
# 18 is the virtio device type of keyboards.
if grep -qs 0x0012 /sys/bus/virtio/devices/*/device; then
    load order-keyboard
    [ ! -e /dev/input/event0 ] || heed_power_button
fi

echo "godwit-guest: ready, $(uname -sr), $(nproc) harts"
if [ -n "$run" ]; then
    sh -c "$run"
    echo "godwit-guest: done $?"
    poweroff -f
fi
exec setsid cttyhack sh
