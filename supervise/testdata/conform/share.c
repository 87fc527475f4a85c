/* Descriptors that are copied, inherited and passed on. */
#include "conform.h"

void share_dup(int family)
{
	struct pair p = connected(family);
	int copy = dup(p.client), third;
	char b[16];
	SAY(fdrc(copy), "dup");
	SAY(sockname(copy), "getsockname of the copy");
	SAY(peername(copy), "getpeername of the copy");
	nonblocking(p.client);
	SAY(text("%d", (fcntl(copy, F_GETFL) & O_NONBLOCK) != 0), "O_NONBLOCK is shared");
	close(p.client);
	SEE(polled(p.server), "one closed, poll of the peer");
	SAY(rc(send(copy, "copied", 6, 0)), "send on the copy");
	WHEN(data(recv(p.server, b, 16, MSG_DONTWAIT), b), "peer recv");
	third = fcntl(copy, F_DUPFD_CLOEXEC, 100);
	SAY(text("%d", third >= 100), "F_DUPFD_CLOEXEC");
	SAY(rc(shutdown(third, SHUT_WR)), "shutdown of the third");
	SAY(rc(send(copy, "x", 1, MSG_NOSIGNAL)), "send on the copy after it");
	SEE(polled(p.server), "shut, poll of the peer");
	close(copy);
	close(third);
	SAY(rc(send(p.server, "x", 1, MSG_NOSIGNAL)), "peer send");
	send_until_error(p.server);
	SEE(polled(p.server), "all closed, poll of the peer");

	int fd = stream(family), same = dup(fd), on = 1;
	must(setsockopt(same, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
	SAY(option(fd, IPPROTO_TCP, TCP_NODELAY), "an option is shared");
	SAY(rc(connect_to(same, p.listener)), "connect of the copy");
	SAY(peername(fd), "getpeername of the first");
	SAY(text("%d", dup2(p.server, fd) == fd), "dup2 over the first");
	SAY(rc(send(same, "kept", 4, 0)), "send on the copy that is left");
	int server = accept(p.listener, NULL, NULL);
	WHEN(data(recv(server, b, 16, MSG_DONTWAIT), b), "it arrives");
	int listener = dup(p.listener);
	close(p.listener);
	int client = stream(family);
	SAY(rc(connect_to(client, listener)), "connect to a listener's copy");
	SAY(fdrc(accept(listener, NULL, NULL)), "accept of a listener's copy");
	int ep = watch(listener);
	EDGES(ep, "epoll of a listener's copy");
	close(client);
	client = stream(family);
	must(connect_to(client, listener), "connect");
	EDGES(ep, "epoll of a listener's copy, one pending");
}

static void child_ends(pid_t pid, const char *step)
{
	int status = -1;
	must(waitpid(pid, &status, 0), "waitpid");
	SAY(text("%#x", status), "%s", step);
}

void share_fork(int family)
{
	struct pair p = connected(family);
	char b[16];
	pid_t pid = fork();
	if (pid == 0) {
		close(p.client);
		int server = accept(p.listener, NULL, NULL);
		long n = server < 0 ? -1 : recv(server, b, 16, 0);
		_exit(n == 5 && send(server, b, 5, 0) == 5 && recv(server, b, 16, 0) == 0 ? 0 : 1);
	}
	int client = stream(family);
	timeouts(client);
	SAY(rc(connect_to(client, p.listener)), "connect to a child");
	SAY(rc(send(client, "child", 5, 0)), "send to a child");
	SAY(data(recv(client, b, 16, 0), b), "recv from a child");
	SAY(rc(close(client)), "close");
	child_ends(pid, "child");
	SEE(polled(p.server), "the child's copy closed, poll of the peer");

	pid = fork();
	if (pid == 0) { /* writes on the inherited socket, and ends after the parent closed it */
		char go;
		long n = recv(p.client, &go, 1, 0);
		_exit(n == 1 && send(p.client, "inherited", 9, 0) == 9 ? 0 : 1);
	}
	close(p.client);
	SEE(polled(p.server), "the parent's copy closed, poll of the peer");
	SAY(rc(send(p.server, "g", 1, 0)), "peer send");
	SAY(data(recv(p.server, b, 16, MSG_WAITALL), b), "peer recv");
	child_ends(pid, "second child");
	SEE(polled(p.server), "all closed, poll of the peer");

	pid = fork();
	if (pid == 0) { /* makes a socket and leaves without closing it */
		int fd = stream(family);
		must(connect_to(fd, p.listener), "connect");
		must(send(fd, "left", 4, 0), "send");
		_exit(0);
	}
	int server = accept(p.listener, NULL, NULL);
	SAY(data(recv(server, b, 16, MSG_WAITALL), b), "recv from who leaves");
	child_ends(pid, "third child");
	SEE(polled(server), "left, poll of the peer");
	pid = fork();
	if (pid == 0) {
		int fd = stream(family);
		must(connect_to(fd, p.listener), "connect");
		raise(SIGKILL);
	}
	server = accept(p.listener, NULL, NULL);
	child_ends(pid, "killed child");
	SEE(polled(server), "killed, poll of the peer");
}

int executed(const char *number)
{
	int fd = atoi(number);
	char b[16];
	printf("%s\n", option(fd, SOL_SOCKET, SO_DOMAIN));
	long n = recv(fd, b, 16, 0);
	printf("%s\n", data(n, b));
	printf("%s\n", rc(send(fd, "executed", 8, 0)));
	return 0;
}

/* exec_of runs this program anew with a descriptor. */
static void exec_of(int fd, const char *step)
{
	int out[2];
	char line[128], number[16];
	must(pipe(out), "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		snprintf(number, sizeof number, "%d", fd);
		execl("/proc/self/exe", "conform", "--executed", number, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	FILE *f = fdopen(out[0], "r");
	for (int i = 0; fgets(line, sizeof line, f) != NULL; i++) {
		line[strcspn(line, "\n")] = 0;
		SAY(line, "%s %d", step, i);
	}
	fclose(f);
	child_ends(pid, text("%s ends", step));
}

void share_exec(int family)
{
	struct pair p = connected(family);
	char b[16];
	must(send(p.server, "passed on", 9, 0), "send");
	exec_of(p.client, "inherited");
	SAY(data(recv(p.server, b, 16, 0), b), "peer recv");
	must(fcntl(p.client, F_SETFD, FD_CLOEXEC), "F_SETFD");
	exec_of(p.client, "closed by exec");
	SEE(polled(p.server), "still open, poll of the peer");
	SAY(rc(send(p.client, "here", 4, 0)), "send");
}

/* pass sends a descriptor through a unix socket. */
static long pass(int through, int fd)
{
	char control[CMSG_SPACE(sizeof fd)] = {0};
	struct iovec v = {"f", 1};
	struct msghdr m = {NULL, 0, &v, 1, control, sizeof control, 0};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(through, &m, 0);
}

static int take(int through)
{
	int fd = -1;
	char control[CMSG_SPACE(sizeof fd)] = {0}, b;
	struct iovec v = {&b, 1};
	struct msghdr m = {NULL, 0, &v, 1, control, sizeof control, 0};
	must(recvmsg(through, &m, 0), "recvmsg");
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c != NULL)
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

void share_rights(int family)
{
	struct pair p = connected(family);
	int through[2], got;
	char b[16];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, through), "socketpair");
	SAY(rc(pass(through[0], p.client)), "pass");
	SAY(fdrc(got = take(through[1])), "take");
	close(p.client);
	SAY(peername(got), "getpeername");
	SAY(rc(send(got, "passed", 6, 0)), "send");
	WHEN(data(recv(p.server, b, 16, MSG_DONTWAIT), b), "peer recv");
	SEE(polled(p.server), "poll of the peer");
	must(pass(through[0], p.listener), "pass");
	close(p.listener);
	int listener = take(through[1]), client = stream(family);
	SAY(rc(connect_to(client, listener)), "connect to a passed listener");
	SAY(fdrc(accept(listener, NULL, NULL)), "accept of a passed listener");
	int fresh = stream(family);
	must(pass(through[0], fresh), "pass");
	close(fresh);
	fresh = take(through[1]);
	SAY(rc(connect_to(fresh, listener)), "connect of a passed fresh one");
	pid_t pid = fork();
	if (pid == 0) {
		int fd = stream(family);
		must(connect_to(fd, listener), "connect");
		_exit(pass(through[0], fd) == 1 ? 0 : 1);
	}
	got = take(through[1]);
	child_ends(pid, "child that passes");
	SAY(peername(got), "getpeername of a dead child's");
	must(accept(listener, NULL, NULL), "accept"); /* the fresh one's */
	int server = accept(listener, NULL, NULL);
	SAY(rc(send(got, "alive", 5, 0)), "send on a dead child's");
	SAY(data(recv(server, b, 16, 0), b), "it arrives");
	close(got);
	SEE(polled(server), "closed, poll of the peer");
}

/* A descriptor that is on its way keeps its socket open. */
void share_rights_in_flight(int family)
{
	struct pair p = connected(family);
	int through[2], got;
	char b[16];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, through), "socketpair");
	must(pass(through[0], p.client), "pass");
	close(p.client);
	SEE(polled(p.server), "in flight, poll of the peer");
	SAY(rc(send(p.server, "later", 5, 0)), "peer send");
	got = take(through[1]);
	WHEN(data(recv(got, b, 16, MSG_DONTWAIT), b), "recv");
	must(pass(through[0], got), "pass");
	close(got);
	close(through[0]);
	close(through[1]);
	SEE(polled(p.server), "dropped in flight, poll of the peer");
	int listener = p.listener;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, through), "socketpair");
	struct sockaddr_storage a;
	socklen_t len = name_of(listener, &a);
	must(pass(through[0], listener), "pass");
	close(listener);
	int client = stream(family);
	SAY(rc(connect(client, (struct sockaddr *)&a, len)), "connect to a listener in flight");
	close(through[0]);
	close(through[1]);
	SEE(polled(client), "listener dropped, poll of the client");
	client = stream(family);
	SAY(rc(connect(client, (struct sockaddr *)&a, len)), "connect to a listener that was dropped");
}
