/* Calls the kernel by the ABIs that are not the machine's own, and prints the error of each call. No pointer is passed: the
   32-bit ABI would cut it short. */
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static long int80(long nr, long a, long b, long c)
{
	long ret;
	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static void say(const char *what, long ret)
{
	printf("%s %d\n", what, ret < 0 ? (int)-ret : 0);
}

int main(void)
{
	say("int80 getpid", int80(20, 0, 0, 0));
	say("int80 socketcall", int80(102, 1, 0, 0));
	say("int80 socket", int80(359, AF_INET, SOCK_STREAM, 0));
	say("int80 ioctl", int80(54, socket(AF_UNIX, SOCK_STREAM, 0), SIOCGIFCONF, 0));
	say("int80 io_uring_setup", int80(425, 0, 0, 0));
	say("x32 socket", syscall(0x40000000 + 41, AF_INET, SOCK_STREAM, 0) < 0 ? -errno : 0);
	say("x32 getpid", syscall(0x40000000 + 39) < 0 ? -errno : 0);
	return 0;
}
