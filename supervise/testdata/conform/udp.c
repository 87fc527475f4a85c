/* UDP: fresh, bound, connected, refused. */
#include "conform.h"

static socklen_t to(int fd, struct sockaddr_storage *a) { return name_of(fd, a); }

static long sendto_fd(int fd, int target, const char *bytes, size_t n)
{
	struct sockaddr_storage a;
	socklen_t len = to(target, &a);
	return sendto(fd, bytes, n, 0, (struct sockaddr *)&a, len);
}

static int bound(int family, const char *name)
{
	int fd = dgram(family);
	must(bind_loopback(fd, family), "bind");
	timeouts(fd);
	label(fd, name);
	return fd;
}

void udp_fresh(int family)
{
	int fd = dgram(family), ep = watch(fd);
	char b[8];
	state("fresh", fd);
	EDGES(ep, "fresh edges");
	SAY(rc(recv(fd, b, 8, MSG_DONTWAIT)), "recv");
	SAY(rc(recvfrom(fd, b, 8, MSG_DONTWAIT, NULL, NULL)), "recvfrom");
	SAY(rc(send(fd, "x", 1, 0)), "send");
	SAY(rc(write(fd, "x", 1)), "write");
	SAY(rc(listen(fd, 1)), "listen");
	SAY(rc(accept(fd, NULL, NULL)), "accept");
	SAY(rc(shutdown(fd, SHUT_RD)), "shutdown");
	SAY(option(fd, SOL_SOCKET, SO_TYPE), "SO_TYPE");
	SAY(option(fd, SOL_SOCKET, SO_DOMAIN), "SO_DOMAIN");
	SAY(option(fd, SOL_SOCKET, SO_PROTOCOL), "SO_PROTOCOL");
	SAY(option(fd, SOL_SOCKET, SO_ACCEPTCONN), "SO_ACCEPTCONN");
	SAY(option(fd, SOL_SOCKET, SO_ERROR), "SO_ERROR");
	int target = bound(family, "target");
	SAY(rc(sendto_fd(fd, target, "x", 1)), "sendto binds");
	label(fd, "fresh");
	SAY(sockname(fd), "getsockname then");
}

void udp_bound(int family)
{
	int fd = bound(family, "bound"), peer = bound(family, "peer"), ep = watch(fd);
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	char b[64];
	static char big[65536];
	state("bound", fd);
	EDGES(ep, "bound edges");
	SAY(rc(bind_loopback(fd, family)), "bind twice");
	SAY(rc(sendto_fd(peer, fd, "first", 5)), "sendto");
	state("one datagram", fd);
	EDGES(ep, "one datagram edges");
	SAY(rc(sendto_fd(peer, fd, "second!", 7)), "sendto again");
	SEE(queued(fd), "two datagrams FIONREAD");
	EDGES(ep, "two datagrams edges");
	WHEN(data(recvfrom(fd, b, 64, MSG_DONTWAIT | MSG_PEEK, (struct sockaddr *)&a, &len), b), "recvfrom MSG_PEEK");
	SAY(address(&a, len), "recvfrom MSG_PEEK address");
	len = sizeof a;
	WHEN(data(recvfrom(fd, b, 3, MSG_DONTWAIT, (struct sockaddr *)&a, &len), b), "recvfrom too short");
	SAY(address(&a, len), "recvfrom address");
	SEE(queued(fd), "one left FIONREAD");
	WHEN(data(recv(fd, b, 3, MSG_DONTWAIT | MSG_TRUNC), b), "recv MSG_TRUNC too short");
	SEE(polled(fd), "empty poll");
	SAY(rc(sendto_fd(peer, fd, "", 0)), "sendto of nothing");
	SEE(polled(fd), "empty datagram poll");
	SEE(queued(fd), "empty datagram FIONREAD");
	EDGES(ep, "empty datagram edges");
	len = sizeof a;
	WHEN(data(recvfrom(fd, b, 64, MSG_DONTWAIT, (struct sockaddr *)&a, &len), b), "recvfrom of an empty datagram");
	SAY(address(&a, len), "recvfrom of an empty datagram, address");
	SAY(rc(recv(fd, b, 64, MSG_DONTWAIT)), "recv of none");
	SAY(rc(sendto_fd(peer, fd, big, 65000)), "sendto of 65000 bytes");
	SEE(queued(fd), "65000 bytes FIONREAD");
	SAY(rc(recv(fd, big, sizeof big, 0)), "recv of 65000 bytes");
	SAY(rc(sendto_fd(peer, fd, big, sizeof big)), "sendto of 65536 bytes");
	SAY(rc(sendto_fd(fd, fd, "self", 4)), "sendto itself");
	len = sizeof a;
	WHEN(data(recvfrom(fd, b, 64, MSG_DONTWAIT, (struct sockaddr *)&a, &len), b), "recvfrom itself");
	SAY(address(&a, len), "recvfrom itself, address");
	len = loopback(family, 0, &a);
	SAY(rc(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, len)), "sendto port 0");
	len = to(fd, &a);
	int other = dgram(family);
	SAY(rc(bind(other, (struct sockaddr *)&a, len)), "bind to a port in use");
	close(fd);
	SAY(rc(bind(other, (struct sockaddr *)&a, len)), "bind to a port that was closed");
}

