package bench

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Sizes of the chart, in pixels.
const (
	chartColumn = 470 // width of a column
	chartMargin = 16
	chartHead   = 64 // above the first group
	chartFoot   = 40 // below the last
	groupHead   = 24 // a load's title
	groupGap    = 14
	barPitch    = 17
	barHeight   = 11
	nameWidth   = 112 // left of the bars
	valueWidth  = 116 // right of them
	barWidth    = chartColumn - 2*chartMargin - nameWidth - valueWidth
)

// longest is the ratio at which a bar ends, with a mark: what is better by more is better by enough.
const longest = 1.5

// bar is one line of the chart.
type bar struct {
	name, class, value string
	ratio              float64 // how good it is beside the reference; 0 is not measured
}

// group is a load and its bars.
type group struct {
	title string
	bars  []bar
}

func (g group) height() int { return groupHead + len(g.bars)*barPitch + groupGap }

// goodness turns a figure's ratio around where less is better, so that a longer bar is always the better one.
func goodness(f Figure, m Metric) float64 {
	if m.Better == Less && f.Ratio > 0 {
		return 1 / f.Ratio
	}
	return f.Ratio
}

// What a wire's near end is, by which it is coloured.
const (
	kernel = "kernel"
	ours   = "ours"
	peer   = "peer"
)

func (w Wire) class() string {
	switch {
	case w.Reference == "":
		return kernel
	case w.Name == overMemory || strings.HasPrefix(w.Name, "tun"):
		return ours
	}
	return peer
}

// groups arranges the report for the chart: the first metric of each load.
func (r *Report) groups() (list []group) {
	for _, s := range r.sections() {
		m := s.load.Metrics[0]
		g := group{title: fmt.Sprintf("%s: %s", s.load.About, m.title())}
		for _, one := range s.rows {
			f := one.figures[0]
			if f.Rounds == 0 {
				g.bars = append(g.bars, bar{one.wire.Name, one.wire.class(), "failed", 0})
				continue
			}
			b := bar{name: one.wire.Name, class: one.wire.class(), value: number(f.Median), ratio: goodness(f, m)}
			if one.wire.Reference == "" {
				b.ratio = 1
			} else if f.Ratio > 0 {
				b.value += fmt.Sprintf(" (%.2f)", f.Ratio)
			}
			g.bars = append(g.bars, b)
		}
		list = append(list, g)
	}
	return list
}

// columns deals the groups out to two columns of about the same height, in order.
func columns(groups []group) (left, right []group) {
	all, sum := 0, 0
	for _, g := range groups {
		all += g.height()
	}
	for i, g := range groups {
		if 2*sum+g.height() > all && i > 0 {
			return groups[:i], groups[i:]
		}
		sum += g.height()
	}
	return groups, nil
}

func columnHeight(groups []group) (h int) {
	for _, g := range groups {
		h += g.height()
	}
	return h
}

// chartStyle has colours that stand out on white and on black, and no font but the reader's.
const chartStyle = `
.paper{fill:#ffffff}
text{font:12px sans-serif;fill:#1f2328}
.title{font-size:16px;font-weight:bold}
.load{font-weight:bold}
.small{font-size:11px;fill:#59636e}
.ours{fill:#2f7fd6}
.kernel{fill:#8b949e}
.peer{fill:#d9822b}
.one{stroke:#59636e;stroke-dasharray:2 2}
@media(prefers-color-scheme:dark){.paper{fill:#0d1117}text{fill:#e6edf3}.small{fill:#9198a1}}
`

// WriteSVG draws the report: for each load a bar for each wire, as long as it is good beside the kernel over veth, and
// pair beside the kernel's loopback. The same report gives the same bytes.
func (r *Report) WriteSVG(w io.Writer) error {
	left, right := columns(r.groups())
	height := chartHead + max(columnHeight(left), columnHeight(right)) + chartFoot
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\" role=\"img\">\n", 2*chartColumn, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>%s</style>\n<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n", chartTitle, chartStyle)
	label(&b, chartMargin, 26, "title", chartTitle)
	label(&b, chartMargin, 44, "small", "Longer is better: 1, the dashed line, is the kernel over a veth pair, for pair the kernel's loopback. The figure is the median, in brackets its ratio.")
	for i, column := range [][]group{left, right} {
		y := chartHead
		for _, g := range column {
			g.draw(&b, i*chartColumn+chartMargin, y)
			y += g.height()
		}
	}
	m := r.Machine
	label(&b, chartMargin, height-18, "small", fmt.Sprintf("%s, %d × %s, %s, %s, commit %.12s. userstack bench draws this.", m.Kernel, m.Processors, m.Processor, m.Go, r.Date.Format("2006-01-02"), m.Commit))
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

const chartTitle = "A TCP/IP stack in a process, beside the kernel and other stacks"

func (g group) draw(b *strings.Builder, x, y int) {
	label(b, x, y+14, "load", g.title)
	y += groupHead
	for i, one := range g.bars {
		top := y + i*barPitch
		label(b, x, top+barHeight-1, "", one.name)
		width := min(one.ratio/longest, 1) * barWidth
		fmt.Fprintf(b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", one.class, x+nameWidth, top, width, barHeight)
		value := one.value
		if one.ratio > longest {
			value = "› " + value
		}
		label(b, x+nameWidth+barWidth+6, top+barHeight-1, "small", value)
	}
	one := float64(x+nameWidth) + barWidth/longest
	fmt.Fprintf(b, "<line class=\"one\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", one, y-3, one, y+len(g.bars)*barPitch-3)
}

// label writes a text at a place.
func label(b *strings.Builder, x, y int, class, text string) {
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\"", x, y)
	if class != "" {
		fmt.Fprintf(b, " class=\"%s\"", class)
	}
	b.WriteByte('>')
	xml.EscapeText(b, []byte(text))
	b.WriteString("</text>\n")
}
