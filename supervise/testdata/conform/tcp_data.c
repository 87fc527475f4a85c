/* TCP while it is connected, and how it ends. */
#include "conform.h"

void tcp_connected(int family)
{
	struct pair p = connected(family);
	int ep = watch(p.client);
	char b[64];
	state("connected", p.client);
	state("accepted", p.server);
	EDGES(ep, "connected edges");
	SAY(rc(recv(p.client, b, 8, MSG_DONTWAIT)), "recv of nothing");
	SAY(rc(connect_to(p.client, p.listener)), "connect again");
	SAY(rc(bind_loopback(p.client, family)), "bind");
	SAY(rc(listen(p.client, 1)), "listen");
	SAY(rc(accept(p.client, NULL, NULL)), "accept");
	SAY(rc(send(p.server, "hello", 5, 0)), "send");
	state("5 bytes in", p.client);
	EDGES(ep, "5 bytes in edges");
	SAY(rc(send(p.server, " world", 6, 0)), "send more");
	SEE(queued(p.client), "11 bytes in FIONREAD");
	EDGES(ep, "11 bytes in edges");
	SAY(data(recv(p.client, b, 4, MSG_PEEK), b), "recv MSG_PEEK");
	SAY(data(recv(p.client, b, 4, 0), b), "recv a part");
	SEE(polled(p.client), "7 bytes in poll");
	SEE(queued(p.client), "7 bytes in FIONREAD");
	SAY(rc(recv(p.client, NULL, 2, MSG_TRUNC)), "recv MSG_TRUNC without a buffer");
	SAY(data(recv(p.client, b, 64, MSG_WAITALL | MSG_DONTWAIT), b), "recv MSG_WAITALL and MSG_DONTWAIT");
	SEE(polled(p.client), "empty poll");
	SAY(rc(send(p.server, "", 0, 0)), "send of nothing");
	SAY(rc(recv(p.client, b, 0, MSG_DONTWAIT)), "recv of no bytes");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "SO_ERROR");
	struct iovec v[2] = {{"ab", 2}, {"cd", 2}};
	SAY(rc(writev(p.client, v, 2)), "writev");
	SEE(queued(p.server), "4 bytes in FIONREAD");
	struct iovec r[2] = {{b, 1}, {b + 1, 9}};
	SAY(data(readv(p.server, r, 2), b), "readv");
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	must(send(p.client, "named", 5, 0), "send");
	WHEN(data(recvfrom(p.server, b, 64, MSG_DONTWAIT, (struct sockaddr *)&a, &len), b), "recvfrom with a name");
	SAY(text("%u", len), "recvfrom with a name, its length");
	len = loopback(family, 9, &a);
	SAY(rc(sendto(p.client, "addressed", 9, 0, (struct sockaddr *)&a, len)), "sendto with a name");
	WHEN(data(recv(p.server, b, 64, MSG_DONTWAIT), b), "it arrives");
}

void tcp_peer_shut(int family)
{
	struct pair p = connected(family);
	int ep = watch(p.client);
	char b[16];
	EDGES(ep, "connected edges");
	must(send(p.server, "last", 4, 0), "send");
	SAY(rc(shutdown(p.server, SHUT_WR)), "shutdown");
	state("peer shut, 4 bytes in", p.client);
	EDGES(ep, "peer shut edges");
	SAY(data(recv(p.client, b, 16, 0), b), "recv");
	SAY(data(recv(p.client, b, 16, 0), b), "recv at the end");
	SAY(data(recv(p.client, b, 16, MSG_PEEK), b), "recv MSG_PEEK at the end");
	state("peer shut, empty", p.client);
	SEE(polled(p.server), "poll of who shut");
	SAY(rc(send(p.client, "reply", 5, MSG_NOSIGNAL)), "send the other way");
	WHEN(data(recv(p.server, b, 16, MSG_DONTWAIT), b), "recv the other way");
	SAY(rc(send(p.server, "x", 1, MSG_NOSIGNAL)), "send of who shut");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "SO_ERROR");
	close(p.server);
	SEE(polled(p.client), "peer closed poll");
	EDGES(ep, "peer closed edges");
	SAY(rc(send(p.client, "x", 1, MSG_NOSIGNAL)), "send to who closed");
	send_until_error(p.client);
	SEE(polled(p.client), "reset poll");
	EDGES(ep, "reset edges");
	SAY(rc(send(p.client, "x", 1, MSG_NOSIGNAL)), "send after the reset");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "SO_ERROR after the reset");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "recv after the reset");
}

