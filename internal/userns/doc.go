// Package userns starts processes in new namespaces, as a user may who has no
// privileges, and says what is in the way where the kernel refuses. It finds
// and ends the processes of a network namespace. It is of Linux; on other
// systems it is empty.
package userns
