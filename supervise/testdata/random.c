// Random calls with random arguments: random SEED CALLS, and on the kernel "native"
// besides, which keeps to what can do no harm there. Two processes make the calls on
// the same sockets. In the end fresh sockets have to work.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { page = 4096, pages = 16, slots = 24, ports = 8 };

static uint64_t state;
static char *arena, *closed, *readonly;
static int slot[slots];
static uint16_t known[ports]; // of sockets of ours, in network order
static int native;

static uint64_t any(void) { // xorshift64*
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717ull;
}

static unsigned below(unsigned n) { return (any() >> 20) % n; }

static void must(const char *what, long r) {
	if (r < 0) {
		perror(what);
		exit(1);
	}
}

static char *in_arena(size_t room) { return arena + below(pages * page - room) / 8 * 8; }

// pointer is one to memory with room for something, or to none.
static void *pointer(size_t room) {
	switch (below(12)) {
	case 0: return 0;
	case 1: return closed;
	case 2: return closed - below(room + 1);
	case 3: return readonly;
	case 4: return (void *)(any() | 0xffffull << 48);
	case 5: return in_arena(room) + 1;
	}
	return in_arena(room);
}

static long length(size_t usual) {
	static const long odd[] = {0, 1, 2, 3, 15, 17, 27, 28, 127, 129, 4096, 65535, 65536, 1 << 17, INT_MAX, INT_MIN, -1, LONG_MAX, LONG_MIN};
	return below(3) ? (long)usual : odd[below(sizeof odd / sizeof *odd)];
}

static int descriptor(void) {
	switch (below(16)) {
	case 0: return -1;
	case 1: return (int)any();
	case 2: return below(1024);
	}
	return slot[below(slots)];
}

// address makes a loopback address, or one of a strange family.
static void *address(void) {
	char *p = in_arena(sizeof(struct sockaddr_in6));
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	uint16_t port = below(4) ? known[below(ports)] : htons(below(2));
	in.sin_port = in6.sin6_port = port;
	if (!below(8))
		in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff, in6.sin6_addr.s6_addr[12] = 127;
	memset(p, 0, sizeof in6);
	if (below(3))
		memcpy(p, &in, sizeof in);
	else
		memcpy(p, &in6, sizeof in6);
	if (!below(8))
		*(uint16_t *)p = below(4) ? AF_UNSPEC : 3 + below(40);
	return p;
}

static void *name(void) { return below(4) ? address() : pointer(16); }

static void *number(int v) { return memcpy(in_arena(8), &v, sizeof v); }

static struct msghdr header(void) {
	struct iovec *v = (void *)in_arena(1100 * sizeof *v);
	struct cmsghdr *c = (void *)in_arena(64);
	int fd = descriptor();
	for (int i = 0; i < 4; i++)
		v[i] = (struct iovec){pointer(100), length(100)};
	*c = (struct cmsghdr){length(20), below(2) ? SOL_SOCKET : below(60), below(60)};
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return (struct msghdr){
		.msg_name = name(), .msg_namelen = length(16),
		.msg_iov = below(8) ? v : pointer(64), .msg_iovlen = below(8) ? below(4) : length(1024 + below(2)),
		.msg_control = below(4) ? 0 : below(4) ? (void *)c : pointer(64), .msg_controllen = length(below(64)),
		.msg_flags = any(),
	};
}

static void *headers(int n) {
	struct mmsghdr *m = (void *)in_arena(8 * sizeof *m);
	if (!below(8))
		return pointer(64);
	for (int i = 0; i < n; i++)
		m[i].msg_hdr = header();
	return m;
}

static int flags(void) {
	int f = 0;
	for (int n = below(4); n > 0; n--)
		f |= 1 << below(32);
	return f | MSG_NOSIGNAL;
}

static int level(void) {
	static const int all[] = {SOL_SOCKET, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6, IPPROTO_ICMPV6, IPPROTO_RAW, 270, -1};
	return all[below(sizeof all / sizeof *all)];
}

static int option(void) { return below(16) || native ? (int)below(60) : (int)any(); }

static int request(void) {
	static const int harmless[] = {0x8905, 0x8910, 0x8912, 0x8913, 0x8915, 0x891d, 0x8921, 0x8927, 0x8933, 0x541b, 0x5411};
	return native ? harmless[below(sizeof harmless / sizeof *harmless)] : 0x8900 + (int)below(256);
}

// keep puts a new descriptor in place of another one, and remembers its port.
static void keep(long fd) {
	struct sockaddr_in6 a;
	socklen_t size = sizeof a;
	int i = below(slots);
	if (fd < 0)
		return;
	if (slot[i] >= 0)
		close(slot[i]);
	slot[i] = fd;
	if (getsockname(fd, (void *)&a, &size) == 0 && (a.sin6_family == AF_INET || a.sin6_family == AF_INET6) && a.sin6_port)
		known[below(ports)] = a.sin6_port;
}

