// Calls with pointers and lengths that are none. Prints what each call gave.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { page = 4096, pages = 16 };

static char *good;   // memory, with a closed page behind it
static char *closed; // that page
static char *kernel = (char *)0xffff800000000000;
static char *const_page; // can be read only

static struct sockaddr_in loopback(int port) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return a;
}

static void must(const char *what, long r) {
	if (r < 0) {
		perror(what);
		exit(1);
	}
}

static void readable(int fd) {
	struct pollfd p = {fd, POLLIN, 0};
	must("poll", poll(&p, 1, -1));
}

// open_kind makes a socket: fresh, listening and connected ones of TCP, fresh and
// connected ones of UDP. Connected ones have 100 bytes to read.
static int open_kind(char kind, int *other) {
	static char data[100];
	struct sockaddr_in a = loopback(0);
	socklen_t size = sizeof a;
	int fd = socket(AF_INET, (strchr("ub", kind) ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0), end;
	must("socket", fd);
	*other = -1;
	if (kind == 'f' || kind == 'u')
		return fd;
	must("bind", bind(fd, (void *)&a, size));
	if (kind == 'l' || kind == 'c')
		must("listen", listen(fd, 5));
	must("getsockname", getsockname(fd, (void *)&a, &size));
	if (kind == 'l')
		return fd;
	end = kind == 'b' ? fd : socket(AF_INET, SOCK_STREAM, 0);
	must("connect", connect(end, (void *)&a, size));
	if (kind == 'c') {
		readable(fd);
		*other = accept4(fd, 0, 0, SOCK_NONBLOCK);
		must("accept", *other);
		close(fd);
		fd = *other;
		*other = end;
	}
	must("send", send(end, data, sizeof data, 0));
	readable(fd);
	return fd;
}

// put copies a value to an address in good and returns that.
static char *put(int at, const void *value, size_t size) { return memcpy(good + at, value, size); }

static char *put_int(int at, int value) { return put(at, &value, sizeof value); }

static char *put_addr(int at) {
	struct sockaddr_in a = loopback(1);
	return put(at, &a, sizeof a);
}

// put_header makes a struct msghdr of good parts and returns it, for changes.
static struct msghdr *put_header(void) {
	struct iovec *v = (void *)(good + 2 * page);
	struct msghdr *h = (void *)(good + page);
	for (int i = 0; i < 1025; i++)
		v[i] = (struct iovec){good + 8 * page + i, 1};
	memset(h, 0, sizeof *h);
	h->msg_iov = v;
	h->msg_iovlen = 1;
	return h;
}

#define HEADER(change) ({ struct msghdr *h = put_header(); struct iovec *v = h->msg_iov; (void)v; change; h; })
#define HEADERS(change) ({ struct mmsghdr *m = (void *)(good + 12 * page); memset(m, 0, 2 * sizeof *m); m[0].msg_hdr = m[1].msg_hdr = *put_header(); change; m; })
#define CALL(name, ...) if (i == n++) { *what = #name "(" #__VA_ARGS__ ")"; errno = 0; return syscall(SYS_##name, __VA_ARGS__); }

// The calls. What is beyond the end of them says nothing.
static long run(int i, int fd, const char **what) {
	int n = 0;
	char *end = closed; // of what can be read
	char *a = put_addr(0), *last = put_addr(pages * page - 16), *size = put_int(64, 16), *no_size = put_int(68, -1);
	char *four = put_int(72, 4), *huge = put_int(76, INT_MAX), *none = put_int(80, 0), *three = put_int(84, 3);
	*what = 0;
	for (int repeat = 0; repeat < 1; repeat++) {
		CALL(connect, fd, 0, 16)
		CALL(connect, fd, closed, 16)
		CALL(connect, fd, kernel, 16)
		CALL(connect, fd, -1L, 16)
		CALL(connect, fd, last + 1, 16)
		CALL(connect, fd, a, -1)
		CALL(connect, fd, a, 129)
		CALL(connect, fd, closed, 129)
		CALL(connect, fd, closed, INT_MAX)
		CALL(connect, fd, closed, INT_MIN)
		CALL(connect, fd, a, 0)
		CALL(connect, fd, a, 1)
		CALL(connect, fd, 0, 0)
		CALL(connect, fd, a, 15)
		CALL(bind, fd, 0, 16)
		CALL(bind, fd, closed, 16)
		CALL(bind, fd, last + 1, 16)
		CALL(bind, fd, a, -1)
		CALL(bind, fd, a, 129)
		CALL(bind, fd, a, 0)
		CALL(bind, fd, 0, 0)
		CALL(bind, fd, a, 15)
		CALL(accept, fd, closed, size)
		CALL(accept, fd, a, closed)
		CALL(accept4, fd, 0, 0, -1)
		CALL(accept4, fd, 0, 0, 1)
		CALL(listen, fd, -1)
		CALL(listen, fd, INT_MIN)
		CALL(shutdown, fd, 3)
		CALL(shutdown, fd, -1)
		CALL(getsockname, fd, 0, size)
		CALL(getsockname, fd, a, 0)
		CALL(getsockname, fd, 0, 0)
		CALL(getsockname, fd, closed, size)
		CALL(getsockname, fd, closed, none)
		CALL(getsockname, fd, a, closed)
		CALL(getsockname, fd, a, no_size)
		CALL(getsockname, fd, a, huge)
		CALL(getsockname, fd, a, const_page)
		CALL(getsockname, fd, const_page, size)
		CALL(getsockname, fd, end - 8, size)
		CALL(getsockname, fd, last, put_int(101, 16))
		CALL(getsockname, fd, kernel, size)
		CALL(getpeername, fd, 0, size)
		CALL(getpeername, fd, a, 0)
		CALL(getpeername, fd, closed, size)
		CALL(getpeername, fd, a, no_size)
		CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, 0, 4)
		CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, closed, 4)
		CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, end - 3, 4)
		CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, end - 4, 5)
		CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, end - 4, INT_MAX)
		CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, four, -1)
		CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, four, INT_MIN)
		CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, four, 3)
		CALL(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, 0, 0)
		CALL(setsockopt, fd, SOL_SOCKET, SO_LINGER, four, 4)
		CALL(setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, four, 8)
		CALL(setsockopt, fd, SOL_SOCKET, SO_BINDTODEVICE, closed, 4)
		CALL(setsockopt, fd, SOL_SOCKET, SO_BINDTODEVICE, 0, 0)
		CALL(setsockopt, fd, SOL_SOCKET, -1, four, 4)
		CALL(setsockopt, fd, -1, -1, four, 4)
		CALL(setsockopt, fd, SOL_IP, IP_TTL, closed, 4)
		CALL(setsockopt, fd, SOL_IP, IP_TTL, closed, 1)
		CALL(setsockopt, fd, SOL_IP, IP_TTL, four, 0)
		CALL(setsockopt, fd, SOL_IP, IP_TTL, 0, 0)
		CALL(setsockopt, fd, SOL_IP, IP_TTL, four, INT_MAX)
		CALL(setsockopt, fd, SOL_IP, IP_OPTIONS, closed, 8)
		CALL(setsockopt, fd, SOL_IP, IP_ADD_MEMBERSHIP, closed, 8)
		CALL(setsockopt, fd, SOL_IP, IP_ADD_MEMBERSHIP, four, 4)
		CALL(setsockopt, fd, IPPROTO_TCP, 1, closed, 4)
		CALL(setsockopt, fd, IPPROTO_TCP, 1, four, 1)
		CALL(setsockopt, fd, IPPROTO_TCP, 13, closed, 4)
		CALL(setsockopt, fd, IPPROTO_TCP, 13, closed, 0)
		CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, 0, four)
		CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, closed, four)
		CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, closed, none)
		CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, a, 0)
		CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, a, closed)
		CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, a, no_size)
		CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, a, huge)
		CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, a, three)
		CALL(getsockopt, fd, SOL_SOCKET, SO_TYPE, end - 3, four)
		CALL(getsockopt, fd, SOL_SOCKET, SO_ERROR, end - 3, three)
		CALL(getsockopt, fd, SOL_SOCKET, SO_LINGER, end - 3, three)
		CALL(getsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, end - 4, four)
		CALL(getsockopt, fd, SOL_SOCKET, -1, a, four)
		CALL(getsockopt, fd, -1, -1, a, four)
		CALL(getsockopt, fd, -1, -1, a, no_size)
		CALL(getsockopt, fd, SOL_IP, IP_TTL, closed, four)
		CALL(getsockopt, fd, SOL_IP, IP_TTL, a, closed)
		CALL(getsockopt, fd, SOL_IP, IP_TTL, a, no_size)
		CALL(getsockopt, fd, IPPROTO_TCP, 11, end - 3, four)
		CALL(getsockopt, fd, IPPROTO_TCP, 11, a, huge)
		CALL(getsockopt, fd, IPPROTO_TCP, 13, end - 16, put_int(104, 16))
		CALL(sendto, fd, 0, 10, MSG_NOSIGNAL, a, 16)
		CALL(sendto, fd, closed, 10, MSG_NOSIGNAL, a, 16)
		CALL(sendto, fd, end - 5, 10, MSG_NOSIGNAL, a, 16)
		CALL(sendto, fd, kernel, 10, MSG_NOSIGNAL, a, 16)
		CALL(sendto, fd, good, 10, MSG_NOSIGNAL, closed, 16)
		CALL(sendto, fd, good, 10, MSG_NOSIGNAL, last + 1, 16)
		CALL(sendto, fd, good, 10, MSG_NOSIGNAL, a, -1)
		CALL(sendto, fd, good, 10, MSG_NOSIGNAL, a, 129)
		CALL(sendto, fd, good, 10, MSG_NOSIGNAL, a, 3)
		CALL(sendto, fd, 0, 0, MSG_NOSIGNAL, closed, 16)
		CALL(sendto, fd, good, -1L, MSG_NOSIGNAL, a, 16)
		CALL(sendto, fd, closed, LONG_MAX, MSG_NOSIGNAL, a, 16)
		CALL(recvfrom, fd, 0, 10, 0, a, size)
		CALL(recvfrom, fd, closed, 10, 0, a, size)
		CALL(recvfrom, fd, end - 5, 10, 0, a, size)
		CALL(recvfrom, fd, closed, 0, 0, a, size)
		CALL(recvfrom, fd, good + page, 10, 0, closed, size)
		CALL(recvfrom, fd, good + page, 10, 0, closed, none)
		CALL(recvfrom, fd, good + page, 10, 0, a, closed)
		CALL(recvfrom, fd, good + page, 10, 0, a, 0)
		CALL(recvfrom, fd, good + page, 10, 0, a, no_size)
		CALL(recvfrom, fd, good + page, 10, 0, a, const_page)
		CALL(recvfrom, fd, const_page, 10, 0, a, size)
		CALL(recvfrom, fd, good + page, -1L, 0, a, size)
		CALL(recvfrom, fd, good + page, LONG_MAX, MSG_TRUNC, a, size)
		CALL(recvfrom, fd, closed, 10, MSG_TRUNC, a, size)
		CALL(recvfrom, fd, good + page, 10, -1, a, size)
		CALL(sendmsg, fd, 0, MSG_NOSIGNAL)
		CALL(sendmsg, fd, closed, MSG_NOSIGNAL)
		CALL(sendmsg, fd, end - 55, MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_iov = 0), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_iov = (void *)closed), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_iov = (void *)(end - 15)), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_iovlen = 1024), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_iovlen = 1025), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_iovlen = -1), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(v->iov_base = 0), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(v->iov_base = end - 1; v->iov_len = 2), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(v->iov_len = -1), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(v->iov_len = LONG_MAX; v->iov_base = closed), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_iovlen = 2; v[1].iov_len = LONG_MIN), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_iovlen = 2; v[1].iov_base = closed), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_name = closed; h->msg_namelen = 16), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_name = 0; h->msg_namelen = 16), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_name = a; h->msg_namelen = -1), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_name = a; h->msg_namelen = INT_MAX), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_name = last + 1; h->msg_namelen = 16), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_control = closed; h->msg_controllen = 16), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_control = 0; h->msg_controllen = 16), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_control = good; h->msg_controllen = 3), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_control = closed; h->msg_controllen = INT_MAX), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_control = closed; h->msg_controllen = 1L << 32), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_control = closed; h->msg_controllen = -1L), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_control = put_int(page / 2, 15); h->msg_controllen = 16), MSG_NOSIGNAL)
		CALL(sendmsg, fd, HEADER(h->msg_control = put_int(page / 2, 1 << 30); h->msg_controllen = 16), MSG_NOSIGNAL)
		CALL(recvmsg, fd, 0, 0)
		CALL(recvmsg, fd, closed, 0)
		CALL(recvmsg, fd, end - 55, 0)
		CALL(recvmsg, fd, HEADER(h->msg_iov = 0), 0)
		CALL(recvmsg, fd, HEADER(h->msg_iov = (void *)closed), 0)
		CALL(recvmsg, fd, HEADER(h->msg_iovlen = 1024), 0)
		CALL(recvmsg, fd, HEADER(h->msg_iovlen = 1025), 0)
		CALL(recvmsg, fd, HEADER(h->msg_iovlen = -1), 0)
		CALL(recvmsg, fd, HEADER(v->iov_base = 0), 0)
		CALL(recvmsg, fd, HEADER(v->iov_base = const_page), 0)
		CALL(recvmsg, fd, HEADER(v->iov_len = -1), 0)
		CALL(recvmsg, fd, HEADER(v->iov_base = good + page * 14; v->iov_len = LONG_MAX), 0)
		CALL(recvmsg, fd, HEADER(h->msg_iovlen = 2; v[1].iov_len = LONG_MIN), 0)
		CALL(recvmsg, fd, HEADER(h->msg_iovlen = 2; v[1].iov_base = closed), 0)
		CALL(recvmsg, fd, HEADER(h->msg_name = closed; h->msg_namelen = 16), 0)
		CALL(recvmsg, fd, HEADER(h->msg_name = a; h->msg_namelen = -1), 0)
		CALL(recvmsg, fd, HEADER(h->msg_name = a; h->msg_namelen = INT_MAX), 0)
		CALL(recvmsg, fd, HEADER(h->msg_control = closed; h->msg_controllen = 160), 0)
		CALL(recvmsg, fd, HEADER(h->msg_control = 0; h->msg_controllen = 160), 0)
		CALL(recvmsg, fd, HEADER(h->msg_control = good; h->msg_controllen = -1L), 0)
		CALL(recvmsg, fd, HEADER(h->msg_control = closed; h->msg_controllen = LONG_MAX), 0)
		CALL(recvmsg, fd, HEADER(), -1)
		CALL(sendmmsg, fd, 0, 1, MSG_NOSIGNAL)
		CALL(sendmmsg, fd, 0, 0, MSG_NOSIGNAL)
		CALL(sendmmsg, fd, closed, 1, MSG_NOSIGNAL)
		CALL(sendmmsg, fd, closed, -1, MSG_NOSIGNAL)
		CALL(sendmmsg, fd, HEADERS(), 2, MSG_NOSIGNAL)
		CALL(sendmmsg, fd, HEADERS(m[0].msg_hdr.msg_iovlen = 1025), 2, MSG_NOSIGNAL)
		CALL(sendmmsg, fd, HEADERS(m[1].msg_hdr.msg_iovlen = 1025), 2, MSG_NOSIGNAL)
		CALL(sendmmsg, fd, HEADERS(m[1].msg_hdr.msg_iov = (void *)closed), 2, MSG_NOSIGNAL)
		CALL(sendmmsg, fd, HEADERS(m[0].msg_hdr.msg_control = closed; m[0].msg_hdr.msg_controllen = LONG_MAX), 2, MSG_NOSIGNAL)
		CALL(recvmmsg, fd, 0, 1, 0, 0)
		CALL(recvmmsg, fd, 0, 0, 0, 0)
		CALL(recvmmsg, fd, closed, 1, 0, 0)
		CALL(recvmmsg, fd, closed, -1, 0, 0)
		CALL(recvmmsg, fd, HEADERS(), 2, 0, closed)
		CALL(recvmmsg, fd, HEADERS(), 2, 0, memset(good + 128, 0xff, 16))
		CALL(recvmmsg, fd, HEADERS(m[0].msg_hdr.msg_iovlen = 1025), 2, 0, 0)
		CALL(recvmmsg, fd, HEADERS(m[0].msg_hdr.msg_iov = (void *)closed), 2, 0, 0)
		CALL(ioctl, fd, 0x8910, closed)
		CALL(ioctl, fd, 0x8910, 0)
		CALL(ioctl, fd, 0x8912, closed)
		CALL(ioctl, fd, 0x8912, end - 8)
		CALL(ioctl, fd, 0x8913, end - 39)
		CALL(ioctl, fd, 0x8915, memset(good, 'x', 40))
		CALL(ioctl, fd, 0x8905, closed)
		CALL(ioctl, fd, 0x8906, closed)
		CALL(ioctl, fd, 0x89ff, 0)
	}
	return 0;
}

int main(int argc, char **argv) {
	good = mmap(0, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	closed = good + pages * page;
	must("mprotect", mprotect(closed, page, PROT_NONE));
	const_page = mmap(0, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (const char *kind = "flcub"; *kind; kind++) {
		const char *what;
		for (int i = 0;; i++) {
			int other, fd = open_kind(*kind, &other);
			long r = run(i, fd, &what);
			int e = r < 0 ? errno : 0;
			close(fd);
			if (other >= 0)
				close(other);
			if (!what)
				break;
			printf("%c %s: %ld, errno %d\n", *kind, what, r, e);
		}
	}
	// Nothing of that has done any harm.
	int other, fd = open_kind('c', &other);
	printf("at last %zd\n", read(fd, good, 1000));
	return 0;
}
