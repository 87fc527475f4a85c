//go:build linux && (amd64 || arm64)

package supervise

import (
	"syscall"

	"github.com/userstack/userstack/stack/sockets"
)

func newDatagrams(f *file, flags int) (fd int, err error) { return -1, syscall.EPROTONOSUPPORT }

func (c *call) connectDatagram(a sockets.Sockaddr) (int64, error) { return 0, syscall.EOPNOTSUPP }

func (c *call) shutdownDatagram(how int) (int64, error) { return 0, syscall.ENOTCONN }
