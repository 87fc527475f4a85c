/* What calls say to arguments that are wrong. */
#include "conform.h"

static void *const nowhere = (void *)16;

void misuse_arguments(int family)
{
	int fd = stream(family), on = 1;
	struct sockaddr_storage a;
	socklen_t len = loopback(family, 0, &a), n;
	char b[16];
	SAY(rc(bind(fd, (struct sockaddr *)&a, 4)), "bind of 4 bytes");
	SAY(rc(bind(fd, (struct sockaddr *)&a, 1000)), "bind of 1000 bytes");
	SAY(rc(bind(fd, nowhere, len)), "bind of a bad pointer");
	SAY(rc(connect(fd, (struct sockaddr *)&a, 1)), "connect of 1 byte");
	SAY(rc(connect(fd, nowhere, len)), "connect of a bad pointer");
	SAY(rc(connect(fd, (struct sockaddr *)&a, -1)), "connect of -1 bytes");
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	SAY(rc(bind(fd, (struct sockaddr *)&six, sizeof six)), "bind of another family");
	SAY(rc(connect(fd, (struct sockaddr *)&six, sizeof six)), "connect of another family");
	struct sockaddr_in foreign = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("192.0.2.1")};
	SAY(rc(bind(fd, (struct sockaddr *)&foreign, sizeof foreign)), "bind of a foreign address");
	n = sizeof a;
	SAY(rc(getsockname(fd, nowhere, &n)), "getsockname to a bad pointer");
	SAY(rc(getsockname(fd, (struct sockaddr *)&a, nowhere)), "getsockname with a bad length");
	n = -1;
	SAY(rc(getsockname(fd, (struct sockaddr *)&a, &n)), "getsockname of -1 bytes");
	n = 3;
	memset(&a, 0xff, sizeof a);
	SAY(rc(getsockname(fd, (struct sockaddr *)&a, &n)), "getsockname of 3 bytes");
	SAY(text("%u, then %#x", n, ((unsigned char *)&a)[3]), "getsockname of 3 bytes, length");
	n = 0;
	SAY(rc(getsockname(fd, NULL, &n)), "getsockname of no bytes");
	SAY(text("%u", n), "getsockname of no bytes, length");
	SAY(rc(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, nowhere, 4)), "setsockopt of a bad pointer");
	SAY(rc(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, 1)), "setsockopt of 1 byte");
	SAY(rc(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, -1)), "setsockopt of -1 bytes");
	SAY(rc(setsockopt(fd, SOL_SOCKET, SO_ERROR, &on, sizeof on)), "setsockopt of SO_ERROR");
	n = sizeof on;
	SAY(rc(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, nowhere, &n)), "getsockopt to a bad pointer");
	SAY(rc(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, nowhere)), "getsockopt with a bad length");
	n = 1;
	on = 0x55555555;
	SAY(rc(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &n)), "getsockopt of 1 byte");
	SAY(text("%u %#x", n, on), "getsockopt of 1 byte, value");
	SAY(rc(shutdown(fd, -1)), "shutdown -1");
	SAY(rc(listen(fd, -1)), "listen -1");
	SAY(rc(fcntl(fd, F_SETOWN, getpid())), "F_SETOWN");
	SAY(rc(ioctl(fd, FIONREAD, nowhere)), "FIONREAD to a bad pointer");
	SAY(rc(ioctl(fd, 0x8999, b)), "an ioctl that is none");

	struct pair p = connected(family);
	struct msghdr bad = {.msg_iov = nowhere, .msg_iovlen = 1};
	SAY(rc(send(p.client, nowhere, 4, MSG_NOSIGNAL)), "send of a bad pointer");
	SAY(rc(sendmsg(p.client, nowhere, 0)), "sendmsg of a bad pointer");
	SAY(rc(sendmsg(p.client, &bad, 0)), "sendmsg of bad pieces");
	must(send(p.server, "x", 1, 0), "send");
	SEE(queued(p.client), "FIONREAD");
	SAY(rc(recv(p.client, nowhere, 4, 0)), "recv to a bad pointer");
	SAY(rc(recvmsg(p.client, nowhere, 0)), "recvmsg to a bad pointer");
	SAY(data(recv(p.client, b, 4, 0), b), "recv after it");
	int client = stream(family);
	must(connect_to(client, p.listener), "connect");
	SEE(polled(p.listener), "pending poll");
	n = sizeof a;
	SAY(rc(accept(p.listener, nowhere, &n)), "accept to a bad pointer");

	int u = dgram(family);
	len = loopback(family, 9, &a);
	SAY(rc(sendto(u, nowhere, 4, 0, (struct sockaddr *)&a, len)), "sendto of a bad pointer");
	SAY(rc(sendto(u, "x", 1, 0, nowhere, len)), "sendto to a bad pointer");
	SAY(rc(sendto(u, "x", 1, 0, (struct sockaddr *)&a, 2)), "sendto of a short address");
	SAY(rc(sendto(u, "x", 1, 0, (struct sockaddr *)&six, sizeof six)), "sendto of another family");
	u = dgram(family);
	must(bind_loopback(u, family), "bind");
	must(connect_to(u, u), "connect");
	must(send(u, "abc", 3, 0), "send");
	SEE(queued(u), "datagram FIONREAD");
	n = sizeof a;
	SAY(rc(recvfrom(u, nowhere, 4, MSG_DONTWAIT, (struct sockaddr *)&a, &n)), "recvfrom to a bad pointer");
}

