//go:build amd64 || arm64

package supervise_test

import (
	"bufio"
	"fmt"
	"log"
	"os"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise"
)

// A program that serves is reached through the Host that it runs on.
func ExampleCommand() {
	s, err := stack.New(stack.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	host, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	self, err := os.Executable() // any program will do; this one is there on every machine
	if err != nil {
		log.Fatal(err)
	}
	cmd := supervise.Command(host, self)
	cmd.Args = []string{childName, "echo", "127.0.0.1:7"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		log.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	bufio.NewReader(out).ReadString('\n') // it listens
	for _, word := range []string{"hello", "end"} {
		c, err := host.Dial("tcp", "127.0.0.1:7")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprint(c, word)
		answer, _ := bufio.NewReader(c).Peek(len("hello"))
		fmt.Printf("%q\n", answer)
		c.Close()
	}
	fmt.Println(cmd.Wait())
	// Output:
	// "hello"
	// ""
	// <nil>
}
