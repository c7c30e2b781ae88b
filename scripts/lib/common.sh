# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the scripts that a person starts: saying what is done, installing
# what is missing, building. Sourced by bash, in the folder of the sources.

# Debian 12's packages: to build, to test, and for the Linux guest.
build_packages=(gcc meson ninja-build pkg-config python3 libglib2.0-dev
    libjson-c-dev libfdt-dev libslirp-dev libcap-ng-dev libseccomp-dev
    libreadline-dev zlib1g-dev libzstd-dev opensbi python3-docutils)
guest_packages=(gcc-riscv64-unknown-elf cpio xz-utils gzip)
test_packages=(clang libclang-rt-14-dev qemu-system-misc device-tree-compiler
    libvirt-daemon-system libvirt-clients)

say() {
    printf '== %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
    exit 1
}

# need_packages PACKAGE...: installs those of them that are missing.
need_packages() {
    local missing=() package sudo=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
            grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing: ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            die "missing packages, and neither root nor sudo to install them: ${missing[*]}"
        sudo=sudo
    fi
    $sudo apt-get -q update >/dev/null || die "apt-get update failed"
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y \
        --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get could not install: ${missing[*]}"
}

# build FOLDER [CONFIGURE-OPTION...]: configures once, builds, quietly.
build() {
    local dir=$1 log
    shift
    log=$(mktemp)
    say "building in $dir"
    if ! { [ -f "$dir/build.ninja" ] || ./configure --builddir="$dir" "$@"; } \
            >"$log" 2>&1 || ! ninja -C "$dir" >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die "the build failed; the whole output is in $log"
    fi
    rm -f "$log"
}
