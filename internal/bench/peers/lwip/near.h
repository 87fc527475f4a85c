/* Near end of "userstack bench" on lwIP: what package load does, in C. stack.c has the device, raw.c and blocking.c the
   traffic by two of lwIP's interfaces, counts.c what it counts, main.c the protocol of load.Serve. */
#ifndef NEAR_H
#define NEAR_H

#include <stdbool.h>
#include <stdint.h>

#include <lwip/ip_addr.h>

enum { DESCRIPTOR = 3 }; /* of the device */

/* Of package load. */
enum {
	CHUNK = 128 << 10,     /* bytes of a Write, and of a buffer to read into */
	EXCHANGE = 64,         /* bytes of a request and of its answer */
	DIALERS = 16,          /* that make idle connections */
	PAUSE = 1000000,       /* ns between a connection that failed and the next: who refuses is not to be flooded */
	ASK_AGAIN = 100000000, /* ns until datagrams are asked for again */
	LEAST_SIZE = 3,        /* bytes of a datagram: what far is to do */
	MAX_SIZE = 1472        /* bytes of one that fits the MTU */
};

/* Of histogram.go: each power of two has 128 buckets, and the last one begins at 2^40 ns. */
enum { SUB_BITS = 7, MAX_BITS = 40, BUCKETS = (MAX_BITS - SUB_BITS + 1) << SUB_BITS };

/* What load.Counts has. */
struct counts {
	uint64_t bytes_in, bytes_out, packets_in, packets_out, done, idle, failed;
	const char *error; /* the first failure; 0 is none */
	uint64_t latency[BUCKETS];
};

/* What load.Job has. */
struct job {
	char kind[16];
	int conns, size;
	ip_addr_t to;
	uint16_t tcp, udp;
};

extern struct counts counts;

/* now is in nanoseconds, of a clock that only goes forward. */
uint64_t now(void);

/* took counts a round trip or a connection. Threads may. */
void took(uint64_t ns);

/* datagram_head writes what a datagram begins with: what far is to do, with which size. */
void datagram_head(char *datagram, char what, int size);

/* loads make the traffic, by one of lwIP's interfaces. */
struct loads {
	/* begin is called once, and start at most once. They return 0, or what is wrong. */
	const char *(*begin)(void);
	const char *(*start)(const struct job *);
	bool (*stands)(void); /* whether the connections do */

	/* Who works in the main thread has these, which are called with the core locked. step takes packets and does what is to
	   be done without being called back. patience is how long nothing happens before step wants to be called again, in
	   milliseconds; -1 is for ever. */
	void (*step)(void);
	int (*patience)(void);
};

extern const struct loads raw_loads, blocking_loads;

/* stack_open makes lwIP's interface of a TUN device and gives it an address of a /24. It returns 0, or what went wrong.
   stack_input takes what packets there are, some at most, with the core locked. */
const char *stack_open(int fd, const char *address);
void stack_input(void);

#endif
