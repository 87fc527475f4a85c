package netns

import "github.com/userstack/userstack/internal/outputs"

// Run starts the program and waits for its end, as exec.Cmd.Run.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns what it wrote to its standard output, as
// exec.Cmd.Output. The ExitError has all of its standard error.
func (c *Cmd) Output() ([]byte, error) { return outputs.Stdout("netns", c.Cmd, c.Run) }

// CombinedOutput runs the program and returns what it wrote to its standard
// output and standard error, as exec.Cmd.CombinedOutput.
func (c *Cmd) CombinedOutput() ([]byte, error) { return outputs.Combined("netns", c.Cmd, c.Run) }
