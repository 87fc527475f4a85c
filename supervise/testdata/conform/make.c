/* Sockets and addresses. */
#include "conform.h"

static int domain(int family) { return family == V6 ? AF_INET6 : AF_INET; }

static int open_socket(int family, int type)
{
	int fd = socket(domain(family), type, 0);
	struct sockaddr_storage a;
	socklen_t len = loopback(family, 0, &a);
	int probe = socket(domain(family), SOCK_STREAM, 0);
	if (probe < 0 || bind(probe, (struct sockaddr *)&a, len) < 0)
		skip_walk("no loopback address of this family");
	close(probe);
	must(fd, "socket");
	return fd;
}

int stream(int family) { return open_socket(family, SOCK_STREAM); }
int dgram(int family) { return open_socket(family, SOCK_DGRAM); }

socklen_t loopback(int family, int port, struct sockaddr_storage *a)
{
	memset(a, 0, sizeof *a);
	if (family == V6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)a;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		in6->sin6_addr = in6addr_loopback;
		return sizeof *in6;
	}
	struct sockaddr_in *in = (struct sockaddr_in *)a;
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof *in;
}

socklen_t name_of(int fd, struct sockaddr_storage *a)
{
	socklen_t len = sizeof *a;
	memset(a, 0, sizeof *a);
	must(getsockname(fd, (struct sockaddr *)a, &len), "getsockname");
	return len;
}

int bind_loopback(int fd, int family)
{
	struct sockaddr_storage a;
	int failed;
	do {
		socklen_t len = loopback(family, next_port++, &a);
		failed = bind(fd, (struct sockaddr *)&a, len);
	} while (failed && errno == EADDRINUSE && next_port % ports_of_walk != 0);
	return failed;
}

int connect_to(int fd, int server)
{
	struct sockaddr_storage a;
	socklen_t len = name_of(server, &a);
	return connect(fd, (struct sockaddr *)&a, len);
}

void nonblocking(int fd) { must(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), "F_SETFL"); }

static void set_timeouts(int fd, int seconds)
{
	struct timeval guard = {seconds, 0};
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard), "SO_RCVTIMEO");
	must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &guard, sizeof guard), "SO_SNDTIMEO");
}

void timeouts(int fd) { set_timeouts(fd, 60); }
void no_timeouts(int fd) { set_timeouts(fd, 0); }

int listening(int family, int backlog)
{
	int fd = stream(family);
	timeouts(fd);
	must(bind_loopback(fd, family), "bind");
	must(listen(fd, backlog), "listen");
	label(fd, "listener");
	return fd;
}

struct pair connected(int family)
{
	struct pair p;
	p.listener = listening(family, 8);
	p.client = stream(family);
	timeouts(p.client);
	must(connect_to(p.client, p.listener), "connect");
	label(p.client, "client");
	p.server = accept(p.listener, NULL, NULL);
	must(p.server, "accept");
	timeouts(p.server);
	return p;
}

void reset(int fd)
{
	struct linger now = {1, 0};
	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), "SO_LINGER");
	close(fd);
}

void send_until_error(int fd)
{
	struct pollfd p = {fd, 0, 0};
	for (int i = 0; i < 50 && poll(&p, 1, 100) == 0; i++)
		send(fd, "x", 1, MSG_NOSIGNAL);
}
