/* The loads by lwIP's sequential API (netconn), on which its sockets are: a thread for each connection, whose calls wait,
   as in package load. Sockets themselves are as many as lwIP was built for, four by default. */
#include <pthread.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include <lwip/api.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>

#include "near.h"

#define ADD(counter, n) __atomic_fetch_add(&(counter), (n), __ATOMIC_RELAXED)

static struct job job;
static int standing, next_idle; /* with ADD */

static void *packets(void *unused)
{
	for (;;) {
		struct pollfd ready = {DESCRIPTOR, POLLIN, 0};
		poll(&ready, 1, -1);
		LOCK_TCPIP_CORE();
		stack_input();
		UNLOCK_TCPIP_CORE();
	}
	return unused;
}

static void failed(const char *why)
{
	static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&first);
	if (!counts.error)
		counts.error = why;
	pthread_mutex_unlock(&first);
	ADD(counts.failed, 1);
}

/* dial makes a connection, or returns 0 and says why not. */
static struct netconn *dial(void)
{
	struct netconn *c = netconn_new(NETCONN_TCP);
	err_t err = c ? netconn_connect(c, &job.to, job.tcp) : ERR_MEM;
	if (err != ERR_OK) {
		failed(err == ERR_RST ? "connection reset" : err == ERR_MEM ? "no memory" : "no connection can be made");
		if (c)
			netconn_delete(c);
		return 0;
	}
	LOCK_TCPIP_CORE();
	if (c->pcb.tcp)
		tcp_nagle_disable(c->pcb.tcp); /* as Go's package net does */
	UNLOCK_TCPIP_CORE();
	return c;
}

static err_t tell(struct netconn *c, char what)
{
	err_t err = netconn_write(c, &what, 1, NETCONN_COPY);
	if (err == ERR_OK)
		ADD(standing, 1);
	return err;
}

/* receive waits for data and copies it, as a read does. It returns how much, or 0 at the end or after an error. */
static int receive(struct netconn *c, char *buffer, int size)
{
	struct pbuf *p;
	if (netconn_recv_tcp_pbuf(c, &p) != ERR_OK)
		return 0;
	int n = p->tot_len;
	pbuf_copy_partial(p, buffer, n < size ? n : size, 0);
	pbuf_free(p);
	return n;
}

static void *outward(void *chunk)
{
	struct netconn *c = dial();
	if (c && tell(c, 's') == ERR_OK)
		while (netconn_write(c, chunk, CHUNK, NETCONN_COPY) == ERR_OK)
			ADD(counts.bytes_out, CHUNK);
	failed("the connection has ended");
	return 0;
}

static void *inward(void *chunk)
{
	struct netconn *c = dial();
	int n;
	if (c && tell(c, 'g') == ERR_OK)
		while ((n = receive(c, chunk, CHUNK)))
			ADD(counts.bytes_in, n);
	failed("the connection has ended");
	return 0;
}

static void *trips(void *chunk)
{
	struct netconn *c = dial();
	if (c && tell(c, 'e') == ERR_OK) {
		uint64_t start = now();
		while (netconn_write(c, chunk, 1, NETCONN_COPY) == ERR_OK && receive(c, chunk, CHUNK)) {
			uint64_t end = now();
			took(end - start);
			start = end;
		}
	}
	failed("the connection has ended");
	return 0;
}

/* exchange is a connection, a request, its answer and the end. It returns what went wrong, or 0. */
static const char *exchange(struct netconn *c, char *buffer)
{
	char ask[EXCHANGE] = {'r'};
	int got = 0, n;
	if (netconn_write(c, ask, EXCHANGE, NETCONN_COPY) != ERR_OK)
		return "no request can be sent";
	while ((n = receive(c, buffer, CHUNK)))
		got += n;
	return got == EXCHANGE ? 0 : "not the whole answer";
}