void udp_connected(int family)
{
	int fd = dgram(family), peer = bound(family, "peer"), stranger = bound(family, "stranger"), ep = watch(fd);
	struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
	char b[64];
	timeouts(fd);
	SAY(rc(connect_to(fd, peer)), "connect");
	label(fd, "connected");
	state("connected", fd);
	EDGES(ep, "connected edges");
	SAY(rc(send(fd, "hello", 5, 0)), "send");
	SEE(queued(peer), "peer FIONREAD");
	WHEN(data(recv(peer, b, 64, MSG_DONTWAIT), b), "peer recv");
	SAY(rc(sendto_fd(stranger, fd, "not this", 8)), "sendto of a stranger");
	SAY(rc(sendto_fd(peer, fd, "this", 4)), "sendto of the peer");
	WHEN(data(recv(fd, b, 64, MSG_DONTWAIT), b), "recv");
	SAY(rc(recv(fd, b, 64, MSG_DONTWAIT)), "recv of none");
	SAY(rc(write(fd, "w", 1)), "write");
	WHEN(data(recv(peer, b, 64, MSG_DONTWAIT), b), "peer recv of the write");
	SAY(rc(sendto_fd(fd, stranger, "elsewhere", 9)), "sendto elsewhere");
	WHEN(data(recv(stranger, b, 64, MSG_DONTWAIT), b), "stranger recv");
	SAY(rc(connect_to(fd, stranger)), "connect elsewhere");
	SAY(peername(fd), "getpeername elsewhere");
	SAY(rc(connect(fd, (struct sockaddr *)&a, sizeof a)), "connect AF_UNSPEC");
	SAY(peername(fd), "disconnected getpeername");
	SAY(sockname(fd), "disconnected getsockname");
	SAY(rc(connect_to(fd, peer)), "connect once more");
	SAY(rc(shutdown(fd, SHUT_RD)), "shutdown SHUT_RD");
	SEE(polled(fd), "read shut poll");
	SAY(rc(recv(fd, b, 64, MSG_DONTWAIT)), "read shut recv");
	SAY(rc(shutdown(fd, SHUT_WR)), "shutdown SHUT_WR");
	SEE(polled(fd), "both shut poll");
	SAY(rc(send(fd, "x", 1, MSG_NOSIGNAL)), "write shut send");
}

/* refused has sent to a port that nobody has. */
static int refused(int family)
{
	int fd = dgram(family), gone = bound(family, "gone");
	timeouts(fd);
	must(connect_to(fd, gone), "connect");
	close(gone);
	send_until_error(fd);
	return fd;
}

