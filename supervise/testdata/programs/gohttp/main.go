// Gohttp is a web server and a client of one: "gohttp serve ADDR DIR" and "gohttp get URL N", which fetches N times at
// once and prints the digest of each body.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

func main() {
	switch os.Args[1] {
	case "serve":
		log.Fatal(http.ListenAndServe(os.Args[2], http.FileServer(http.Dir(os.Args[3]))))
	case "get":
		n, err := strconv.Atoi(os.Args[3])
		if err != nil {
			log.Fatal(err)
		}
		digests := make(chan string)
		for range n {
			go func() { digests <- digest(os.Args[2]) }()
		}
		for range n {
			fmt.Println(<-digests)
		}
	}
}

func digest(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, resp.Body); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}
