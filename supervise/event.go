package supervise

import (
	"fmt"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// String returns the event as a line of strace(1): thread, call, result, time.
//
//	1234 connect(3, {AF_INET, 192.0.2.1:80}) = 0 <12.3ms>
func (e Event) String() string {
	result := fmt.Sprint(e.Result)
	if e.Errno != 0 {
		errno := sockets.Errno(e.Errno)
		result = fmt.Sprintf("-1 %s (%s)", errno.Name(), errno)
	}
	return fmt.Sprintf("%d %s = %s <%s>", e.TID, e.Call, result, threeDigits(e.Took))
}

// threeDigits rounds a time to what of it can be read at a glance.
func threeDigits(d time.Duration) time.Duration {
	const digits = 1000
	unit := time.Nanosecond
	for d/unit >= digits {
		unit *= 10
	}
	return d.Round(unit)
}
