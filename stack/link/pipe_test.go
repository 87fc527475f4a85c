package link

import (
	"testing"
)

var pipeConfigs = map[string]PipeConfig{
	"zero":      {},
	"gso":       {GSOMaxSize: 65535},
	"large MTU": {MTU: 65535},
	"least MTU": {MTU: 1280},
}

func TestPipeTCP(t *testing.T) {
	for name, cfg := range pipeConfigs {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				a, b := NewPipe(cfg)
				near, far := connect(t, newHost(t, 1, a), newHost(t, 2, b), v)
				transfer(t, near, far, 8<<20)
				transfer(t, far, near, 8<<20)
				if s := a.Stats(); s.QueueFull+s.Oversize > 0 || s.Delivered == 0 {
					t.Errorf("stats %+v", s)
				}
			})
		}
	}
}

func TestPipeUDP(t *testing.T) {
	for name, cfg := range pipeConfigs {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				a, b := NewPipe(cfg)
				exchange(t, newHost(t, 1, a), newHost(t, 2, b), v, 0, 1, 1000, 1472, 1473, 9000, 65507)
			})
		}
	}
}
