#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/uio.h>
#include <unistd.h>

#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/tcpip.h>

#include "near.h"

enum {
	MTU = 1500,     /* bytes, as the other wires have */
	READ_BATCH = 64 /* packets between two looks at standard input */
};

static int device;
static struct netif netif;

/* output writes a packet. One that the kernel refuses is lost, as anywhere. */
static err_t output(struct netif *n, struct pbuf *packet, const ip4_addr_t *to)
{
	struct iovec parts[8];
	int count = 0;
	(void)n, (void)to;
	for (struct pbuf *p = packet; p; p = p->next) {
		if (count == 8)
			return ERR_BUF;
		parts[count++] = (struct iovec){p->payload, p->len};
	}
	return writev(device, parts, count) < 0 ? ERR_IF : ERR_OK;
}

static err_t init(struct netif *n)
{
	n->name[0] = 't', n->name[1] = 'n';
	n->mtu = MTU;
	n->output = output;
	return ERR_OK;
}

static void started(void *s) { sem_post(s); }

const char *stack_open(int fd, const char *address)
{
	ip4_addr_t own, mask;
	sem_t ready;
	device = fd;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return "the device's descriptor is not open";
	if (!ip4addr_aton(address, &own))
		return "not an address";
	IP4_ADDR(&mask, 255, 255, 255, 0);
	sem_init(&ready, 0, 0);
	tcpip_init(started, &ready); /* its thread serves the timers and nothing else */
	sem_wait(&ready);
	LOCK_TCPIP_CORE();
	/* ip_input and not tcpip_input: this thread does the work itself, with the core locked. */
	bool added = netif_add(&netif, &own, &mask, IP4_ADDR_ANY4, 0, init, ip_input);
	if (added) {
		netif_set_default(&netif);
		netif_set_link_up(&netif);
		netif_set_up(&netif);
	}
	UNLOCK_TCPIP_CORE();
	return added ? 0 : "no interface";
}

void stack_input(void)
{
	static struct pbuf *p; /* kept when there is nothing to read */
	for (int i = 0; i < READ_BATCH; i++) {
		if (!p && !(p = pbuf_alloc(PBUF_RAW, MTU, PBUF_RAM)))
			return;
		ssize_t n = read(device, p->payload, MTU);
		if (n <= 0)
			return;
		pbuf_realloc(p, n);
		if (netif.input(p, &netif) != ERR_OK)
			pbuf_free(p);
		p = 0;
	}
}
