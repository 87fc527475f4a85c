/* TCP until it is connected: fresh, bound, listening, connecting, refused. */
#include "conform.h"

void tcp_fresh(int family)
{
	int fd = stream(family), ep = watch(fd);
	char b[8];
	state("fresh", fd);
	EDGES(ep, "fresh edges");
	nonblocking(fd);
	SAY(rc(recv(fd, b, 8, 0)), "recv");
	SAY(rc(recv(fd, b, 8, MSG_PEEK)), "recv MSG_PEEK");
	SAY(rc(recvfrom(fd, b, 8, 0, NULL, NULL)), "recvfrom");
	SAY(rc(read(fd, b, 8)), "read");
	SAY(rc(send(fd, "x", 1, MSG_NOSIGNAL)), "send");
	SAY(rc(write(fd, "x", 1)), "write");
	SAY(rc(accept(fd, NULL, NULL)), "accept");
	SAY(rc(shutdown(fd, SHUT_RD)), "shutdown SHUT_RD");
	SAY(rc(shutdown(fd, SHUT_WR)), "shutdown SHUT_WR");
	SAY(rc(shutdown(fd, 7)), "shutdown 7");
	SAY(option(fd, SOL_SOCKET, SO_ERROR), "SO_ERROR");
	SAY(option(fd, SOL_SOCKET, SO_ACCEPTCONN), "SO_ACCEPTCONN");
	SAY(option(fd, SOL_SOCKET, SO_TYPE), "SO_TYPE");
	SAY(option(fd, SOL_SOCKET, SO_DOMAIN), "SO_DOMAIN");
	SAY(option(fd, SOL_SOCKET, SO_PROTOCOL), "SO_PROTOCOL");
	SAY(rc(listen(fd, 1)), "listen without bind");
	SEE(polled(fd), "listening poll");
	EDGES(ep, "listening edges");
}

void tcp_bound(int family)
{
	int fd = stream(family), other = stream(family), ep;
	struct sockaddr_storage a;
	socklen_t len;
	char b[8];
	ep = watch(fd);
	SAY(rc(bind_loopback(fd, family)), "bind");
	label(fd, "bound");
	state("bound", fd);
	EDGES(ep, "bound edges");
	nonblocking(fd);
	SAY(rc(recv(fd, b, 8, 0)), "recv");
	SAY(rc(send(fd, "x", 1, MSG_NOSIGNAL)), "send");
	SAY(rc(accept(fd, NULL, NULL)), "accept");
	SAY(rc(bind_loopback(fd, family)), "bind twice");
	len = name_of(fd, &a);
	SAY(rc(bind(other, (struct sockaddr *)&a, len)), "bind to a port in use");
	nonblocking(other);
	connect_to(other, fd);
	SEE(polled(other), "connect to it, poll");
	SAY(option(other, SOL_SOCKET, SO_ERROR), "connect to it, SO_ERROR");
	close(other);
	close(fd);
	other = stream(family);
	SAY(rc(bind(other, (struct sockaddr *)&a, len)), "bind to a port that was closed");
	SAY(rc(listen(other, 1)), "listen there");
	close(other);
	other = stream(family);
	SAY(rc(bind(other, (struct sockaddr *)&a, len)), "bind to a port that listened");
	close(other);
}

