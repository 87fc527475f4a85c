/* Values as text. */
#include "conform.h"

const char *text(const char *format, ...)
{
	static char buffers[16][512];
	static int next;
	char *b = buffers[next++ % 16];
	va_list args;
	va_start(args, format);
	vsnprintf(b, sizeof buffers[0], format, args);
	va_end(args);
	return b;
}

const char *error(int number)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
#define E(name) {name, #name}
		E(EPERM), E(EINTR), E(EIO), E(EBADF), E(EAGAIN), E(ENOMEM), E(EACCES), E(EFAULT), E(EEXIST), E(EINVAL),
		E(EMFILE), E(ENOTTY), E(ESPIPE), E(EPIPE), E(ENOSYS), E(ENOTSOCK), E(EDESTADDRREQ), E(EMSGSIZE),
		E(EPROTOTYPE), E(ENOPROTOOPT), E(EPROTONOSUPPORT), E(ESOCKTNOSUPPORT), E(EOPNOTSUPP), E(EAFNOSUPPORT),
		E(EADDRINUSE), E(EADDRNOTAVAIL), E(ENETUNREACH), E(ECONNABORTED), E(ECONNRESET), E(ENOBUFS), E(EISCONN),
		E(ENOTCONN), E(ETIMEDOUT), E(ECONNREFUSED), E(EHOSTUNREACH), E(EALREADY), E(EINPROGRESS), E(EDOM),
		E(ENODEV), E(ENXIO), E(ENOENT), E(ENETDOWN),
	};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].number == number)
			return names[i].name;
	return text("errno %d", number);
}

const char *rc(long result) { return result < 0 ? error(errno) : text("%ld", result); }

const char *fdrc(int fd) { return fd < 0 ? error(errno) : "a descriptor"; }

const char *data(long result, const char *bytes)
{
	if (result < 0)
		return error(errno);
	return text("%ld \"%.*s\"", result, result > 64 ? 64 : (int)result, bytes);
}

const char *mask(unsigned events)
{
	static const struct {
		unsigned bit;
		const char *name;
	} bits[] = {
		{POLLIN, "IN"}, {POLLPRI, "PRI"}, {POLLOUT, "OUT"}, {POLLERR, "ERR"}, {POLLHUP, "HUP"},
		{POLLNVAL, "NVAL"}, {POLLRDHUP, "RDHUP"},
	};
	char s[128] = "";
	for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
		if (events & bits[i].bit) {
			if (s[0] != 0)
				strcat(s, "|");
			strcat(s, bits[i].name);
		}
	return text("%s", s[0] != 0 ? s : "-");
}

enum { interest = POLLIN | POLLPRI | POLLOUT | POLLRDHUP }; /* the same bits for poll and epoll */

const char *polled(int fd)
{
	struct pollfd p = {fd, interest, 0};
	return poll(&p, 1, 0) < 0 ? error(errno) : mask(p.revents);
}

const char *level(int fd)
{
	int ep = epoll_create1(0);
	struct epoll_event e = {.events = interest}, got = {0};
	must(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), "EPOLL_CTL_ADD");
	epoll_wait(ep, &got, 1, 0);
	close(ep);
	return mask(got.events);
}

int watch(int fd)
{
	int ep = epoll_create1(0);
	struct epoll_event e = {.events = interest | EPOLLET};
	must(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), "EPOLL_CTL_ADD");
	return ep;
}

static unsigned seen_edges;

void clear_edges(void) { seen_edges = 0; }

const char *edges(int ep)
{
	struct epoll_event got;
	for (int i = 0; i < 8 && epoll_wait(ep, &got, 1, 0) == 1; i++) /* what is level-triggered does not end */
		seen_edges |= got.events;
	return mask(seen_edges);
}

const char *selected(int fd)
{
	fd_set r, w, x;
	struct timeval now = {0, 0};
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&x);
	FD_SET(fd, &r);
	FD_SET(fd, &w);
	FD_SET(fd, &x);
	if (select(fd + 1, &r, &w, &x, &now) < 0)
		return error(errno);
	return text("%s%s%s", FD_ISSET(fd, &r) ? "r" : "-", FD_ISSET(fd, &w) ? "w" : "-", FD_ISSET(fd, &x) ? "x" : "-");
}

const char *queued(int fd)
{
	int n = -1;
	return ioctl(fd, FIONREAD, &n) < 0 ? error(errno) : text("%d", n);
}

const char *option(int fd, int layer, int name)
{
	int value = -1;
	socklen_t len = sizeof value;
	if (getsockopt(fd, layer, name, &value, &len) < 0)
		return error(errno);
	if (layer == SOL_SOCKET && name == SO_ERROR && value != 0)
		return error(value);
	return text("%d", value);
}

static struct {
	int port;
	const char *name;
} labels[32];
static int labelled;

static int port_of(const struct sockaddr_storage *a)
{
	return ntohs(a->ss_family == AF_INET6 ? ((struct sockaddr_in6 *)a)->sin6_port : ((struct sockaddr_in *)a)->sin_port);
}

void label(int fd, const char *name)
{
	struct sockaddr_storage a;
	name_of(fd, &a);
	labels[labelled].port = port_of(&a);
	labels[labelled++].name = name;
}

const char *address(const struct sockaddr_storage *a, socklen_t len)
{
	char host[64] = "?";
	int port = port_of(a);
	const char *name = port == 0 ? "0" : "some";
	if (len == 0)
		return "none";
	if (a->ss_family == AF_UNIX)
		return "a unix address";
	if (a->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)a)->sin6_addr, host, sizeof host);
	else
		inet_ntop(a->ss_family, &((struct sockaddr_in *)a)->sin_addr, host, sizeof host);
	for (int i = labelled - 1; i >= 0; i--)
		if (labels[i].port == port)
			name = labels[i].name;
	return text("%s port %s (%u bytes)", host, name, len);
}

static const char *asked(int (*ask)(int, struct sockaddr *, socklen_t *), int fd)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof a;
	return ask(fd, (struct sockaddr *)&a, &len) < 0 ? error(errno) : address(&a, len);
}

const char *sockname(int fd) { return asked(getsockname, fd); }
const char *peername(int fd) { return asked(getpeername, fd); }

void state(const char *step, int fd)
{
	SEE(polled(fd), "%s poll", step);
	SEE(level(fd), "%s epoll", step);
	SEE(selected(fd), "%s select", step);
	SEE(queued(fd), "%s FIONREAD", step);
	SAY(sockname(fd), "%s getsockname", step);
	SAY(peername(fd), "%s getpeername", step);
}