void udp_refused(int family)
{
	int fd = refused(family), ep;
	char b[8];
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	SEE(polled(fd), "refused poll");
	SEE(level(fd), "refused epoll");
	SAY(option(fd, SOL_SOCKET, SO_ERROR), "SO_ERROR tells");
	SEE(polled(fd), "told poll");
	SAY(option(fd, SOL_SOCKET, SO_ERROR), "SO_ERROR again");
	ep = watch(fd);
	EDGES(ep, "told edges");
	must(send(fd, "x", 1, 0), "send");
	EDGES(ep, "refused edges");
	SAY(rc(recv(fd, b, 8, MSG_DONTWAIT)), "recv tells");
	SAY(rc(recv(fd, b, 8, MSG_DONTWAIT)), "recv again");
	fd = refused(family);
	SEE(polled(fd), "second poll");
	SAY(rc(send(fd, "x", 1, 0)), "send tells");
	fd = refused(family);
	SEE(polled(fd), "third poll");
	SAY(rc(recvfrom(fd, b, 8, MSG_DONTWAIT, (struct sockaddr *)&a, &len)), "recvfrom tells");
	fd = refused(family);
	SEE(polled(fd), "fourth poll");
	SAY(rc(read(fd, b, 8)), "read tells");
	fd = refused(family);
	SEE(polled(fd), "fifth poll");
	SAY(rc(write(fd, "x", 1)), "write tells");
	fd = dgram(family);
	int gone = bound(family, "gone");
	len = to(gone, &a);
	close(gone);
	SAY(rc(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, len)), "sendto unconnected");
	SEE(polled(fd), "unconnected poll");
}

void udp_messages(int family)
{
	int fd = bound(family, "bound"), peer = bound(family, "peer"), on = 1;
	int layer = family == V6 ? IPPROTO_IPV6 : IPPROTO_IP, what = family == V6 ? IPV6_RECVPKTINFO : IP_PKTINFO;
	struct sockaddr_storage a, from;
	socklen_t len = to(fd, &a);
	char b[64], b2[64], control[256];
	struct iovec v = {"message", 7}, in[2] = {{b, 2}, {b + 2, 62}}, in2 = {b2, 64};
	struct msghdr m = {&a, len, &v, 1, NULL, 0, 0};
	SAY(rc(setsockopt(fd, layer, what, &on, sizeof on)), "PKTINFO");
	SAY(rc(setsockopt(fd, layer, family == V6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL, &on, sizeof on)), "TTL");
	SAY(rc(sendmsg(peer, &m, 0)), "sendmsg");
	m = (struct msghdr){&from, sizeof from, in, 2, control, sizeof control, 0};
	WHEN(data(recvmsg(fd, &m, MSG_DONTWAIT), b), "recvmsg");
	SAY(address(&from, m.msg_namelen), "recvmsg address");
	SAY(text("%#x", m.msg_flags), "recvmsg flags");
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
		int ttl = 0;
		if (c->cmsg_len == CMSG_LEN(sizeof ttl))
			memcpy(&ttl, CMSG_DATA(c), sizeof ttl);
		SAY(text("%zu bytes, %d", c->cmsg_len, ttl), "recvmsg control %d/%d", c->cmsg_level, c->cmsg_type);
	}
	must(sendto(peer, "longer than it", 14, 0, (struct sockaddr *)&a, len), "sendto");
	in[1].iov_len = 2;
	m = (struct msghdr){NULL, 0, in, 2, control, 8, 0};
	WHEN(data(recvmsg(fd, &m, MSG_DONTWAIT), b), "recvmsg too short");
	SAY(text("%#x", m.msg_flags), "recvmsg too short, flags");
	struct iovec three[3] = {{"a", 1}, {"bb", 2}, {"ccc", 3}};
	struct mmsghdr many[3] = {0};
	for (int i = 0; i < 3; i++)
		many[i].msg_hdr = (struct msghdr){&a, len, &three[i], 1, NULL, 0, 0};
	SAY(rc(sendmmsg(peer, many, 3, 0)), "sendmmsg");
	SAY(text("%u %u %u", many[0].msg_len, many[1].msg_len, many[2].msg_len), "sendmmsg lengths");
	in[0].iov_len = 64;
	SEE(queued(fd), "sendmmsg FIONREAD");
	WHEN(data(recv(fd, b, 64, MSG_DONTWAIT), b), "recv of the first");
	must(sendto(peer, "4444", 4, 0, (struct sockaddr *)&a, len), "sendto");
	many[0].msg_hdr = (struct msghdr){&from, sizeof from, &in[0], 1, NULL, 0, 0};
	many[1].msg_hdr = (struct msghdr){NULL, 0, &in2, 1, NULL, 0, 0};
	timeouts(fd);
	SAY(rc(recvmmsg(fd, many, 2, 0, NULL)), "recvmmsg");
	SAY(text("%s %s", data(many[0].msg_len, b), data(many[1].msg_len, b2)), "recvmmsg data");
	SAY(address(&from, many[0].msg_hdr.msg_namelen), "recvmmsg address");
	WHEN(data(recv(fd, b, 64, MSG_DONTWAIT), b), "recv of the last");
	SAY(rc(recvmmsg(fd, many, 2, MSG_DONTWAIT, NULL)), "recvmmsg of none");
	struct timespec soon = {0, 50000000};
	must(sendto(peer, "5", 1, 0, (struct sockaddr *)&a, len), "sendto");
	SAY(rc(recvmmsg(fd, many, 2, MSG_WAITFORONE, &soon)), "recvmmsg MSG_WAITFORONE");
	SAY(rc(sendto(fd, "x", 1, MSG_OOB, (struct sockaddr *)&a, len)), "sendto MSG_OOB");
}

