package bench

import "testing"

// TestMergeAbsent: a wire is absent only as long as it has no sample.
func TestMergeAbsent(t *testing.T) {
	r, newer := exampleReport(), exampleReport()
	newer.Samples = []Sample{sample("udp64-in", "pasta", 1, "rate", 8, "")}
	newer.Absent = []Absent{{"slirp4netns", "missing"}}
	if err := r.Merge(newer); err != nil {
		t.Fatal(err)
	}
	if len(r.Absent) != 1 || r.Absent[0].Wire != "slirp4netns" {
		t.Errorf("absent: %v, want slirp4netns alone", r.Absent)
	}
}
