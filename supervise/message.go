//go:build linux && (amd64 || arm64)

package supervise

// sendto is sendto(2) with an address or flags that AF_UNIX does not have.
func (c *call) sendto() (int64, error) { return 0, errNative }

func (c *call) recvfrom() (int64, error) { return 0, errNative }
func (c *call) sendmsg() (int64, error)  { return 0, errNative }
func (c *call) recvmsg() (int64, error)  { return 0, errNative }
func (c *call) sendmmsg() (int64, error) { return 0, errNative }
func (c *call) recvmmsg() (int64, error) { return 0, errNative }
