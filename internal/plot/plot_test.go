package plot_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/plot"
)

// rects are the rectangles of a drawing, by their class.
func rects(t require.TestingT, svg string) map[string]int {
	found := map[string]int{}
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := dec.Token()
		if err == io.EOF {
			return found
		}
		require.NoError(t, err, svg)
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
			found[start.Attr[0].Value]++
		}
	}
}

func TestBarsAreDrawnToScale(t *testing.T) {
	t.Parallel()
	b := plot.Bars{
		Labels: []string{"12:00", "12:05"},
		Series: []plot.Series{{Name: "read", Class: "good", Count: []int64{10, 0}}, {Name: "failed", Class: "bad", Count: []int64{5}}},
	}
	svg := b.SVG(`jobs & "more"`)
	require.Equal(t, map[string]int{"hit": 2, "good": 1, "bad": 1}, rects(t, svg))
	require.EqualValues(t, 16, b.Top())
	require.Contains(t, svg, `<rect class="good" x="1" y="37.50" width="8" height="62.50"/>`)
	require.Contains(t, svg, `<rect class="bad" x="1" y="6.25" width="8" height="31.25"/>`)
	require.Contains(t, svg, "<title>12:00: read 10, failed 5</title>")
	require.Contains(t, svg, "<title>12:05: none</title>")
	require.Contains(t, svg, `aria-label="jobs &amp; &#34;more&#34;"`)
}

func TestOneFailureAmongThousandsIsSeen(t *testing.T) {
	t.Parallel()
	b := plot.Bars{Labels: []string{"now"}, Series: []plot.Series{
		{Name: "ok", Class: "good", Count: []int64{100_000}}, {Name: "failed", Class: "bad", Count: []int64{1}},
	}}
	require.Equal(t, 1, rects(t, b.SVG("jobs"))["bad"])
	require.Contains(t, b.SVG("jobs"), `height="1.50"`)
}

func TestNothingToDrawIsDrawn(t *testing.T) {
	t.Parallel()
	for _, b := range []plot.Bars{{}, {Labels: []string{"a"}}, {Labels: []string{"a"}, Series: []plot.Series{{Count: []int64{0}}}}} {
		require.True(t, b.Empty())
		require.EqualValues(t, 2, b.Top())
		require.Len(t, rects(t, b.SVG("none")), min(1, len(b.Labels)))
	}
}

// TestEveryDrawingIsWellFormed also holds the scale: even, and never too small.
func TestEveryDrawingIsWellFormed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 6).Draw(t, "counts")
		name := rapid.String().Draw(t, "name")
		name = strings.Map(func(r rune) rune { // what XML can say at all
			if r < ' ' || r == 0xFFFD || r == 0xFFFE || r == 0xFFFF {
				return -1
			}
			return r
		}, name)
		b := plot.Bars{Labels: make([]string, len(counts)), Series: []plot.Series{{Name: name, Class: "a", Count: counts}}}
		rects(t, b.SVG(name))
		top := b.Top()
		require.Zero(t, top%2)
		for _, n := range counts {
			require.LessOrEqual(t, n, top)
		}
	})
}
