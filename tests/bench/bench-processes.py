#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast a stopped guest with incompressible memory moves between two
processes over tcp loopback, against a plain sender and receiver of as many
bytes, also two processes. In turn, in one run. Prints a table and one line of
JSON.

Both receive into memory that is there already. The first touch of a page costs
its clearing, and on a host that is itself a guest perhaps a fault in the
hypervisor, at a tenth of the speed: that depends on how long the memory has
been free, and so says nothing about either.

bench-processes.py [MIB [RUNS]]
"""
import json
import mmap
import os
import socket
import sys
import time

import migrate
from migrate import MIB

LIMIT = 0.8     # what the project promises: at least so much of the reference
CHUNK = 2 * MIB


def memory(size):
    """Anonymous, private, and with huge pages, as guest memory is."""
    area = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_HUGEPAGE)
    return area


def touch(area):
    for at in range(0, len(area), mmap.PAGESIZE):
        area[at] = 1


def receive(listener, size):
    """As much as @size into touched memory; says 'r' and when it has it '.'."""
    area = memoryview(memory(size))
    touch(area)
    peer = listener.accept()[0]
    peer.sendall(b'r')
    at = 0
    while at < size:
        n = peer.recv_into(area[at:at + CHUNK])
        if n == 0:
            os._exit(1)
        at += n
    peer.sendall(b'.')
    os._exit(0)


def raw(source, size):
    """Bytes a second from the first one sent until all are said to be there."""
    listener = socket.create_server(('127.0.0.1', 0))
    child = os.fork()
    if child == 0:
        receive(listener, size)
    line = socket.create_connection(listener.getsockname())
    if line.recv(1) != b'r':
        raise RuntimeError('the receiver did not begin')
    view = memoryview(source)
    began = time.monotonic()
    for at in range(0, size, CHUNK):
        line.sendall(view[at:at + CHUNK])
    if line.recv(1) != b'.':
        raise RuntimeError('the receiver ended early')
    seconds = time.monotonic() - began
    os.waitpid(child, 0)
    return size / seconds


def moved(pair):
    """Bytes of guest memory a second, from the end of set-up to completion."""
    info = pair.run()
    sent = info['ram']['normal-bytes']
    speed = sent / ((info['total-time'] - info['setup-time']) / 1000)
    pair.dst.close()
    pair.dst = None
    # The other one is gone, so this one may be sent again.
    pair.src.command('cont')
    pair.src.command('stop')
    return speed, sent


def main():
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    plain, here, sent = [], [], 0
    with migrate.folder() as folder:
        image = migrate.pattern(folder, mib, fill=True, passes=1, print_ms=0)
        pair = migrate.Pair(
            '-object', f'memory-backend-ram,id=ram,size={mib}M,prealloc=on',
            machine='memory-backend=ram', ram_mib=mib, image=image)
        try:
            pair.src.wait_serial('passes ', timeout=240)
            pair.src.command('stop')
            source = memory(mib * MIB)
            for at in range(0, mib * MIB, CHUNK):
                source[at:at + CHUNK] = os.urandom(CHUNK)
            for _ in range(runs):
                plain.append(raw(source, mib * MIB))
                speed, sent = moved(pair)
                here.append(speed)
        finally:
            pair.close()
    ratio = migrate.median(b / a for a, b in zip(plain, here))
    print(f'{"":28} {"MB/s":>8} {"min":>8} {"max":>8}   ({runs} runs each, {mib} MiB)')
    for name, speeds in (('plain send and receive', plain), ('migration', here)):
        print(f'{name:28} {migrate.median(speeds) / 1e6:8.0f} {min(speeds) / 1e6:8.0f} '
              f'{max(speeds) / 1e6:8.0f}')
    print(f'{"ratio":28} {ratio:8.2f}   (at least {LIMIT})')
    print(json.dumps({'bench': 'processes', 'mib': mib, 'sent_bytes': sent, 'plain_bps': plain,
                      'migration_bps': here, 'ratio': ratio, 'limit': LIMIT}))
    return 0 if ratio >= LIMIT else 1


if __name__ == '__main__':
    sys.exit(main())
