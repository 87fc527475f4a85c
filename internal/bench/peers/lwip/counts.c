#include <time.h>

#include "near.h"

struct counts counts;

uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void took(uint64_t ns)
{
	int bits = ns ? 64 - __builtin_clzll(ns) : 0;
	int shift = bits > SUB_BITS + 1 ? bits - SUB_BITS - 1 : 0;
	int i = shift > MAX_BITS - SUB_BITS - 1 ? BUCKETS - 1 : (shift << SUB_BITS) + (int)(ns >> shift);
	__atomic_fetch_add(&counts.latency[i], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&counts.done, 1, __ATOMIC_RELAXED);
}

void datagram_head(char *datagram, char what, int size)
{
	datagram[0] = what, datagram[1] = size >> 8, datagram[2] = size;
}
