package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"

	"github.com/spf13/cobra"
)

// verdict says how well off the machine is in one respect.
type verdict string

const (
	good    verdict = "ok"
	lacking verdict = "missing" // something does not work for want of it
	unknown verdict = "unknown"
)

// finding is what was found out about one thing, and a member of the JSON.
type finding struct {
	Thing   string  `json:"thing"`
	Verdict verdict `json:"verdict"`
	Found   string  `json:"found"`
	Cost    string  `json:"cost,omitempty"`   // what does not work without it
	Remedy  string  `json:"remedy,omitempty"` // how to get it
}

func newDoctor() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: groupMachine,
		Short:   "say what this machine allows, and what is missing",
		Long: `doctor finds out what this machine allows this user to do, by trying where that
harms nothing: it makes a namespace and a TUN device in it, and asks the device
for its offloads. For each thing that is missing it prints what that costs and how
to get it. Nothing is changed. The exit status is 0 whatever it finds, unless not
even the stack in memory works.`,
		Example: "  userstack doctor\n  userstack doctor --json",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			memory := checkMemory(cmd.Context())
			all := append([]finding{memory}, machineFindings()...)
			all = append(all, checkTools()...)
			if asJSON {
				if err := writeJSON(cmd.OutOrStdout(), all); err != nil {
					return err
				}
			} else {
				printFindings(cmd.OutOrStdout(), all)
			}
			if memory.Verdict != good {
				return fmt.Errorf("the stack in memory does not work: %s", memory.Found)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// checkMemory tries the stack itself: a name looked up over the wire in memory.
func checkMemory(ctx context.Context) finding {
	f := finding{Thing: "stack in memory", Verdict: good, Found: "resolves " + demoHost}
	s := &settings{link: linkSpec{kind: linkKinds[0]}}
	n, err := s.open(ctx, io.Discard)
	if err == nil {
		_, err = n.lookup(ctx, demoHost, "")
		if closeErr := n.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		f.Verdict, f.Found = lacking, plain(err)
		f.Cost, f.Remedy = "everything", "report it: this needs nothing but the program"
	}
	return f
}

// tools are programs that are good to have beside this one.
var tools = []struct {
	name, purpose, source string
}{
	{"nsenter", "running programs inside a namespace (tests of this tree)", "util-linux"},
	{"ip", "preparing TUN devices for --link tun:NAME", "iproute2"},
	{"tshark", "reading what --pcap wrote, as wireshark does", "tshark"},
}

func checkTools() (all []finding) {
	for _, t := range tools {
		f := finding{Thing: "program " + t.name, Verdict: good}
		path, err := exec.LookPath(t.name)
		if err != nil {
			f.Verdict, f.Found = lacking, "not in PATH"
			f.Cost, f.Remedy = t.purpose, "install "+t.source
		} else {
			f.Found = path
		}
		all = append(all, f)
	}
	return all
}

func printFindings(w io.Writer, all []finding) {
	missing := 0
	for _, f := range all {
		fmt.Fprintf(w, "%-8s %-26s %s\n", f.Verdict, f.Thing, f.Found)
		if f.Cost != "" {
			fmt.Fprintf(w, "%35s without it: %s\n", "", f.Cost)
		}
		if f.Remedy != "" {
			fmt.Fprintf(w, "%35s remedy: %s\n", "", f.Remedy)
		}
		if f.Verdict != good {
			missing++
		}
	}
	if missing == 0 {
		fmt.Fprintln(w, "\nNothing is missing.")
		return
	}
	fmt.Fprintf(w, "\n%d of %d are missing or unknown; what does not depend on them works.\n", missing, len(all))
}