static void fresh(void) {
	static const int types[] = {SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW};
	static const int families[] = {AF_INET, AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
	int pair[2];
	if (!below(10) && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0) {
		keep(pair[0]);
		keep(pair[1]);
		return;
	}
	int family = families[below(5)], type = types[below(6)], protocol = below(6) ? 0 : below(60);
	if (native && (type == SOCK_RAW || family == AF_NETLINK))
		type = SOCK_DGRAM, family = AF_INET;
	keep(syscall(SYS_socket, family, type | (below(8) ? SOCK_NONBLOCK : 0), protocol));
}

static void once(void) {
	int fd = descriptor();
	switch (below(26)) {
	case 0: case 1: fresh(); break;
	case 2: case 3: syscall(SYS_connect, fd, name(), length(16)); break;
	case 4: syscall(SYS_bind, fd, name(), length(16)); break;
	case 5: syscall(SYS_listen, fd, below(2) ? 5 : (int)any()); break;
	case 6: keep(syscall(SYS_accept, fd, pointer(16), pointer(4))); break;
	case 7: keep(syscall(SYS_accept4, fd, 0, 0, below(4) ? SOCK_NONBLOCK : (int)any())); break;
	case 8: if (!below(3)) syscall(SYS_shutdown, fd, below(5) ? (int)below(3) : (int)any()); break;
	case 9: syscall(SYS_getsockname, fd, pointer(28), number(length(28))); break;
	case 10: syscall(SYS_getpeername, fd, pointer(28), below(4) ? number(length(28)) : pointer(4)); break;
	case 11: case 12: syscall(SYS_setsockopt, fd, level(), option(), pointer(32), length(4)); break;
	case 13: case 14: syscall(SYS_getsockopt, fd, level(), option(), pointer(32), below(4) ? number(length(4)) : pointer(4)); break;
	case 15: syscall(SYS_sendto, fd, pointer(100), length(100), flags(), name(), length(16)); break;
	case 16: syscall(SYS_recvfrom, fd, pointer(100), length(100), flags(), pointer(28), number(length(28))); break;
	case 17: *(struct msghdr *)(arena + 64) = header(); syscall(SYS_sendmsg, fd, below(8) ? arena + 64 : pointer(56), flags()); break;
	case 18: *(struct msghdr *)(arena + 64) = header(); syscall(SYS_recvmsg, fd, below(8) ? arena + 64 : pointer(56), flags()); break;
	case 19: syscall(SYS_sendmmsg, fd, headers(3), length(3), flags()); break;
	case 20: syscall(SYS_recvmmsg, fd, headers(3), length(3), flags(), below(4) ? 0 : pointer(16)); break;
	case 21: syscall(SYS_ioctl, fd, request(), pointer(40)); break;
	case 22: if (fd > 2 && write(fd, arena, below(2000)) < 0) errno = 0; break;
	case 23: if (fd > 2 && read(fd, arena, below(2000)) < 0) errno = 0; break;
	case 24: keep(fcntl(slot[below(slots)], F_DUPFD_CLOEXEC, 30 + below(30))); break;
	case 25: if (below(2)) { int i = below(slots); close(slot[i]); slot[i] = -1; } break;
	}
}

static void tick(int sig) { (void)sig; }

static void calls(uint64_t seed, long n) {
	struct itimerval it = {{0, 20000}, {0, 20000}}; // what waits is interrupted
	state = seed * 2654435761u + 1;
	setitimer(ITIMER_REAL, &it, 0);
	while (n-- > 0) {
		if (!below(50))
			for (int i = 0; i < page; i++) // never an address that means something
				arena[i * pages] = any() | 0x80;
		once();
	}
	it = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &it, 0);
}

// works sends something over fresh sockets of a type.
static void works(int type) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	char b[8] = "";
	int to = socket(AF_INET, type, 0), from = socket(AF_INET, type, 0);
	must("socket", to | from);
	must("bind", bind(to, (void *)&a, size));
	must("getsockname", getsockname(to, (void *)&a, &size));
	if (type == SOCK_STREAM)
		must("listen", listen(to, 1));
	must("connect", connect(from, (void *)&a, size));
	must("send", send(from, "hello", 5, 0));
	if (type == SOCK_STREAM)
		must("accept", to = accept(to, 0, 0));
	must("recv", recv(to, b, sizeof b, 0));
	puts(b);
}

int main(int argc, char **argv) {
	struct sigaction sa = {.sa_handler = tick};
	int child, status;
	native = argc > 3;
	sigaction(SIGALRM, &sa, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGURG, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	arena = mmap(0, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	closed = arena + pages * page;
	must("mprotect", mprotect(closed, page, PROT_NONE));
	readonly = mmap(0, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(arena, 0x80, pages * page);
	memset(slot, -1, sizeof slot);
	state = 1;
	for (int i = 0; i < 3 * slots; i++)
		fresh();
	must("fork", child = fork());
	calls(strtoull(argv[1], 0, 10) * 2 + !child, strtol(argv[2], 0, 10) / 2);
	if (!child)
		_exit(0);
	while (waitpid(child, &status, 0) < 0)
		;
	if (status != 0)
		printf("the child ended with status %#x\n", status);
	works(SOCK_STREAM);
	works(SOCK_DGRAM);
	return 0;
}
