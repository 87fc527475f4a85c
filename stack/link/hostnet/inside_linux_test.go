package hostnet

import "os"

// The test binary inside the namespace of TestWorld runs no tests.
func init() {
	if os.Getenv(insideEnv) != "" {
		os.Exit(inside())
	}
}
