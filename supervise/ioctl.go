//go:build linux && (amd64 || arm64)

package supervise

func (c *call) ioctl() (int64, error) { return 0, errNative }