void misuse_descriptors(int family)
{
	int pipes[2], pair[2], closed = 999, file = memfd_create("file", 0);
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	char b[8];
	must(pipe(pipes), "pipe");
	SAY(fdrc(socket(AF_INET, 99, 0)), "socket of a type that is none");
	SAY(fdrc(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP)), "socket of the wrong protocol");
	SAY(fdrc(socket(AF_INET, SOCK_STREAM, 9999)), "socket of a protocol that is none");
	SAY(fdrc(socket(AF_INET, SOCK_SEQPACKET, 0)), "socket SOCK_SEQPACKET");
	SAY(fdrc(socket(99, SOCK_STREAM, 0)), "socket of a family that is none");
	SAY(rc(socketpair(AF_INET, SOCK_STREAM, 0, pair)), "socketpair AF_INET");
	int flagged = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	SAY(text("%d", (fcntl(flagged, F_GETFL) & O_NONBLOCK) != 0), "SOCK_NONBLOCK");
	SAY(text("%d", fcntl(flagged, F_GETFD)), "SOCK_CLOEXEC");
	static const char *const names[] = {"a pipe", "a file", "a closed one", "-1"};
	int fds[] = {pipes[0], file, closed, -1};
	for (int i = 0; i < 4; i++) {
		len = sizeof a;
		SAY(rc(getsockname(fds[i], (struct sockaddr *)&a, &len)), "%s getsockname", names[i]);
		SAY(rc(connect(fds[i], (struct sockaddr *)&a, loopback(family, 9, &a))), "%s connect", names[i]);
		SAY(rc(accept(fds[i], NULL, NULL)), "%s accept", names[i]);
		SAY(rc(listen(fds[i], 1)), "%s listen", names[i]);
		SAY(rc(shutdown(fds[i], SHUT_RD)), "%s shutdown", names[i]);
		SAY(option(fds[i], SOL_SOCKET, SO_ERROR), "%s getsockopt", names[i]);
		SAY(rc(recvfrom(fds[i], b, 8, MSG_DONTWAIT, (struct sockaddr *)&a, &len)), "%s recvfrom", names[i]);
	}
	/* Sockets of another family are the kernel's, and must not notice anything. */
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int here = socket(AF_UNIX, SOCK_STREAM, 0), there = socket(AF_UNIX, SOCK_STREAM, 0), got;
	SAY(rc(bind(here, (struct sockaddr *)&un, sizeof(sa_family_t))), "unix bind");
	SAY(rc(listen(here, 1)), "unix listen");
	len = sizeof un;
	must(getsockname(here, (struct sockaddr *)&un, &len), "getsockname");
	SAY(rc(connect(there, (struct sockaddr *)&un, len)), "unix connect");
	SAY(fdrc(got = accept(here, NULL, NULL)), "unix accept");
	SAY(rc(send(there, "unix", 4, 0)), "unix send");
	len = sizeof a;
	SAY(data(recvfrom(got, b, 8, 0, (struct sockaddr *)&a, &len), b), "unix recvfrom");
	SAY(option(got, SOL_SOCKET, SO_DOMAIN), "unix SO_DOMAIN");
	SAY(rc(shutdown(there, SHUT_WR)), "unix shutdown");
	SEE(polled(got), "unix poll");
}

/* Signals. */

static volatile sig_atomic_t rang;

static void ring(int signal) { (void)signal, rang++; }

