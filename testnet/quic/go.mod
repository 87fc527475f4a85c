module github.com/userstack/userstack/testnet/quic

go 1.26.3

require (
	github.com/quic-go/quic-go v0.64.1
	github.com/userstack/userstack v0.0.0
	golang.org/x/net v0.62.0
)

require (
	github.com/google/btree v1.1.2 // indirect
	github.com/gopacket/gopacket v1.7.7 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/exp v0.0.0-20260824195058-e88cd73687aa // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.15.0 // indirect
	gvisor.dev/gvisor v0.0.0-20260905035102-160fafc42237 // indirect
)

replace github.com/userstack/userstack => ../..