void udp_options(int family)
{
	static const struct {
		const char *name;
		int layer, number, value;
	} table[] = {
		O(SOL_SOCKET, SO_REUSEADDR, 1), O(SOL_SOCKET, SO_BROADCAST, 1), O(SOL_SOCKET, SO_TIMESTAMP, 1),
		O(SOL_SOCKET, SO_NO_CHECK, 1), O(SOL_SOCKET, SO_PRIORITY, 3), O(IPPROTO_IP, IP_TTL, 9), O(IPPROTO_IP, IP_TOS, 8),
		O(IPPROTO_IP, IP_RECVTTL, 1), O(IPPROTO_IP, IP_RECVTOS, 1), O(IPPROTO_IP, IP_PKTINFO, 1),
		O(IPPROTO_IP, IP_RECVERR, 1), O(IPPROTO_IP, IP_MTU_DISCOVER, 2), O(IPPROTO_IP, IP_MULTICAST_TTL, 4),
		O(IPPROTO_IP, IP_MULTICAST_LOOP, 0), O(IPPROTO_TCP, TCP_NODELAY, 1),
	};
	int fd = dgram(family);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		int v = table[i].value;
		SAY(option(fd, table[i].layer, table[i].number), "%s at first", table[i].name);
		SAY(rc(setsockopt(fd, table[i].layer, table[i].number, &v, sizeof v)), "%s set to %d", table[i].name, v);
		SAY(option(fd, table[i].layer, table[i].number), "%s then", table[i].name);
	}
	SAY(option(fd, IPPROTO_IP, IP_MTU), "IP_MTU unconnected");
	struct ip_mreq group = {{inet_addr("224.0.0.251")}, {htonl(INADDR_LOOPBACK)}};
	SAY(rc(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group)), "IP_ADD_MEMBERSHIP");
	SAY(rc(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group)), "IP_ADD_MEMBERSHIP twice");
	SAY(rc(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group)), "IP_DROP_MEMBERSHIP");
	SAY(rc(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group)), "IP_DROP_MEMBERSHIP twice");
}
