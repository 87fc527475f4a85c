"""Echo servers, one for each way to wait, and clients of them.

    echo.py select|poll|epoll|asyncio|socketserver PORT    serves on all addresses
    echo.py client|asyncio-client HOST PORT COUNT          opens COUNT connections at once and checks what comes back
"""

import asyncio
import hashlib
import select
import socket
import socketserver
import sys

SIZE = 50_000  # bytes that each client sends


def payload(i):
    return hashlib.shake_128(str(i).encode()).digest(SIZE)


class Select:
    """select.poll's interface over select.select."""

    def __init__(self):
        self.masks = {}

    def register(self, fd, mask):
        self.masks[fd] = mask

    modify = register

    def unregister(self, fd):
        del self.masks[fd]

    def poll(self):
        r = [fd for fd, m in self.masks.items() if m & select.POLLIN]
        w = [fd for fd, m in self.masks.items() if m & select.POLLOUT]
        r, w, _ = select.select(r, w, [])
        return [(fd, (select.POLLIN if fd in r else 0) | (select.POLLOUT if fd in w else 0)) for fd in {*r, *w}]


def serve(poller, port):
    listener = socket.create_server(("", port), backlog=128)
    listener.setblocking(False)
    poller.register(listener.fileno(), select.POLLIN)
    conns, waiting = {}, {}
    while True:
        for fd, events in poller.poll():
            if fd == listener.fileno():
                conn, _ = listener.accept()
                conn.setblocking(False)
                conns[conn.fileno()], waiting[conn.fileno()] = conn, b""
                poller.register(conn.fileno(), select.POLLIN)
                continue
            conn = conns[fd]
            if events & select.POLLOUT:
                waiting[fd] = waiting[fd][conn.send(waiting[fd]):]
            elif events & (select.POLLIN | select.POLLHUP):
                data = conn.recv(4096)
                waiting[fd] += data
                if not data:
                    poller.unregister(fd)
                    del conns[fd]
                    conn.close()
                    continue
            poller.modify(fd, select.POLLOUT if waiting[fd] else select.POLLIN)


async def serve_asyncio(port):
    async def echo(reader, writer):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "", port, backlog=128)
    await server.serve_forever()


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


def client(host, port, count):
    poller = select.epoll()
    conns = {}
    for i in range(count):
        c = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        c.setblocking(False)
        assert c.connect_ex((host, port)) == 115, "EINPROGRESS"
        conns[c.fileno()] = [c, payload(i), b"", payload(i)]
        poller.register(c.fileno(), select.EPOLLOUT | select.EPOLLIN)
    while conns:
        for fd, events in poller.poll():
            c, unsent, got, want = conns[fd]
            if events & select.EPOLLOUT and unsent:
                conns[fd][1] = unsent[c.send(unsent):]
                if not conns[fd][1]:
                    c.shutdown(socket.SHUT_WR)
                    poller.modify(fd, select.EPOLLIN)
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                data = c.recv(65536)
                conns[fd][2] += data
                if not data:
                    assert conns[fd][2] == want, f"{len(conns[fd][2])} bytes"
                    poller.unregister(fd)
                    del conns[fd]
                    c.close()
    print("echoed", count)


async def client_asyncio(host, port, count):
    async def one(i):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(payload(i))
        writer.write_eof()
        assert await reader.read() == payload(i)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one(i) for i in range(count)))
    print("echoed", count)


match sys.argv[1:]:
    case ["select", port]:
        serve(Select(), int(port))
    case ["poll", port]:
        serve(select.poll(), int(port))
    case ["epoll", port]:
        serve(select.epoll(), int(port))
    case ["asyncio", port]:
        asyncio.run(serve_asyncio(int(port)))
    case ["socketserver", port]:
        Server(("", int(port)), Handler).serve_forever()
    case ["client", host, port, count]:
        client(host, int(port), int(count))
    case ["asyncio-client", host, port, count]:
        asyncio.run(client_asyncio(host, int(port), int(count)))
