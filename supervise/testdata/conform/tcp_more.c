/* TCP: full buffers, timeouts, options, messages, one-shot events. */
#include "conform.h"

static char block[65536];

/* fill sends until there is no room. */
static long long fill(int fd)
{
	long long sent = 0;
	ssize_t n;
	while ((n = send(fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		sent += n;
	return sent;
}

/* filled fills until there stays no room: buffers grow, and data move on. */
static long long filled(int fd)
{
	long long sent = fill(fd), more;
	struct pollfd p = {fd, POLLOUT, 0};
	while (poll(&p, 1, 300) == 1 && (more = fill(fd)) > 0)
		sent += more;
	return sent;
}

/* drained receives so many bytes. */
static long long drained(int fd, long long bytes)
{
	long long got = 0;
	ssize_t n;
	while (got < bytes && (n = recv(fd, block, sizeof block, 0)) > 0)
		got += n;
	return got;
}

void tcp_full(int family)
{
	struct pair p = connected(family);
	int ep;
	long long sent = filled(p.client);
	ep = watch(p.client);
	SEE(polled(p.client), "full poll");
	SEE(selected(p.client), "full select");
	EDGES(ep, "full edges");
	SAY(drained(p.server, sent) == sent ? "all" : "not all", "drained");
	SEE(polled(p.client), "drained poll");
	EDGES(ep, "drained edges");
	SEE(queued(p.server), "drained FIONREAD");
	sent = filled(p.client);
	SAY(rc(shutdown(p.client, SHUT_WR)), "shutdown while full");
	SAY(drained(p.server, sent + 1) == sent ? "all" : "not all", "drained after shutdown");
	SAY(rc(recv(p.server, block, 1, 0)), "recv at the end");
	p = connected(family);
	sent = filled(p.client);
	SAY(rc(close(p.client)), "close while full");
	SAY(drained(p.server, sent + 1) == sent ? "all" : "not all", "drained after close");
}

static long long elapsed_ms(const struct timespec *since)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000LL + (now.tv_nsec - since->tv_nsec) / 1000000;
}

void tcp_timeouts(int family)
{
	struct timeval soon = {0, 100000}, got = {0};
	struct timespec began;
	socklen_t len = sizeof got;
	struct pair p = connected(family);
	char b[8];
	must(setsockopt(p.client, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), "SO_RCVTIMEO");
	must(setsockopt(p.listener, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), "SO_RCVTIMEO");
	must(setsockopt(p.client, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon), "SO_SNDTIMEO");
	must(getsockopt(p.client, SOL_SOCKET, SO_RCVTIMEO, &got, &len), "SO_RCVTIMEO");
	SAY(text("%ld.%06ld", (long)got.tv_sec, (long)got.tv_usec), "SO_RCVTIMEO");
	clock_gettime(CLOCK_MONOTONIC, &began);
	SAY(rc(recv(p.client, b, 8, 0)), "recv");
	SAY(elapsed_ms(&began) >= 99 ? "yes" : "no", "recv waited");
	for (int i = 0; i < 2; i++) { /* the connection outlives its calls */
		must(send(p.server, "late", 4, 0), "send");
		WHEN(data(recv(p.client, b, 8, 0), b), "recv of late bytes %d", i);
		SAY(rc(recv(p.client, b, 8, 0)), "recv afterwards %d", i);
	}
	clock_gettime(CLOCK_MONOTONIC, &began);
	SAY(rc(accept(p.listener, NULL, NULL)), "accept");
	SAY(elapsed_ms(&began) >= 99 ? "yes" : "no", "accept waited");
	filled(p.client);
	clock_gettime(CLOCK_MONOTONIC, &began);
	while (send(p.client, block, sizeof block, 0) > 0) /* some may still fit, and the rest waits */
		clock_gettime(CLOCK_MONOTONIC, &began);
	SAY(rc(-1), "send");
	SAY(elapsed_ms(&began) >= 99 ? "yes" : "no", "send waited");
	soon.tv_usec = 1000000;
	SAY(rc(setsockopt(p.client, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon)), "SO_RCVTIMEO of a million us");
	SAY(rc(setsockopt(p.client, SOL_SOCKET, SO_RCVTIMEO, &soon, 4)), "SO_RCVTIMEO of 4 bytes");
}

/* Descriptors that are closed free their ports and refuse connections at once. */
void tcp_reuse(int family)
{
	struct sockaddr_storage a;
	socklen_t len;
	int fd = listening(family, 4), client, failures = 0, on = 1;
	len = name_of(fd, &a);
	for (int i = 0; i < 50; i++) {
		close(fd);
		client = stream(family);
		if (connect(client, (struct sockaddr *)&a, len) == 0 || errno != ECONNREFUSED)
			failures++;
		close(client);
		fd = stream(family);
		if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 4) < 0)
			failures++;
	}
	SAY(text("%d", failures), "failures of close, connect, bind and listen");
	struct pair p = connected(family);
	len = name_of(p.listener, &a);
	close(p.server);
	close(p.listener);
	fd = stream(family);
	SAY(rc(bind(fd, (struct sockaddr *)&a, len)), "bind while a connection ends");
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
	SAY(rc(bind(fd, (struct sockaddr *)&a, len)), "bind with SO_REUSEADDR");
	SAY(rc(listen(fd, 4)), "listen");
	client = stream(family);
	must(setsockopt(client, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
	SAY(rc(bind(client, (struct sockaddr *)&a, len)), "bind with SO_REUSEADDR where one listens");
	int r1 = stream(family), r2 = stream(family);
	must(setsockopt(r1, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
	must(setsockopt(r2, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
	must(bind_loopback(r1, family), "bind");
	len = name_of(r1, &a);
	SAY(rc(bind(r2, (struct sockaddr *)&a, len)), "bind with SO_REUSEPORT");
	SAY(rc(listen(r1, 1)), "listen first");
	SAY(rc(listen(r2, 1)), "listen second");
}

void tcp_options(int family)
{
	static const struct {
		const char *name;
		int layer, number, value;
	} table[] = {
		O(SOL_SOCKET, SO_REUSEADDR, 1), O(SOL_SOCKET, SO_KEEPALIVE, 1), O(SOL_SOCKET, SO_BROADCAST, 1),
		O(SOL_SOCKET, SO_OOBINLINE, 1), O(SOL_SOCKET, SO_REUSEPORT, 1), O(SOL_SOCKET, SO_DONTROUTE, 1),
		O(SOL_SOCKET, SO_PRIORITY, 3), O(SOL_SOCKET, SO_RCVLOWAT, 1), O(SOL_SOCKET, SO_TIMESTAMP, 1),
		O(IPPROTO_TCP, TCP_NODELAY, 1), O(IPPROTO_TCP, TCP_CORK, 1), O(IPPROTO_TCP, TCP_KEEPIDLE, 30),
		O(IPPROTO_TCP, TCP_KEEPINTVL, 5), O(IPPROTO_TCP, TCP_KEEPCNT, 3), O(IPPROTO_TCP, TCP_USER_TIMEOUT, 5000),
		O(IPPROTO_TCP, TCP_QUICKACK, 1), O(IPPROTO_TCP, TCP_DEFER_ACCEPT, 0), O(IPPROTO_TCP, TCP_SYNCNT, 4),
		O(IPPROTO_TCP, TCP_LINGER2, 30), O(IPPROTO_IP, IP_TTL, 33), O(IPPROTO_IP, IP_TOS, 16),
		O(IPPROTO_IP, IP_RECVERR, 1), O(IPPROTO_IP, IP_MTU_DISCOVER, 1), O(IPPROTO_IP, IP_FREEBIND, 1),
		O(IPPROTO_IP, IP_MULTICAST_TTL, 5), O(IPPROTO_IP, IP_MULTICAST_LOOP, 0),
	};
	int fd = stream(family);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		int v = table[i].value;
		SAY(option(fd, table[i].layer, table[i].number), "%s at first", table[i].name);
		SAY(rc(setsockopt(fd, table[i].layer, table[i].number, &v, sizeof v)), "%s set to %d", table[i].name, v);
		SAY(option(fd, table[i].layer, table[i].number), "%s then", table[i].name);
	}
	struct linger l = {1, 7};
	socklen_t len = sizeof l;
	SAY(rc(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l)), "SO_LINGER set");
	memset(&l, 0, sizeof l);
	must(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len), "SO_LINGER");
	SAY(text("%d %d", l.l_onoff, l.l_linger), "SO_LINGER then");
	struct tcp_info info = {0};
	len = sizeof info;
	SAY(rc(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len)), "TCP_INFO");
	SAY(text("%d", info.tcpi_state), "TCP_INFO state");
	char name[16] = "";
	len = sizeof name;
	SAY(rc(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len)), "TCP_CONGESTION");
	SAY(option(fd, SOL_SOCKET, 9999), "an option that is none");
	SAY(option(fd, 9999, 1), "a level that is none");
	SAY(option(fd, SOL_SOCKET, SO_PEERCRED) == NULL ? "" : "answered", "SO_PEERCRED");
}

void tcp_messages(int family)
{
	struct pair p = connected(family);
	char b[64], control[64];
	struct sockaddr_storage a;
	struct iovec v[2] = {{"one ", 4}, {"two", 3}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
	int file = memfd_create("file", MFD_CLOEXEC), pipes[2];
	SAY(rc(sendmsg(p.client, &m, 0)), "sendmsg");
	struct iovec in = {b, sizeof b};
	m = (struct msghdr){&a, sizeof a, &in, 1, control, sizeof control, 0};
	WHEN(data(recvmsg(p.server, &m, MSG_DONTWAIT), b), "recvmsg");
	SAY(text("%u %zu %#x", m.msg_namelen, m.msg_controllen, m.msg_flags), "recvmsg name, control, flags");
	struct mmsghdr many[2] = {{.msg_hdr = {.msg_iov = &v[0], .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = &v[1], .msg_iovlen = 1}}};
	SAY(rc(sendmmsg(p.client, many, 2, 0)), "sendmmsg");
	SAY(text("%u %u", many[0].msg_len, many[1].msg_len), "sendmmsg lengths");
	SEE(queued(p.server), "sendmmsg FIONREAD");
	many[0] = (struct mmsghdr){.msg_hdr = {.msg_iov = &in, .msg_iovlen = 1}};
	SAY(rc(recvmmsg(p.server, many, 1, MSG_DONTWAIT, NULL)), "recvmmsg");
	SAY(data(many[0].msg_len, b), "recvmmsg data");
	must(write(file, "from a file", 11), "write");
	off_t off = 5;
	SAY(rc(sendfile(p.client, file, &off, 6)), "sendfile");
	WHEN(data(recv(p.server, b, 64, MSG_DONTWAIT), b), "sendfile arrives");
	must(pipe(pipes), "pipe");
	must(write(pipes[1], "piped", 5), "write");
	SAY(rc(splice(pipes[0], NULL, p.client, NULL, 5, 0)), "splice out");
	SEE(queued(p.server), "spliced FIONREAD");
	SAY(rc(splice(p.server, NULL, pipes[1], NULL, 64, 0)), "splice in");
	SAY(data(read(pipes[0], b, 64), b), "splice in, data");
	SAY(rc(send(p.client, "!", 1, MSG_OOB)), "send MSG_OOB");
	SEE(polled(p.server), "urgent poll");
	SAY(data(recv(p.server, b, 64, MSG_OOB | MSG_DONTWAIT), b), "recv MSG_OOB");
	SAY(rc(recv(p.server, b, 64, MSG_ERRQUEUE | MSG_DONTWAIT)), "recv MSG_ERRQUEUE");
	m = (struct msghdr){.msg_iov = v, .msg_iovlen = 2000};
	SAY(rc(sendmsg(p.client, &m, 0)), "sendmsg of 2000 pieces");
	m = (struct msghdr){.msg_iov = NULL, .msg_iovlen = 1};
	SAY(rc(sendmsg(p.client, &m, 0)), "sendmsg of a piece at no address");
	SAY(rc(lseek(p.client, 0, SEEK_CUR)), "lseek");
	SAY(rc(pread(p.client, b, 1, 0)), "pread");
}

void tcp_oneshot(int family)
{
	struct pair p = connected(family);
	int ep = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT};
	char b[8];
	must(epoll_ctl(ep, EPOLL_CTL_ADD, p.client, &e), "EPOLL_CTL_ADD");
	EDGES(ep, "quiet");
	must(send(p.server, "a", 1, 0), "send");
	EDGES(ep, "1 byte in");
	must(send(p.server, "b", 1, 0), "send");
	SEE(queued(p.client), "2 bytes in FIONREAD");
	EDGES(ep, "2 bytes in, disarmed");
	must(epoll_ctl(ep, EPOLL_CTL_MOD, p.client, &e), "EPOLL_CTL_MOD");
	EDGES(ep, "armed again");
	SAY(data(recv(p.client, b, 8, 0), b), "recv");
	must(epoll_ctl(ep, EPOLL_CTL_MOD, p.client, &e), "EPOLL_CTL_MOD");
	EDGES(ep, "armed and empty");
	SAY(rc(epoll_ctl(ep, EPOLL_CTL_ADD, p.client, &e)), "EPOLL_CTL_ADD twice");
	close(p.server);
	EDGES(ep, "peer closed");
	SAY(rc(epoll_ctl(ep, EPOLL_CTL_DEL, p.client, &e)), "EPOLL_CTL_DEL");
	int listener = listening(family, 4), other = epoll_create1(0), client = stream(family);
	e.events = EPOLLIN | EPOLLEXCLUSIVE;
	SAY(rc(epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e)), "EPOLLEXCLUSIVE of a listener");
	SAY(rc(epoll_ctl(other, EPOLL_CTL_ADD, listener, &e)), "EPOLLEXCLUSIVE of it elsewhere");
	must(connect_to(client, listener), "connect");
	EDGES(ep, "one pending");
	EDGES(other, "one pending elsewhere");
}
