package bench

import (
	"bytes"
	"errors"
	"slices"
)

// The marks in a document between which the table is.
const (
	markBegin = "<!-- bench: begin; written by userstack bench -->"
	markEnd   = "<!-- bench: end -->"
)

// Splice puts the table between the marks of a document.
func (r *Report) Splice(document []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(document, []byte(markBegin))
	_, after, ended := bytes.Cut(rest, []byte(markEnd))
	if !found || !ended {
		return nil, errors.New("bench: the document lacks the marks " + markBegin + " and " + markEnd)
	}
	var table bytes.Buffer
	if err := r.WriteMarkdown(&table); err != nil {
		return nil, err
	}
	return slices.Concat(before, []byte(markBegin+"\n"), table.Bytes(), []byte(markEnd), after), nil
}