void tcp_own_shut(int family)
{
	struct pair p = connected(family);
	int ep = watch(p.client);
	char b[16];
	EDGES(ep, "connected edges");
	SAY(rc(send(p.client, "bye", 3, 0)), "send");
	SAY(rc(shutdown(p.client, SHUT_WR)), "shutdown");
	state("own shut", p.client);
	EDGES(ep, "own shut edges");
	SAY(rc(send(p.client, "x", 1, MSG_NOSIGNAL)), "send after shutdown");
	SAY(rc(shutdown(p.client, SHUT_WR)), "shutdown twice");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "SO_ERROR");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "recv of nothing");
	WHEN(data(recv(p.server, b, 16, MSG_DONTWAIT), b), "peer recv");
	WHEN(data(recv(p.server, b, 16, MSG_DONTWAIT), b), "peer recv at the end");
	SAY(rc(send(p.server, "still", 5, 0)), "peer send");
	SEE(polled(p.client), "5 bytes in poll");
	EDGES(ep, "5 bytes in edges");
	WHEN(data(recv(p.client, b, 16, MSG_DONTWAIT), b), "recv");
	close(p.server);
	SEE(polled(p.client), "peer closed poll");
	EDGES(ep, "peer closed edges");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "recv at the end");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "SO_ERROR at the end");
	SAY(peername(p.client), "getpeername at the end");
	SAY(rc(shutdown(p.client, SHUT_RDWR)), "shutdown at the end");
}

void tcp_both_shut(int family)
{
	struct pair p = connected(family);
	int ep = watch(p.client), peers = watch(p.server);
	char b[16];
	EDGES(ep, "connected edges");
	EDGES(peers, "peer connected edges");
	SAY(rc(shutdown(p.client, SHUT_RDWR)), "shutdown");
	state("shut", p.client);
	EDGES(ep, "shut edges");
	SAY(rc(recv(p.client, b, 16, 0)), "recv");
	SAY(rc(send(p.client, "x", 1, MSG_NOSIGNAL)), "send");
	state("peer", p.server);
	EDGES(peers, "peer edges");
	SAY(rc(recv(p.server, b, 16, MSG_DONTWAIT)), "peer recv");
	SAY(rc(shutdown(p.server, SHUT_WR)), "peer shutdown");
	SEE(polled(p.server), "peer shut too poll");
	SEE(polled(p.client), "both shut poll");
	EDGES(ep, "both shut edges");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "SO_ERROR");
	SAY(peername(p.client), "both shut getpeername");
	SAY(sockname(p.client), "both shut getsockname");
	SAY(rc(connect_to(p.client, p.listener)), "both shut connect");
}

void tcp_read_shut(int family)
{
	struct pair p = connected(family);
	int ep = watch(p.client);
	char b[16];
	EDGES(ep, "connected edges");
	SAY(rc(shutdown(p.client, SHUT_RD)), "shutdown");
	SEE(polled(p.client), "shut poll");
	EDGES(ep, "shut edges");
	SAY(rc(recv(p.client, b, 16, 0)), "recv");
	SAY(rc(send(p.client, "out", 3, MSG_NOSIGNAL)), "send");
	WHEN(data(recv(p.server, b, 16, MSG_DONTWAIT), b), "peer recv");
	SEE(polled(p.server), "peer poll");
	SAY(rc(send(p.server, "in", 2, MSG_NOSIGNAL)), "peer send");
	SEE(queued(p.client), "FIONREAD");
	WHEN(data(recv(p.client, b, 16, MSG_DONTWAIT), b), "recv of what came");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "SO_ERROR");
}

void tcp_reset(int family)
{
	struct pair p = connected(family);
	int ep = watch(p.client);
	char b[16];
	EDGES(ep, "connected edges");
	reset(p.server);
	state("reset", p.client);
	EDGES(ep, "reset edges");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "recv");
	SEE(polled(p.client), "told poll");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "told SO_ERROR");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "recv again");
	SAY(rc(send(p.client, "x", 1, MSG_NOSIGNAL)), "send");
	SAY(rc(shutdown(p.client, SHUT_RDWR)), "shutdown");
	p.client = stream(family);
	must(connect_to(p.client, p.listener), "connect");
	p.server = accept(p.listener, NULL, NULL);
	reset(p.server);
	SEE(polled(p.client), "second reset poll");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "second SO_ERROR tells");
	SEE(polled(p.client), "second told poll");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "second recv");
	p.client = stream(family);
	must(connect_to(p.client, p.listener), "connect");
	p.server = accept(p.listener, NULL, NULL);
	reset(p.server);
	SEE(polled(p.client), "third reset poll");
	SAY(rc(send(p.client, "x", 1, MSG_NOSIGNAL)), "third send tells");
	SAY(rc(send(p.client, "x", 1, MSG_NOSIGNAL)), "third send again");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "third recv");
}

