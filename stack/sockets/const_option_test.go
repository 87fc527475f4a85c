package sockets_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Constants of x/sys/unix that begin as options do and are none of the five
// levels that sockets here have: AF_VSOCK's, flags and sizes.
var notOptions = regexp.MustCompile(`^(SO_VM_SOCKETS_|SO_EE_|IP_(DF|MF|RF|MSS|OFFMASK|MAXPACKET|PMTUDISC)$|IPV6_(FLOW|FLOWINFO_MASK|FLOWLABEL_MASK)$|` +
	`(IP|IPV6)_USER_FLOW$|IPV6_VERSION|(TCP|UDP)_V[46]_FLOW$|TCP_(ACCECN_|AO_KEYF_|AO_MAX|BPF_|COOKIE_|MAXWIN|MAX_|MD5SIG_|MSS|REPAIR_O|S_DATA)|` +
	`UDP_ENCAP_|MCAST_(EX|IN)CLUDE$)`)

// A13.5, A13.8, A13.13, A13.14, A13.19: every option and level that
// golang.org/x/sys/unix knows on Linux is declared. TestConstantsAreLinux
// compares the values.
func TestOptionConstantsAreThere(t *testing.T) {
	gocmd, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command in PATH: ", err)
	}
	cmd := exec.CommandContext(t.Context(), gocmd, "list", "-f", "{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}\n{{end}}", "golang.org/x/sys/unix")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	files := strings.Fields(string(must[[]byte](t)(cmd.Output())))
	ours, found := own(t), 0
	option := regexp.MustCompile(`^(SO|SOL|IP|IPV6|TCP|UDP|MCAST)_`)
	for name := range constants(t, files) {
		if !option.MatchString(name) || notOptions.MatchString(name) {
			continue
		}
		found++
		if _, ok := ours[name]; !ok {
			t.Errorf("%s is not declared", name)
		}
	}
	if found < 200 {
		t.Errorf("looked for %d constants", found)
	}
}
