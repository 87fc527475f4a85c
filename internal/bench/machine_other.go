//go:build !linux

package bench

func kernelRelease() string  { return "" }
func processorModel() string { return "" }
