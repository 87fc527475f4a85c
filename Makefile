# Every target is one line that you can type yourself; none of them holds anything else.

.PHONY: test build fmt lint generate check race fuzz test-programs test-cpython test-gonet soak soak-stack soak-run bench bench-wires bench-run bench-layer bench-idle bench-names bench-udp bench-tcp bench-gc

# These need only Go.
test:     ; go test ./...
build:    ; go build ./...
fmt:      ; gofmt -l -w $$(git ls-files '*.go')
lint:     ; go vet ./... && go tool staticcheck ./...
generate: ; go generate ./...

# These need more: a C compiler for -race, user namespaces and /dev/net/tun, shellcheck. `make check` is what CI runs.
check:    ; .ci/run
race:     ; USERSTACK_REQUIRE=netns go test -race -timeout 12m ./...
fuzz:     ; .ci/fuzz 60s
test-programs: ; USERSTACK_PROGRAMS=all go test -count 1 -run 'TestPrograms|TestConformanceProgram' -v ./supervise
test-cpython:  ; USERSTACK_CPYTHON=all go test -count 1 -run TestCPython -timeout 60m -v ./supervise
test-gonet:    ; USERSTACK_GONET=1 go test -count 1 -run TestGoNet -timeout 30m -v ./supervise
soak:     soak-stack soak-run
soak-stack: ; USERSTACK_SOAK=10m USERSTACK_REQUIRE=netns go test -run 'Soak|Lossy|Sequences' -timeout 60m -v ./testnet ./stack/sockets/internal/oracle
soak-run: ; USERSTACK_MEGABYTES=10000 USERSTACK_CONNECTIONS=1000 USERSTACK_ROUNDS=50000 USERSTACK_CALLS=200000 USERSTACK_KILLS=1000 go test -run 'Forking|Crowd|Prefork|Descriptors|RandomCalls|ProgramKilled' -timeout 60m -v ./supervise
bench: ; go run ./cmd/userstack bench
bench-wires: ; go run ./internal/benchtable -rounds 5
bench-run:  ; go run ./internal/benchtable -pkg ./supervise -reference api -rounds 5 -bench .
bench-layer: ; go test -run '^$$' -bench 'TCP|UDP|Poller' -count 5 ./stack/sockets
bench-idle:  ; go test -run '^$$' -bench IdleConnections -benchtime 100000x ./stack/sockets
bench-udp:  ; go test -run '^$$' -bench BenchmarkUDP -benchtime 100000x -count 5 ./testnet
bench-tcp:   ; go test -run '^$$' -bench TCP -benchtime 1x -timeout 45m ./testnet
bench-gc:    ; for g in 100 400 100 400 100 400; do GOGC=$$g go run ./cmd/userstack bench --wire tun --load connect,udp1400-out,udp1400-in --rounds 1 --time 300ms; done
bench-names: ; go test -run '^$$' -bench . -count 5 ./dnsresolver
