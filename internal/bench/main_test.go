package bench_test

import (
	"testing"

	"github.com/userstack/userstack/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }
