// Package bindfile gives the processes of a mount namespace files with other
// contents than the machine's, such as an /etc/resolv.conf that names another
// nameserver: from a file system in memory, bound over the files. It is of
// Linux; on other systems it is empty.
package bindfile
