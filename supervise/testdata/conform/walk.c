/* Observations: expected values, patience, output. */
#include "conform.h"

enum {
	patience_ms = 10000, /* for the expected value; a hang guard, seldom used up */
	most_lines = 2000,
};

static struct {
	char *key, *value;
} expected[most_lines];
static int expectations;

static const char *walk = "";
int next_port;
static char now[256];
static long long began;
static int while_ms = 50; /* for things to settle when no value is expected */

static long long clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void read_expected(const char *file)
{
	FILE *f = fopen(file, "r");
	char line[1024];
	if (f == NULL) {
		perror(file);
		exit(2);
	}
	while (expectations < most_lines && fgets(line, sizeof line, f) != NULL) {
		char *colon = strstr(line, ": ");
		line[strcspn(line, "\n")] = 0;
		if (colon == NULL)
			continue;
		*colon = 0;
		expected[expectations].key = strdup(line);
		expected[expectations++].value = strdup(colon + 2);
	}
	fclose(f);
}

static const char *expectation(void)
{
	for (int i = 0; i < expectations; i++)
		if (strcmp(expected[i].key, now) == 0)
			return expected[i].value;
	return NULL;
}

void key(const char *format, ...)
{
	static char *seen[most_lines];
	static int count;
	va_list args;
	int n = snprintf(now, sizeof now, "%s ", walk);
	va_start(args, format);
	vsnprintf(now + n, sizeof now - n, format, args);
	va_end(args);
	for (int i = 0; i < count; i++)
		if (strcmp(seen[i], now) == 0) {
			printf("%s: TWICE\n", now);
			exit(2);
		}
	seen[count++] = strdup(now);
	began = clock_ms();
}

void say(const char *value)
{
	printf("%s: %s\n", now, value);
	fflush(stdout);
}

static void pause_ms(int ms)
{
	struct timespec t = {0, ms * 1000000L};
	nanosleep(&t, NULL);
}

int again(const char *value)
{
	const char *want = expectation();
	long long waited = clock_ms() - began;
	if (want != NULL ? strcmp(want, value) == 0 || waited > patience_ms : waited > while_ms) {
		say(value);
		return 0;
	}
	pause_ms(1);
	return 1;
}

int early(const char *value)
{
	const char *want = expectation();
	long long waited = clock_ms() - began;
	int unexpected = want != NULL ? strcmp(want, value) != 0 && waited < patience_ms : waited < while_ms;
	if (strcmp(value, "EAGAIN") == 0 && unexpected) {
		pause_ms(1);
		return 1;
	}
	say(value);
	return 0;
}

void skip_walk(const char *why)
{
	printf("%s skipped: %s\n", walk, why);
	exit(0);
}

void must(long result, const char *what)
{
	if (result >= 0)
		return;
	printf("%s broke at %s: %s\n", walk, what, error(errno));
	exit(1);
}

static const struct {
	const char *name;
	void (*run)(int family);
	int family;
} walks[] = {
#define BOTH(name) {#name "4", name, V4}, {#name "6", name, V6}
	BOTH(tcp_fresh), BOTH(tcp_bound), BOTH(tcp_listening), {"tcp_listener_shut", tcp_listener_shut, V4},
	BOTH(tcp_connecting), BOTH(tcp_connected), {"tcp_peer_shut", tcp_peer_shut, V4},
	{"tcp_own_shut", tcp_own_shut, V4}, {"tcp_both_shut", tcp_both_shut, V4}, {"tcp_read_shut", tcp_read_shut, V4},
	{"tcp_reset", tcp_reset, V4}, {"tcp_reset_with_data", tcp_reset_with_data, V4},
	{"tcp_unread_close", tcp_unread_close, V4}, BOTH(tcp_refused), BOTH(tcp_refused_later),
	{"tcp_accepted", tcp_accepted, V4}, {"tcp_full", tcp_full, V4}, {"tcp_timeouts", tcp_timeouts, V4},
	{"tcp_reuse", tcp_reuse, V4}, {"tcp_options", tcp_options, V4}, {"tcp_messages", tcp_messages, V4},
	{"tcp_oneshot", tcp_oneshot, V4}, BOTH(udp_fresh), BOTH(udp_bound), BOTH(udp_connected), BOTH(udp_refused),
	BOTH(udp_messages), {"udp_options", udp_options, V4}, {"share_dup", share_dup, V4}, {"share_fork", share_fork, V4},
	{"share_exec", share_exec, V4}, {"share_rights", share_rights, V4},
	{"share_rights_in_flight", share_rights_in_flight, V4}, {"misuse_arguments", misuse_arguments, V4},
	{"misuse_descriptors", misuse_descriptors, V4}, {"signals_interrupt", signals_interrupt, V4},
	{"signals_restart", signals_restart, V4}, {"dual_stack", dual_stack, V6},
};
enum { count = sizeof walks / sizeof walks[0], longest_walk_s = 120 };

static pid_t processes[count];

/* Walks use the alarm for themselves, so their hang guard is their parent's. */
static void too_long(int signal)
{
	(void)signal;
	for (int i = 0; i < count; i++)
		if (processes[i] > 0)
			kill(-processes[i], SIGKILL);
}

/* start runs one walk in a process group of its own, and returns where it writes. */
static FILE *start(int i)
{
	int out[2];
	must(pipe(out), "pipe");
	pid_t pid = fork();
	must(pid, "fork");
	if (pid > 0) {
		close(out[1]);
		processes[i] = pid;
		return fdopen(out[0], "r");
	}
	setpgid(0, 0);
	dup2(out[1], 1);
	close(out[0]);
	close(out[1]);
	walk = walks[i].name;
	next_port = first_port + i * ports_of_walk;
	walks[i].run(walks[i].family);
	exit(0);
}

int main(int argc, char **argv)
{
	static FILE *out[count];
	int failed = 0, status;
	if (argc == 3 && strcmp(argv[1], "--executed") == 0)
		return executed(argv[2]);
	if (argc >= 2 && argv[1][0] != 0)
		read_expected(argv[1]);
	if (getenv("CONFORM_WHILE_MS") != NULL)
		while_ms = atoi(getenv("CONFORM_WHILE_MS"));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, too_long);
	alarm(longest_walk_s);
	for (int i = 0; i < count; i++)
		if (argc < 3 || strstr(walks[i].name, argv[2]) != NULL)
			out[i] = start(i);
	for (int i = 0; i < count; i++) {
		char line[1024];
		while (out[i] != NULL && fgets(line, sizeof line, out[i]) != NULL)
			fputs(line, stdout);
	}
	for (int i = 0; i < count; i++)
		if (processes[i] > 0 && waitpid(processes[i], &status, 0) > 0 && status != 0) {
			printf("%s ended with status %#x\n", walks[i].name, status);
			failed = 1;
		}
	return failed;
}