void tcp_listening(int family)
{
	int fd = listening(family, 4), ep = watch(fd), client = stream(family), got;
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	char b[8];
	state("listening", fd);
	EDGES(ep, "listening edges");
	nonblocking(fd);
	SAY(fdrc(accept(fd, NULL, NULL)), "accept of none");
	SAY(rc(recv(fd, b, 8, 0)), "recv");
	SAY(rc(send(fd, "x", 1, MSG_NOSIGNAL)), "send");
	SAY(rc(connect_to(fd, fd)), "connect");
	SAY(rc(listen(fd, 6)), "listen again");
	SAY(rc(bind_loopback(fd, family)), "bind again");
	SAY(option(fd, SOL_SOCKET, SO_ACCEPTCONN), "SO_ACCEPTCONN");
	SAY(option(fd, SOL_SOCKET, SO_ERROR), "SO_ERROR");
	timeouts(client);
	SAY(rc(connect_to(client, fd)), "connect of a client");
	label(client, "client");
	state("one pending", fd);
	EDGES(ep, "one pending edges");
	WHEN(fdrc(got = accept(fd, (struct sockaddr *)&a, &len)), "accept of one");
	SAY(address(&a, len), "accept of one, address");
	SEE(polled(fd), "none pending poll");
	EDGES(ep, "none pending edges");
	state("accepted", got);
	close(client);
	SEE(polled(got), "client gone poll");
	client = stream(family);
	timeouts(client);
	SAY(rc(connect_to(client, fd)), "connect of a second");
	SEE(polled(fd), "second pending poll");
	EDGES(ep, "second pending edges");
	SAY(rc(send(client, "early", 5, 0)), "send before accept");
	close(client);
	SEE(polled(fd), "second gone poll");
	WHEN(fdrc(got = accept(fd, NULL, NULL)), "accept of who is gone");
	SEE(queued(got), "gone FIONREAD");
	WHEN(data(recv(got, b, 8, MSG_DONTWAIT), b), "gone recv");
	WHEN(data(recv(got, b, 8, MSG_DONTWAIT), b), "gone recv at the end");
	client = stream(family);
	timeouts(client);
	SAY(rc(connect_to(client, fd)), "connect of a third");
	close(fd);
	SEE(polled(client), "listener closed, poll of the pending");
	SAY(option(client, SOL_SOCKET, SO_ERROR), "listener closed, SO_ERROR of the pending");
}

void tcp_listener_shut(int family)
{
	int fd = listening(family, 4), ep = watch(fd), client = stream(family);
	nonblocking(fd);
	EDGES(ep, "listening edges");
	SAY(rc(shutdown(fd, SHUT_RD)), "shutdown");
	SEE(polled(fd), "shut poll");
	EDGES(ep, "shut edges");
	SAY(fdrc(accept(fd, NULL, NULL)), "shut accept");
	SAY(option(fd, SOL_SOCKET, SO_ACCEPTCONN), "shut SO_ACCEPTCONN");
	SAY(rc(connect_to(client, fd)), "connect to it");
	SAY(rc(listen(fd, 4)), "listen again");
	SEE(polled(fd), "listening again poll");
	client = stream(family);
	timeouts(client);
	SAY(rc(connect_to(client, fd)), "connect to it again");
	SEE(polled(fd), "pending again poll");
	WHEN(fdrc(accept(fd, NULL, NULL)), "accept again");
}

static int accept_soon(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};
	poll(&p, 1, 10000);
	return accept(fd, NULL, NULL);
}

/* A full queue of a listener leaves connects in progress; they complete when there is room. */
void tcp_connecting(int family)
{
	enum { most = 16 };
	int fd = listening(family, 0), client = -1, ep, n;
	char b[8];
	nonblocking(fd);
	for (n = 0; n < most; n++) { /* until one is not connected soon */
		client = stream(family);
		nonblocking(client);
		if (connect_to(client, fd) < 0 && errno != EINPROGRESS)
			must(-1, "connect");
		struct pollfd p = {client, POLLOUT, 0};
		if (poll(&p, 1, 700) == 0)
			break;
	}
	label(client, "client");
	SAY(text("%d", n), "connections until full");
	ep = watch(client);
	state("connecting", client);
	EDGES(ep, "connecting edges");
	SAY(option(client, SOL_SOCKET, SO_ERROR), "connecting SO_ERROR");
	SAY(rc(connect_to(client, fd)), "connecting connect");
	SAY(rc(send(client, "x", 1, MSG_NOSIGNAL)), "connecting send");
	SAY(rc(recv(client, b, 8, 0)), "connecting recv");
	SAY(rc(listen(client, 1)), "connecting listen");
	for (int i = 0; i < n; i++) /* those before */
		must(accept_soon(fd), "accept");
	SEE(polled(client), "connected poll");
	EDGES(ep, "connected edges");
	SAY(option(client, SOL_SOCKET, SO_ERROR), "connected SO_ERROR");
	SAY(rc(connect_to(client, fd)), "connected connect");
	SAY(rc(connect_to(client, fd)), "connected connect again");
	SAY(peername(client), "connected getpeername");
	SEE(polled(fd), "connected poll of the listener");
	WHEN(fdrc(n = accept(fd, NULL, NULL)), "accept of it");
	SAY(rc(send(client, "hello", 5, 0)), "connected send");
	WHEN(data(recv(n, b, 8, MSG_DONTWAIT), b), "accepted recv");
	client = stream(family);
	nonblocking(client);
	SAY(rc(connect_to(client, fd)), "close while connecting, connect");
	SAY(rc(close(client)), "close while connecting");
}

