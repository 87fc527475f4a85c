/* The loads by lwIP's raw API: callbacks, in the one thread that takes the packets. */
#include <string.h>

#include <lwip/tcp.h>
#include <lwip/udp.h>

#include "near.h"

enum {
	BATCH = 64, /* datagrams between two looks at the device */
	MAX_CONNS = 1 << 16
};

static struct job job;
static char kind;         /* the first byte that far gets on a connection */
static int wanted;        /* connections to make yet */
static int dialing;       /* on the way */
static int standing;      /* made, and told far what to do */
static bool again;        /* a connection that ends is made anew */
static struct udp_pcb *flow;
static bool pouring;      /* datagrams are sent as fast as they can be */
static uint64_t ask_next; /* when datagrams are asked for again, by now(); 0 is never */
static uint64_t pause_until;
static char buffer[CHUNK];

struct conn {
	uint64_t start; /* of the round trip, or of the connection */
	int received;   /* of an answer */
	bool stands;
};

static void failed(const char *why)
{
	counts.failed++;
	if (!counts.error)
		counts.error = why;
}

/* ended is told of each connection that is no more, whoever ended it, and why if it was not to end. */
static void ended(struct conn *c, const char *why)
{
	if (!c->stands)
		dialing--;
	if (why) {
		failed(why);
		pause_until = now() + PAUSE;
	}
	if (again)
		wanted++;
	mem_free(c);
}

static void on_error(void *arg, err_t err)
{
	ended(arg, err == ERR_RST ? "connection reset" : "connection aborted");
}

/* fill writes until the send buffer is full. */
static err_t fill(struct tcp_pcb *pcb)
{
	for (;;) {
		u16_t room = tcp_sndbuf(pcb);
		if (room == 0 || tcp_write(pcb, buffer, room, TCP_WRITE_FLAG_COPY) != ERR_OK)
			return ERR_OK; /* until something was acknowledged */
		counts.bytes_out += room;
	}
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	(void)arg, (void)len;
	return kind == 's' ? fill(pcb) : ERR_OK;
}

static err_t ping(struct conn *c, struct tcp_pcb *pcb)
{
	c->start = now();
	if (tcp_write(pcb, buffer, 1, TCP_WRITE_FLAG_COPY) != ERR_OK)
		failed("no memory to send a byte");
	return ERR_OK;
}

/* on_end closes after the other end has. */
static err_t on_end(struct conn *c, struct tcp_pcb *pcb)
{
	bool whole = kind == 'r' && c->received == EXCHANGE;
	tcp_arg(pcb, 0), tcp_err(pcb, 0), tcp_recv(pcb, 0), tcp_sent(pcb, 0);
	if (whole)
		took(now() - c->start);
	ended(c, whole ? 0 : "the connection has ended");
	if (tcp_close(pcb) == ERR_OK)
		return ERR_OK;
	tcp_abort(pcb);
	return ERR_ABRT;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct conn *c = arg;
	(void)err;
	if (!p)
		return on_end(c, pcb);
	int n = pbuf_copy_partial(p, buffer, p->tot_len, 0); /* as a read would */
	tcp_recved(pcb, n);
	pbuf_free(p);
	c->received += n;
	if (kind == 'g')
		counts.bytes_in += n;
	if (kind == 'e') {
		took(now() - c->start);
		return ping(c, pcb);
	}
	return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct conn *c = arg;
	(void)err;
	c->stands = true;
	dialing--, standing++;
	tcp_nagle_disable(pcb); /* as Go's package net does */
	char hello[EXCHANGE] = {kind};
	tcp_write(pcb, hello, kind == 'r' ? EXCHANGE : 1, TCP_WRITE_FLAG_COPY);
	if (kind == 's')
		return fill(pcb);
	return kind == 'e' ? ping(c, pcb) : ERR_OK;
}

static void dial(void)
{
	struct conn *c = mem_calloc(1, sizeof *c);
	struct tcp_pcb *pcb = c ? tcp_new() : 0;
	wanted--, dialing++;
	if (!c) {
		dialing--;
		failed("no memory");
		return;
	}
	if (!pcb) {
		ended(c, "no memory");
		return;
	}
	c->start = now();
	tcp_arg(pcb, c), tcp_err(pcb, on_error), tcp_recv(pcb, on_received), tcp_sent(pcb, on_sent);
	if (tcp_connect(pcb, &job.to, job.tcp, on_connected) != ERR_OK) {
		tcp_arg(pcb, 0), tcp_err(pcb, 0);
		tcp_abort(pcb);
		ended(c, "no connection can be made");
	}
}

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
	(void)arg, (void)pcb, (void)from, (void)port;
	counts.bytes_in += pbuf_copy_partial(p, buffer, p->tot_len, 0);
	counts.packets_in++;
	ask_next = 0;
	pbuf_free(p);
}

/* send_datagram sends so many bytes of which the first say what far is to do. */
static void send_datagram(int size, char what)
{
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, size, PBUF_RAM);
	if (!p)
		return;
	datagram_head(buffer, what, job.size);
	pbuf_take(p, buffer, size);
	if (udp_send(flow, p) == ERR_OK && what == 's') {
		counts.packets_out++;
		counts.bytes_out += size;
	}
	pbuf_free(p);
}

static const char *start_datagrams(bool out)
{
	if (job.size < LEAST_SIZE || job.size > MAX_SIZE)
		return "load: not a size of datagrams";
	if (!(flow = udp_new()) || udp_connect(flow, &job.to, job.udp) != ERR_OK)
		return "load: no socket of datagrams";
	udp_recv(flow, on_datagram, 0);
	pouring = out;
	ask_next = out ? 0 : now();
	return 0;
}

static const char *start(const struct job *j)
{
	static const struct { const char *name; char kind; } kinds[] = {
		{"out", 's'}, {"in", 'g'}, {"round-trip", 'e'}, {"connect", 'r'}, {"idle", 'i'},
	};
	if (kind || flow)
		return "load: there is a load already";
	job = *j;
	if (!strcmp(job.kind, "packets-out") || !strcmp(job.kind, "packets-in"))
		return start_datagrams(!strcmp(job.kind, "packets-out"));
	if (job.conns > MAX_CONNS)
		return "load: too many connections";
	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (!strcmp(job.kind, kinds[i].name)) {
			kind = kinds[i].kind;
			wanted = job.conns;
			again = kind == 'r';
			return 0;
		}
	}
	return "load: there is no such load";
}

static bool stands(void)
{
	if (!kind || kind == 'r' || standing < job.conns)
		return !kind || kind == 'r';
	if (kind == 'i')
		counts.idle = standing;
	return true;
}

static void step(void)
{
	stack_input();
	while (wanted > 0 && (kind != 'i' || dialing < DIALERS) && now() >= pause_until)
		dial();
	for (int i = 0; pouring && i < BATCH; i++)
		send_datagram(job.size, 's');
	if (ask_next && now() >= ask_next) {
		ask_next = now() + ASK_AGAIN;
		send_datagram(LEAST_SIZE, 'g');
	}
}

static int patience(void)
{
	if (pouring)
		return 0;
	if (wanted > 0 && (kind != 'i' || dialing < DIALERS))
		return 1;
	return ask_next ? ASK_AGAIN / 1000000 : -1;
}

static const char *begin(void) { return 0; }

const struct loads raw_loads = {begin, start, stands, step, patience};
