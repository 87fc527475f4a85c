//go:build linux && (amd64 || arm64)

package supervise

func (c *call) receiveStream(flags int, p *place) (int64, error) { return 0, errNative }
func (c *call) receiveStreams() (int64, error)                   { return 0, errNative }
func (c *call) sendStream(p *place, flags int) (int64, error)    { return 0, errNative }
func (c *call) sendStreams() (int64, error)                      { return 0, errNative }
