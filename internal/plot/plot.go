// Package plot draws counts over time as stacked bars: numbers in, SVG out.
//
// The drawing holds no text but its titles, so that it can be stretched to any
// width; scale and legend are for the page around it. Colours are the page's
// too: a rectangle has the class of its series and nothing else.
package plot

import (
	"fmt"
	"html"
	"strings"
)

// Series is one band of the stack. Values are counts, one for each column;
// missing ones are 0.
type Series struct {
	Name  string
	Class string
	Count []int64
}

// Total is how much the series counts.
func (s Series) Total() (total int64) {
	for _, n := range s.Count {
		total += n
	}
	return total
}

// Bars is a row of stacked bars. Series stand on each other in their order;
// Labels say what each column is, as in "14:05".
type Bars struct {
	Series []Series
	Labels []string
}

// The measures of the drawing, in its own units: it is stretched.
const (
	columnWidth = 10
	gap         = 2
	height      = 100
	least       = 1.5 // height of a count that is not 0, so that one failure among thousands is seen
)

// Top is the upper end of the scale: an even, round number that no column
// exceeds.
func (b Bars) Top() int64 {
	var most int64
	for i := range b.Labels {
		most = max(most, b.sum(i))
	}
	for scale := int64(1); ; scale *= 10 {
		for _, step := range []int64{2, 4, 6, 8, 10, 12, 16} {
			if top := step * scale; top >= most {
				return top
			}
		}
	}
}

// Empty reports whether there is nothing to draw.
func (b Bars) Empty() bool {
	for _, s := range b.Series {
		if s.Total() != 0 {
			return false
		}
	}
	return true
}

// SVG is the drawing; title is what it is read out as.
func (b Bars) SVG(title string) string {
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="bars" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`,
		max(1, len(b.Labels))*columnWidth, height, html.EscapeString(title))
	top := float64(b.Top())
	for i := range b.Labels {
		b.column(&out, i, top)
	}
	out.WriteString("</svg>")
	return out.String()
}

func (b Bars) column(out *strings.Builder, i int, top float64) {
	fmt.Fprintf(out, "<g><title>%s</title>", html.EscapeString(b.told(i)))
	// The whole height answers to the pointer, not only the bar.
	fmt.Fprintf(out, `<rect class="hit" x="%d" y="0" width="%d" height="%d"/>`, i*columnWidth, columnWidth, height)
	floor := float64(height)
	for _, s := range b.Series {
		n := s.at(i)
		if n <= 0 {
			continue
		}
		tall := min(max(float64(n)/top*height, least), floor)
		floor -= tall
		fmt.Fprintf(out, `<rect class="%s" x="%d" y="%.2f" width="%d" height="%.2f"/>`,
			html.EscapeString(s.Class), i*columnWidth+gap/2, floor, columnWidth-gap, tall)
	}
	out.WriteString("</g>")
}

// told is a column in words.
func (b Bars) told(i int) string {
	parts := []string{}
	for _, s := range b.Series {
		if n := s.at(i); n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", s.Name, n))
		}
	}
	if len(parts) == 0 {
		parts = []string{"none"}
	}
	return b.Labels[i] + ": " + strings.Join(parts, ", ")
}

func (b Bars) sum(i int) (sum int64) {
	for _, s := range b.Series {
		sum += s.at(i)
	}
	return sum
}

func (s Series) at(i int) int64 {
	if i < len(s.Count) {
		return s.Count[i]
	}
	return 0
}
