#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <lwip/init.h>
#include <lwip/tcpip.h>

#include "near.h"

/* Job.Patience of package load: how long connections may take to stand, in ns. */
static const uint64_t patience = 20000000000ull, patience_each = 1000000;

static const struct loads *loads;
static uint64_t begun;
static uint64_t answer_until; /* a job is to stand until then, by now(), before it is answered; 0 is none */

static long long nanoseconds(struct timeval t) { return t.tv_sec * 1000000000ll + t.tv_usec * 1000ll; }

/* print_latencies prints the buckets that are not empty, and then their counts. */
static void print_latencies(void)
{
	const char *comma = "";
	printf(",\"latency\":{\"bucket\":[");
	for (int i = 0; i < BUCKETS; i++)
		if (counts.latency[i])
			printf("%s%d", comma, i), comma = ",";
	printf("],\"count\":[");
	comma = "";
	for (int i = 0; i < BUCKETS; i++)
		if (counts.latency[i])
			printf("%s%llu", comma, (unsigned long long)counts.latency[i]), comma = ",";
	printf("]}");
}

/* memory returns how many bytes are in use. mallinfo(3) knows of one of the areas that threads have. */
static size_t memory(void)
{
	char *text = 0;
	size_t length, held = 0, mapped = 0, unsorted = 0, rest = 0;
	FILE *f = open_memstream(&text, &length);
	if (!f)
		return 0;
	malloc_info(0, f);
	fclose(f);
	const char *sums = text; /* come after those of each area */
	for (const char *area; (area = strstr(sums, "</heap>"));)
		sums = area + 1;
	const char *a = strstr(sums, "\"fast\""), *b = strstr(sums, "\"rest\""), *c = strstr(sums, "\"mmap\""), *d = strstr(sums, "\"current\"");
	if (a && b && c && d) {
		sscanf(a, "\"fast\" count=\"%*d\" size=\"%zu", &unsorted);
		sscanf(b, "\"rest\" count=\"%*d\" size=\"%zu", &rest);
		sscanf(c, "\"mmap\" count=\"%*d\" size=\"%zu", &mapped);
		sscanf(d, "\"current\" size=\"%zu", &held);
	}
	free(text);
	return held + mapped - unsorted - rest;
}

/* reply prints a load.Reply: how things stand. Memory is counted only when that is what is asked for. */
static void reply(bool sweep)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	printf("{\"pid\":%d,\"at\":%llu", (int)getpid(), (unsigned long long)(now() - begun));
	printf(",\"account\":{\"user\":%lld,\"system\":%lld,\"switches\":%ld}", nanoseconds(u.ru_utime), nanoseconds(u.ru_stime), u.ru_nvcsw);
	printf(",\"memory\":%zu", sweep ? memory() : 0);
	printf(",\"near\":{\"bytes_in\":%llu,\"bytes_out\":%llu,\"packets_in\":%llu,\"packets_out\":%llu",
	       (unsigned long long)counts.bytes_in, (unsigned long long)counts.bytes_out,
	       (unsigned long long)counts.packets_in, (unsigned long long)counts.packets_out);
	printf(",\"done\":%llu,\"idle\":%llu,\"failed\":%llu,\"error\":\"%s\"", (unsigned long long)counts.done,
	       (unsigned long long)counts.idle, (unsigned long long)counts.failed, counts.error ? counts.error : "");
	print_latencies();
	printf("}}\n");
	fflush(stdout);
}

static void refuse(const char *why)
{
	printf("{\"error\":\"%s\"}\n", why);
	fflush(stdout);
}

/* value finds what follows a key in the JSON that Go's encoder makes of a load.Ask, where no text holds a quote. */
static const char *value(const char *line, const char *key)
{
	const char *at = strstr(line, key);
	return at ? at + strlen(key) : 0;
}

static const char *parse(const char *line, struct job *j)
{
	const char *kind = value(line, "\"kind\":\""), *conns = value(line, "\"conns\":"), *size = value(line, "\"size\":");
	const char *tcp = value(line, "\"tcp\":\""), *udp = value(line, "\"udp\":\"");
	char address[16];
	int tcp_port, udp_port;
	if (!kind || !tcp || !udp || sscanf(kind, "%15[^\"]", j->kind) != 1 ||
	    sscanf(tcp, "%15[0-9.]:%d", address, &tcp_port) != 2 || !ipaddr_aton(address, &j->to) ||
	    sscanf(udp, "%*[0-9.]:%d", &udp_port) != 1)
		return "not a request";
	j->conns = conns ? atoi(conns) : 1;
	j->size = size ? atoi(size) : 0;
	j->tcp = tcp_port, j->udp = udp_port;
	return 0;
}

/* answer does what a line asks for. */
static void answer(const char *line)
{
	struct job j = {0};
	if (!strstr(line, "\"start\"")) {
		reply(value(line, "\"sweep\":true"));
		return;
	}
	const char *wrong = parse(line, &j);
	if (wrong || (wrong = loads->start(&j)))
		refuse(wrong);
	else
		answer_until = now() + patience + j.conns * patience_each;
}

/* answer_job answers for a job when its connections stand, or when they do not come to. */
static void answer_job(void)
{
	if (loads->stands())
		reply(false);
	else if (counts.failed)
		refuse(counts.error);
	else if (now() > answer_until)
		refuse("the connections do not come to stand");
	else
		return;
	answer_until = 0;
}

/* commands reads what there is on standard input and answers each line. It returns whether there may be more. */
static bool commands(void)
{
	static char line[4096];
	static size_t have;
	ssize_t n = read(STDIN_FILENO, line + have, sizeof line - 1 - have);
	if (n <= 0)
		return false;
	line[have += n] = 0;
	for (char *end; (end = strchr(line, '\n'));) {
		*end = 0;
		answer(line);
		have -= end + 1 - line;
		memmove(line, end + 1, have + 1);
	}
	return have < sizeof line - 1;
}

/* turn waits for something to happen and has it done. It returns whether there may be more commands. */
static bool turn(void)
{
	enum { CHECK = 10 }; /* ms, between looks at connections that are to stand */
	struct pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {DESCRIPTOR, POLLIN, 0}};
	int timeout = loads->step ? loads->patience() : -1;
	bool more = true;
	if (answer_until && (timeout < 0 || timeout > CHECK))
		timeout = CHECK;
	poll(ready, loads->step ? 2 : 1, timeout);
	if (loads->step)
		LOCK_TCPIP_CORE();
	if (ready[0].revents)
		more = commands();
	if (loads->step) {
		loads->step();
		UNLOCK_TCPIP_CORE();
	}
	if (answer_until)
		answer_job();
	return more;
}

/* open_all makes everything that the arguments ask for. It returns 0, or what went wrong. */
static const char *open_all(int argc, char **argv)
{
	if (argc != 3)
		return "usage: lwip ADDRESS raw|blocking";
	loads = strcmp(argv[2], "raw") ? &blocking_loads : &raw_loads;
	const char *wrong = stack_open(DESCRIPTOR, argv[1]);
	return wrong ? wrong : loads->begin();
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts(LWIP_VERSION_STRING);
		return 0;
	}
	const char *wrong = open_all(argc, argv);
	if (wrong) {
		refuse(wrong);
		return 1;
	}
	begun = now();
	reply(false);
	while (turn()) {
	}
	return 0;
}
