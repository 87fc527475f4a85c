"""Stores and fetches values in a memcached: one connection, then many, then a datagram."""

import os
import socket
import struct
import sys

host = sys.argv[1]


def say(f, line):
    f.write(line)
    f.flush()
    return f.readline()


conns = [socket.create_connection((host, 11211)).makefile("rwb") for _ in range(20)]
for i, f in enumerate(conns):
    value = os.urandom(5000)
    assert say(f, b"set k%d 0 0 5000\r\n%b\r\n" % (i, value)) == b"STORED\r\n"
    g = conns[-1 - i]
    assert say(g, b"get k%d\r\n" % i) == b"VALUE k%d 0 5000\r\n" % i
    assert g.read(5002) == value + b"\r\n"
    assert g.readline() == b"END\r\n"
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(60)
u.sendto(struct.pack("!HHHH", 7, 0, 1, 0) + b"version\r\n", (host, 11211))
answer, _ = u.recvfrom(2000)
assert answer[8:].startswith(b"VERSION"), answer
print("ok")
