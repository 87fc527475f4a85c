/*
 * A program that walks sockets through their states and says what it sees: results and errnos of calls, masks of poll(2),
 * events of epoll(7), names, queue lengths. Run on the kernel's loopback and on ours, its two outputs are compared.
 *
 * Each walk is a process of its own, with a line for each observation:
 *
 *	WALK STEP: VALUE
 *
 * What happens to one socket shows at another a little later: the kernel's loopback may leave work to another thread, and
 * a supervisor surely does. So an observation is repeated until it is the expected one, or patience ends; then it is
 * printed as it is. The expected ones come from a file, the output of an earlier run; without it, a short while passes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* walk.c: observations. */

/* key names the observation that follows: "WALK STEP". */
void key(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* again says whether the observation is to be repeated, and otherwise prints it. */
int again(const char *value);

/* SEE observes until the value is the expected one. The expression must not change what it looks at. */
#define SEE(value, ...)                                                                                                \
	do {                                                                                                           \
		key(__VA_ARGS__);                                                                                      \
	} while (0);                                                                                                   \
	while (again(value))

/* SAY observes once. */
#define SAY(value, ...)                                                                                                \
	do {                                                                                                           \
		key(__VA_ARGS__);                                                                                      \
		say(value);                                                                                            \
	} while (0)
void say(const char *value);

/* WHEN makes a call that does not wait, and makes it again while it says EAGAIN and is expected not to. */
#define WHEN(value, ...)                                                                                               \
	do {                                                                                                           \
		key(__VA_ARGS__);                                                                                      \
		while (early(value))                                                                                   \
			;                                                                                              \
	} while (0)
int early(const char *value);

void skip_walk(const char *why); /* ends the process: the machine lacks something */
void must(long result, const char *what); /* ends the process when a step failed that is no observation */

/* show.c: values as text, in a buffer of several that are used in turn. */
const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *error(int number);
const char *rc(long result);                      /* a number, or the errno */
const char *data(long result, const char *bytes); /* bytes as text, or the errno */
const char *fdrc(int fd);                         /* "a descriptor", or the errno */
const char *mask(unsigned events);
const char *polled(int fd);
const char *level(int fd); /* what a fresh level-triggered epoll says */
const char *edges(int ep); /* the events of an edge-triggered epoll since the last clear_edges */
void clear_edges(void);
int watch(int fd); /* an edge-triggered epoll */
const char *selected(int fd);
const char *queued(int fd); /* FIONREAD */
const char *option(int fd, int layer, int name);
const char *sockname(int fd);
const char *peername(int fd);
const char *address(const struct sockaddr_storage *a, socklen_t len);

/* label gives the port of a socket a name for address. */
void label(int fd, const char *name);

#define EDGES(ep, ...)                                                                                                 \
	clear_edges();                                                                                                 \
	SEE(edges(ep), __VA_ARGS__)

/* O is a row of a table of options. */
#define O(layer, name, value) {#name, layer, name, value}

/* state prints what can be seen of a socket without changing it. */
void state(const char *step, int fd);

/* make.c: sockets and addresses. */
enum { V4 = 4, V6 = 6 };
int stream(int family);
int dgram(int family);
socklen_t loopback(int family, int port, struct sockaddr_storage *a);
socklen_t name_of(int fd, struct sockaddr_storage *a);
int bind_loopback(int fd, int family);

/* A walk that closes a port and wants it back must not find it taken by another walk, so each has ports of its own, below
 * those that the systems choose from. Those that another program has are passed over. */
enum { ports_of_walk = 256, first_port = 62 * ports_of_walk };
extern int next_port;
int connect_to(int fd, int server);
void nonblocking(int fd);
void timeouts(int fd); /* a hang guard on calls that wait */
void no_timeouts(int fd);
int listening(int family, int backlog);
struct pair {
	int listener, client, server;
};
struct pair connected(int family);
void reset(int fd); /* close with RST */

/* send_until_error sends bytes to a socket that has been closed: what is on its way while it closes may still be taken. */
void send_until_error(int fd);

/* The walks. */
void tcp_fresh(int family);
void tcp_bound(int family);
void tcp_listening(int family);
void tcp_listener_shut(int family);
void tcp_connecting(int family);
void tcp_connected(int family);
void tcp_peer_shut(int family);
void tcp_own_shut(int family);
void tcp_both_shut(int family);
void tcp_read_shut(int family);
void tcp_reset(int family);
void tcp_reset_with_data(int family);
void tcp_unread_close(int family);
void tcp_refused(int family);
void tcp_refused_later(int family);
void tcp_accepted(int family);
void tcp_full(int family);
void tcp_timeouts(int family);
void tcp_reuse(int family);
void tcp_options(int family);
void tcp_messages(int family);
void tcp_oneshot(int family);
void udp_fresh(int family);
void udp_bound(int family);
void udp_connected(int family);
void udp_refused(int family);
void udp_messages(int family);
void udp_options(int family);
void share_dup(int family);
void share_fork(int family);
void share_exec(int family);
void share_rights(int family);
void share_rights_in_flight(int family);
void misuse_arguments(int family);
void misuse_descriptors(int family);
void signals_interrupt(int family);
void signals_restart(int family);
void dual_stack(int family);

/* An executed copy of the program looks at an inherited descriptor. */
int executed(const char *fd);