void tcp_refused(int family)
{
	int none = stream(family), fd = stream(family), ep, server;
	char b[8];
	must(bind_loopback(none, family), "bind"); /* a port where nobody listens */
	timeouts(fd);
	ep = watch(fd);
	EDGES(ep, "fresh edges");
	SAY(rc(connect_to(fd, none)), "connect");
	SEE(polled(fd), "refused poll");
	SEE(level(fd), "refused epoll");
	EDGES(ep, "refused edges");
	SAY(option(fd, SOL_SOCKET, SO_ERROR), "refused SO_ERROR");
	SAY(peername(fd), "refused getpeername");
	SAY(rc(recv(fd, b, 8, MSG_DONTWAIT)), "refused recv");
	SAY(rc(send(fd, "x", 1, MSG_NOSIGNAL)), "refused send");
	SAY(rc(connect_to(fd, none)), "refused once more");
	SAY(rc(listen(none, 1)), "now it listens");
	SAY(rc(connect_to(fd, none)), "connect again");
	SEE(polled(fd), "connected poll");
	WHEN(fdrc(server = accept(none, NULL, NULL)), "accept");
	SAY(rc(send(server, "welcome", 7, 0)), "send of the server");
	WHEN(data(recv(fd, b, 8, MSG_DONTWAIT), b), "recv");
}

void tcp_refused_later(int family)
{
	int none = stream(family), fd = stream(family), ep;
	char b[8];
	must(bind_loopback(none, family), "bind");
	nonblocking(fd);
	ep = watch(fd);
	EDGES(ep, "fresh edges");
	SAY(rc(connect_to(fd, none)), "connect");
	state("refused", fd);
	EDGES(ep, "refused edges");
	SAY(option(fd, SOL_SOCKET, SO_ERROR), "SO_ERROR");
	SAY(option(fd, SOL_SOCKET, SO_ERROR), "SO_ERROR again");
	SEE(polled(fd), "told poll");
	SAY(rc(recv(fd, b, 8, 0)), "recv");
	SAY(rc(send(fd, "x", 1, MSG_NOSIGNAL)), "send");
	close(fd);

	fd = stream(family);
	nonblocking(fd);
	SAY(rc(connect_to(fd, none)), "second connect");
	SEE(polled(fd), "second poll");
	SAY(rc(recv(fd, b, 8, 0)), "second recv tells");
	SAY(rc(recv(fd, b, 8, 0)), "second recv again");
	close(fd);

	fd = stream(family);
	nonblocking(fd);
	SAY(rc(connect_to(fd, none)), "third connect");
	SEE(polled(fd), "third poll");
	SAY(rc(connect_to(fd, none)), "third connect tells");
	SAY(rc(listen(none, 1)), "now it listens");
	SAY(rc(connect_to(fd, none)), "third connect again");
	SEE(polled(fd), "third connected poll");
	SAY(option(fd, SOL_SOCKET, SO_ERROR), "third connected SO_ERROR");
}
