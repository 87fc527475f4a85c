package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// args wants a number of arguments between least and most, where a negative most is no limit. What names them for people.
func args(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case most == 0 && len(args) > 0:
			return fmt.Errorf("takes no arguments, but %q was given", args[0])
		case len(args) < least:
			return fmt.Errorf("needs %s", what)
		case most >= 0 && len(args) > most:
			return fmt.Errorf("takes %s, and nothing after it: %q", what, args[most])
		}
		return nil
	}
}

func noArgs() cobra.PositionalArgs { return args(0, 0, "") }
