// Signals during calls that the supervisor answers. Prints what each call gave.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in addr;
static volatile int ticks;

static void tick(int sig) { ticks++; }

static void report(const char *what, int result) { printf("%s: errno %d\n", what, result < 0 ? errno : 0); }

static void on_alarm(int flags) {
	struct sigaction sa = {.sa_handler = tick, .sa_flags = flags};
	sigaction(SIGALRM, &sa, 0);
}

// alarm_every sends a signal again and again: one may come before the call that it
// is for.
static void alarm_every(int usec) {
	struct itimerval it = {{0, usec}, {0, usec}};
	setitimer(ITIMER_REAL, &it, 0);
}

static void receive_timeout(int fd, int msec) {
	struct timeval tv = {msec / 1000, msec % 1000 * 1000};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
}

static int connected(void) {
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return connect(fd, (void *)&addr, sizeof addr) ? -1 : fd;
}

// cycle makes a connection, sends a byte, and closes both ends.
static int cycle(int listener) {
	char byte;
	int err = 1;
	socklen_t len = sizeof err;
	int c = connected(), a = accept(listener, 0, 0);
	int good = c >= 0 && a >= 0 && !getsockopt(a, SOL_SOCKET, SO_ERROR, &err, &len) && err == 0 &&
		write(c, "x", 1) == 1 && read(a, &byte, 1) == 1;
	close(c);
	close(a);
	return good;
}

int main(int argc, char **argv) {
	char buf[10];
	struct sockaddr_in from;
	socklen_t len = sizeof addr;
	int cycles = argc > 1 ? atoi(argv[1]) : 100;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	report("bind", bind(l, (void *)&addr, sizeof addr));
	report("listen", listen(l, 16));
	getsockname(l, (void *)&addr, &len);

	on_alarm(0);
	alarm_every(50000);
	report("accept", accept(l, 0, 0));
	int u = socket(AF_INET, SOCK_DGRAM, 0);
	from = (struct sockaddr_in){.sin_family = AF_INET};
	bind(u, (void *)&from, sizeof from);
	len = sizeof from;
	report("recvfrom", recvfrom(u, buf, sizeof buf, 0, (void *)&from, &len));
	alarm_every(0);

	on_alarm(SA_RESTART);
	receive_timeout(l, 50);
	report("accept with a limit", accept(l, 0, 0));
	receive_timeout(l, 30000);
	alarm_every(50000);
	report("accept with a limit and SA_RESTART", accept(l, 0, 0));
	alarm_every(0);
	receive_timeout(l, 0);
	fflush(stdout);
	pid_t late = fork();
	if (late == 0) {
		while (usleep(300000)) {}
		int fd = connected();
		_exit(fd < 0 || read(fd, buf, 1) != 0);
	}
	ticks = 0;
	alarm_every(50000);
	int a = accept(l, 0, 0);
	report("accept with SA_RESTART", a);
	alarm_every(0);
	printf("interrupted: %s\n", ticks > 0 ? "yes" : "no");
	close(a);
	int status = -1;
	waitpid(late, &status, 0);
	printf("the other process: %d\n", status);

	alarm_every(1000);
	int bad = 0;
	for (int i = 0; i < cycles; i++)
		bad += !cycle(l);
	alarm_every(0);
	printf("cycles that failed: %d\n", bad);
}