static void alarms(int flags, long every_us)
{
	struct sigaction s = {.sa_handler = ring, .sa_flags = flags};
	struct itimerval t = {{0, every_us}, {0, every_us}};
	sigaction(SIGALRM, &s, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static void quiet(void)
{
	struct itimerval t = {{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &t, NULL);
}

void signals_interrupt(int family)
{
	struct pair p = connected(family);
	int u = dgram(family);
	char b[8];
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	must(bind_loopback(u, family), "bind");
	no_timeouts(p.listener);
	no_timeouts(p.client);
	alarms(0, 100000);
	SAY(rc(accept(p.listener, NULL, NULL)), "accept");
	SAY(rc(recv(p.client, b, 8, 0)), "recv");
	SAY(rc(recvfrom(p.client, b, 8, 0, (struct sockaddr *)&a, &len)), "recvfrom of a stream");
	SAY(rc(recvfrom(u, b, 8, 0, (struct sockaddr *)&a, &len)), "recvfrom");
	SAY(rc(recv(u, b, 8, 0)), "recv of a datagram");
	struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof a};
	SAY(rc(recvmsg(u, &m, 0)), "recvmsg");
	quiet();
	timeouts(p.listener); /* a call with a timeout is not restarted: signal(7) */
	alarms(SA_RESTART, 100000);
	SAY(rc(accept(p.listener, NULL, NULL)), "accept with a timeout and SA_RESTART");
	quiet();
	SAY(rang > 0 ? "yes" : "no", "signals came");
}

/* With SA_RESTART, calls go on; and nothing is done twice. */
void signals_restart(int family)
{
	int fd = listening(family, 64), rounds = 100, failures = 0, fds[2], first = -1;
	char b[8];
	no_timeouts(fd);
	alarms(SA_RESTART, 1000);
	pid_t pid = fork();
	if (pid == 0) {
		alarms(SA_RESTART, 1000);
		for (int i = 0; i < rounds; i++) {
			int client = stream(family);
			if (connect_to(client, fd) < 0)
				_exit(1);
			if (send(client, "r", 1, 0) != 1 || recv(client, b, 8, 0) != 1)
				_exit(2);
			close(client);
		}
		_exit(0);
	}
	must(pipe(fds), "pipe");
	for (int i = 0; i < rounds; i++) {
		int server = accept(fd, NULL, NULL);
		if (server < 0) {
			failures++;
			first = first < 0 ? errno : first;
			continue;
		}
		if (recv(server, b, 8, 0) != 1 || send(server, b, 1, 0) != 1)
			failures++;
		if (recv(server, b, 8, 0) != 0)
			failures++;
		close(server);
	}
	int status = -1;
	must(waitpid(pid, &status, 0), "waitpid");
	quiet();
	SAY(text("%d, the first %s", failures, first < 0 ? "none" : error(first)), "failures of 100 rounds");
	SAY(text("%#x", status), "child");
	nonblocking(fd);
	SAY(rc(accept(fd, NULL, NULL)), "nothing is pending");
	SAY(rang > 0 ? "yes" : "no", "signals came");
}

/* An IPv6 socket that serves both families. */
void dual_stack(int family)
{
	int fd = stream(family), on = 1, client, server;
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	SAY(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), "IPV6_V6ONLY");
	SAY(rc(bind(fd, (struct sockaddr *)&any, sizeof any)), "bind to any");
	SAY(rc(listen(fd, 4)), "listen");
	label(fd, "dual");
	SAY(sockname(fd), "getsockname");
	name_of(fd, &a);
	in.sin_port = ((struct sockaddr_in6 *)&a)->sin6_port;
	client = stream(V4);
	SAY(rc(connect(client, (struct sockaddr *)&in, sizeof in)), "connect by IPv4");
	label(client, "client");
	SAY(fdrc(server = accept(fd, (struct sockaddr *)&a, &len)), "accept");
	SAY(address(&a, len), "accept address");
	SAY(sockname(server), "accepted getsockname");
	SAY(peername(client), "client getpeername");
	SAY(rc(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on)), "IPV6_V6ONLY of a bound one");
	client = stream(V6);
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = in.sin_port};
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
	SAY(rc(connect(client, (struct sockaddr *)&mapped, sizeof mapped)), "connect to a mapped address");
	SAY(peername(client), "mapped getpeername");
	label(client, "client");
	SAY(sockname(client), "mapped getsockname");
	client = stream(V6);
	must(setsockopt(client, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), "IPV6_V6ONLY");
	SAY(rc(connect(client, (struct sockaddr *)&mapped, sizeof mapped)), "connect to a mapped address with IPV6_V6ONLY");
	SAY(rc(bind(client, (struct sockaddr *)&in, sizeof in)), "bind of an IPv4 address");
	int u = dgram(V6); /* what getaddrinfo does to sort addresses */
	in.sin_port = htons(9);
	SAY(rc(connect(u, (struct sockaddr *)&in, sizeof in)), "datagram connect to an IPv4 address");
	label(u, "datagram");
	SAY(sockname(u), "datagram getsockname");
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	SAY(rc(connect(u, &none, sizeof none)), "datagram connect AF_UNSPEC");
}