static void *connections(void *chunk)
{
	for (;;) {
		uint64_t start = now();
		struct netconn *c = dial();
		const char *wrong = 0;
		if (c) {
			wrong = exchange(c, chunk);
			netconn_close(c);
			netconn_delete(c);
		}
		if (c && !wrong) {
			took(now() - start);
			continue;
		}
		if (wrong)
			failed(wrong);
		nanosleep(&(struct timespec){0, PAUSE}, 0);
	}
	return 0;
}

/* parked makes idle connections until there are enough. */
static void *parked(void *chunk)
{
	struct netconn *c;
	(void)chunk;
	while (ADD(next_idle, 1) < job.conns)
		if (!(c = dial()) || tell(c, 'i') != ERR_OK)
			return 0;
	return 0;
}

static struct netconn *flow;

static void send_datagram(const char *chunk, int size)
{
	struct netbuf *b = netbuf_new();
	void *data = b ? netbuf_alloc(b, size) : 0;
	if (data) {
		memcpy(data, chunk, size);
		if (netconn_send(flow, b) == ERR_OK && size == job.size) {
			ADD(counts.packets_out, 1);
			ADD(counts.bytes_out, size);
		}
	}
	netbuf_delete(b);
}

static void *datagrams_out(void *chunk)
{
	datagram_head(chunk, 's', job.size);
	for (;;)
		send_datagram(chunk, job.size);
	return 0;
}

static void *datagrams_ask(void *chunk)
{
	datagram_head(chunk, 'g', job.size);
	while (!__atomic_load_n(&counts.packets_in, __ATOMIC_RELAXED)) {
		send_datagram(chunk, LEAST_SIZE);
		nanosleep(&(struct timespec){0, ASK_AGAIN}, 0);
	}
	return 0;
}

static void *datagrams_in(void *chunk)
{
	struct netbuf *b;
	while (netconn_recv(flow, &b) == ERR_OK) {
		ADD(counts.bytes_in, netbuf_copy(b, chunk, UINT16_MAX));
		ADD(counts.packets_in, 1);
		netbuf_delete(b);
	}
	failed("no more datagrams");
	return 0;
}

/* spawn starts a thread with a buffer of its own. */
static const char *spawn(void *(*f)(void *))
{
	pthread_t thread;
	void *chunk = mem_calloc(1, CHUNK);
	return chunk && !pthread_create(&thread, 0, f, chunk) && !pthread_detach(thread) ? 0 : "no thread";
}

static const char *start_datagrams(bool out)
{
	if (job.size < LEAST_SIZE || job.size > MAX_SIZE)
		return "load: not a size of datagrams";
	if (!(flow = netconn_new(NETCONN_UDP)) || netconn_connect(flow, &job.to, job.udp) != ERR_OK)
		return "load: no socket of datagrams";
	job.conns = 0;
	if (out)
		return spawn(datagrams_out);
	const char *wrong = spawn(datagrams_in);
	return wrong ? wrong : spawn(datagrams_ask);
}

static const char *start(const struct job *j)
{
	static const struct { const char *name; void *(*thread)(void *); } kinds[] = {
		{"out", outward}, {"in", inward}, {"round-trip", trips}, {"connect", connections}, {"idle", parked},
	};
	if (*job.kind)
		return "load: there is a load already";
	job = *j;
	if (!strcmp(job.kind, "packets-out") || !strcmp(job.kind, "packets-in"))
		return start_datagrams(!strcmp(job.kind, "packets-out"));
	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(job.kind, kinds[i].name))
			continue;
		const char *wrong = 0;
		int threads = kinds[i].thread == parked ? DIALERS : job.conns;
		for (int k = 0; k < threads && !wrong; k++)
			wrong = spawn(kinds[i].thread);
		if (kinds[i].thread == connections)
			job.conns = 0; /* none is to stand */
		return wrong;
	}
	return "load: there is no such load";
}

static bool stands(void)
{
	if (ADD(standing, 0) < job.conns)
		return false;
	if (!strcmp(job.kind, "idle"))
		counts.idle = job.conns;
	return true;
}

static const char *begin(void)
{
	pthread_t thread;
	return pthread_create(&thread, 0, packets, 0) ? "no thread" : 0;
}

const struct loads blocking_loads = {.begin = begin, .start = start, .stands = stands};
