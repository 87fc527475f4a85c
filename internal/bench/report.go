package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Format is the version of the JSON. A change that old readers would misunderstand makes it larger.
const Format = 1

// Report is what a run measured. Its JSON is documented by the fields.
type Report struct {
	Format  int       `json:"format"`
	Date    time.Time `json:"date"`    // when the run began
	Command string    `json:"command"` // that measures the same again
	Machine Machine   `json:"machine"`
	Time    Seconds   `json:"time"` // of a sample
	Absent  []Absent  `json:"absent,omitempty"`
	Samples []Sample  `json:"samples"`
}

// Seconds is a time that is a number of seconds in JSON.
type Seconds time.Duration

// MarshalJSON and UnmarshalJSON write and read the number.
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var f float64
	err := json.Unmarshal(b, &f)
	*s = Seconds(f * float64(time.Second))
	return err
}

// Absent is a wire that was asked for and could not be measured.
type Absent struct {
	Wire   string `json:"wire"`
	Reason string `json:"reason"` // what is missing, and the remedy
}

// Sample is one measurement.
type Sample struct {
	Load   string             `json:"load"`
	Wire   string             `json:"wire"`
	Round  int                `json:"round"` // from 1
	Values map[string]float64 `json:"values,omitempty"`
	Limit  string             `json:"limit,omitempty"` // what held it back
	Error  string             `json:"error,omitempty"` // why there are no values
	Seen   *Seen              `json:"seen,omitempty"`

	// Skipped is why nothing was measured when that is no failure: the load makes no sense over the wire, or on this machine.
	Skipped string `json:"skipped,omitempty"`
}

// Failed reports whether a sample failed.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Error != "" })
}

// Measured reports whether any sample has values.
func (r *Report) Measured() bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Values != nil })
}

// Write writes the report as JSON, a sample a line.
func (r *Report) Write(w io.Writer) error {
	head := *r
	head.Samples = []Sample{}
	text, err := json.MarshalIndent(head, "", " ")
	if err != nil {
		return err
	}
	before, after, _ := bytes.Cut(text, []byte("[]\n}"))
	out := bytes.NewBuffer(before)
	out.WriteString("[")
	for i, s := range r.Samples {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n  ")
		out.Write(line)
	}
	out.WriteString("\n ]\n}\n")
	out.Write(after)
	_, err = w.Write(out.Bytes())
	return err
}

// Read reads a report that Write has written.
func Read(from io.Reader) (*Report, error) {
	var r Report
	if err := json.NewDecoder(from).Decode(&r); err != nil {
		return nil, fmt.Errorf("bench: not a report: %w", err)
	}
	if r.Format != Format {
		return nil, fmt.Errorf("bench: the report has format %d, and this program reads %d", r.Format, Format)
	}
	return &r, nil
}

// Merge takes what another run on the same machine measured: samples of the same load and wire are replaced, so that a
// part can be measured anew.
func (r *Report) Merge(newer *Report) error {
	if was, is := r.Machine, newer.Machine; was.Kernel != is.Kernel || was.Processor != is.Processor || was.Processors != is.Processors {
		return fmt.Errorf("bench: the reports are of different machines: %s, %s and %s, %s", was.Processor, was.Kernel, is.Processor, is.Kernel)
	}
	type cell struct{ load, wire string }
	anew, present := map[cell]bool{}, map[string]bool{}
	for _, s := range newer.Samples {
		anew[cell{s.Load, s.Wire}], present[s.Wire] = true, true
	}
	var samples []Sample
	for _, s := range r.Samples {
		if !anew[cell{s.Load, s.Wire}] {
			samples = append(samples, s)
			present[s.Wire] = true
		}
	}
	absent := map[string]string{}
	for _, a := range append(r.Absent, newer.Absent...) {
		absent[a.Wire] = a.Reason
	}
	r.Samples = append(samples, newer.Samples...)
	r.Absent = nil
	for _, w := range Wires() {
		if reason, ok := absent[w.Name]; ok && !present[w.Name] {
			r.Absent = append(r.Absent, Absent{w.Name, reason})
		}
	}
	r.Date, r.Time, r.Machine = newer.Date, newer.Time, newer.Machine
	return nil
}
