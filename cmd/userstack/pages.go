package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
)

// maxPage bounds /bytes/N.
const maxPage = 1 << 40

// pages are what the demo's web server serves.
func (s *servers) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "Hello from %s.\n", s.place.name)
		fmt.Fprintf(w, "You are %s; you asked %s for %s over %s.\n", r.RemoteAddr, localAddr(r), r.URL, r.Proto)
	})
	mux.HandleFunc("GET /bytes/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
		if err != nil || n < 0 || n > maxPage {
			http.Error(w, "want a number of bytes", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		if r.Method != http.MethodHead {
			io.Copy(w, pattern(n)) // a client that leaves is not this server's concern
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Method", r.Method)
		w.Header().Set("X-Said", r.Header.Get("X-Say"))
		w.Header().Set("X-Type", r.Header.Get("Content-Type"))
		io.Copy(w, r.Body)
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/", http.StatusFound)
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil || code < http.StatusOK || code > 599 {
			code = http.StatusBadRequest
		}
		w.WriteHeader(code)
	})
	mux.HandleFunc("GET /wait", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done() // answers nothing for as long as the client has patience
	})
	return mux
}

func localAddr(r *http.Request) string {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return a.String()
	}
	return "this server"
}

// patternReader gives bytes that differ from place to place, so that a lost or displaced one is noticed.
type patternReader struct{ at, end int64 }

// pattern returns n bytes that are the same for everybody.
func pattern(n int64) io.Reader { return &patternReader{end: n} }

// The bytes repeat after a prime number of them, so that no packet or buffer size hides a displacement.
var patternBlock = func() []byte {
	const prime = 65521
	block := make([]byte, prime)
	x := uint32(1)
	for i := range block {
		x = x*1664525 + 1013904223 // Numerical Recipes' generator
		block[i] = byte(x >> 24)
	}
	return block
}()

func (p *patternReader) Read(b []byte) (int, error) {
	if p.at >= p.end {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), p.end-p.at)], patternBlock[p.at%int64(len(patternBlock)):])
	p.at += int64(n)
	return n, nil
}