void tcp_reset_with_data(int family)
{
	struct pair p = connected(family);
	int ep = watch(p.client);
	char b[16];
	EDGES(ep, "connected edges");
	must(send(p.server, "final", 5, 0), "send");
	SEE(queued(p.client), "5 bytes in FIONREAD");
	EDGES(ep, "5 bytes in edges");
	reset(p.server);
	SEE(polled(p.client), "reset poll");
	SEE(queued(p.client), "reset FIONREAD");
	EDGES(ep, "reset edges");
	SAY(data(recv(p.client, b, 3, MSG_DONTWAIT), b), "recv a part");
	SAY(data(recv(p.client, b, 16, MSG_DONTWAIT), b), "recv the rest");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "recv at the end");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "recv after the end");
	SAY(option(p.client, SOL_SOCKET, SO_ERROR), "SO_ERROR");
}

/* Who closes with unread data resets the connection. */
void tcp_unread_close(int family)
{
	struct pair p = connected(family);
	char b[16];
	must(send(p.client, "unread", 6, 0), "send");
	SEE(queued(p.server), "FIONREAD");
	close(p.server);
	SEE(polled(p.client), "closed poll");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "recv");
	p.client = stream(family);
	must(connect_to(p.client, p.listener), "connect");
	p.server = accept(p.listener, NULL, NULL);
	must(send(p.client, "in", 2, 0), "send");
	must(send(p.server, "out", 3, 0), "send");
	SEE(queued(p.server), "both FIONREAD");
	SEE(queued(p.client), "both FIONREAD of the client");
	close(p.server);
	SEE(polled(p.client), "both closed poll");
	SAY(data(recv(p.client, b, 16, MSG_DONTWAIT), b), "both recv");
	SAY(rc(recv(p.client, b, 16, MSG_DONTWAIT)), "both recv again");
}

void tcp_accepted(int family)
{
	int fd = listening(family, 8), client = stream(family), on = 1, got;
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	must(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), "SO_KEEPALIVE");
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
	must(connect_to(client, fd), "connect");
	label(client, "client");
	got = accept4(fd, (struct sockaddr *)&a, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	SAY(fdrc(got), "accept4");
	SAY(address(&a, len), "accept4 address");
	SAY(text("%d", (fcntl(got, F_GETFL) & O_NONBLOCK) != 0), "O_NONBLOCK");
	SAY(text("%d", fcntl(got, F_GETFD)), "FD_CLOEXEC");
	SAY(text("%d", fcntl(got, F_GETFL) & O_ACCMODE), "access mode");
	SAY(sockname(got), "getsockname");
	SAY(peername(got), "getpeername");
	SAY(option(got, SOL_SOCKET, SO_KEEPALIVE), "SO_KEEPALIVE is inherited");
	SAY(option(got, IPPROTO_TCP, TCP_NODELAY), "TCP_NODELAY is inherited");
	SAY(option(got, SOL_SOCKET, SO_ACCEPTCONN), "SO_ACCEPTCONN");
	SAY(rc(accept4(fd, NULL, NULL, 1)), "accept4 with a flag that is none");
	nonblocking(fd);
	client = stream(family);
	must(connect_to(client, fd), "connect");
	SEE(polled(fd), "listener without O_NONBLOCK poll");
	WHEN(fdrc(got = accept(fd, NULL, NULL)), "accept");
	SAY(text("%d", (fcntl(got, F_GETFL) & O_NONBLOCK) != 0), "O_NONBLOCK is not inherited");
	len = 4;
	memset(&a, 0, sizeof a);
	client = stream(family);
	must(connect_to(client, fd), "connect");
	WHEN(fdrc(accept(fd, (struct sockaddr *)&a, &len)), "accept with a short buffer");
	SAY(text("%u", len), "accept with a short buffer, length");
	SAY(text("%d", a.ss_family), "accept with a short buffer, family");
	SAY(text("%d", ((struct sockaddr_in *)&a)->sin_addr.s_addr), "accept with a short buffer, beyond it");
}
