package messaging_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

// expected repeats the catalogue by class: a change of class is a change of
// what happens to customers' messages, and should be made twice.
var expected = map[messaging.Class][]int{
	messaging.Permanent: {
		20001, 20404, 21211, 21408, 21602, 21604, 21608, 21609, 21612, 21614, 21617, 21618, 21619, 21620, 21623, 21624,
		21654, 21656, 21658, 21910, 30004, 30005, 30006, 30007, 30010, 35114, 35115, 35117, 63003, 63005, 63006, 63013,
		63015, 63021, 63024, 63028, 63030, 63031, 63032, 63034, 63035, 63036, 63124, 92007,
	},
	messaging.Retry:         {20409, 63009, 63010, 63011, 63012, 63017, 63019, 63023, 63025, 63029, 63111},
	messaging.Later:         {14107, 21611, 21730, 30001, 30003, 30008, 30036, 63037, 63046, 63049},
	messaging.Throttled:     {20429},
	messaging.Limit:         {63018, 63038},
	messaging.SenderBroken:  {21212, 21603, 21606, 21701, 21702, 21703, 21704, 21705, 63001, 63002, 63007, 63008, 63020, 63022, 63026, 63051, 63101, 63112},
	messaging.AccountBroken: {10001, 20003, 20005, 20008, 20010, 20403, 30002},
	messaging.Window:        {63016},
	messaging.OptedOut:      {21610, 63014, 63033},
	messaging.Template:      {21655, 63027, 63040, 63041, 63042, 63043, 63044, 63045, 63047, 63052, 63062},
	messaging.Unknown:       {20500, 20503, 30410, 90009},
}

func TestCatalogueClasses(t *testing.T) {
	t.Parallel()
	catalogue := messaging.DefaultCatalogue()
	for class, codes := range expected {
		for _, code := range codes {
			entry := catalogue.Lookup(code)
			require.Equal(t, class, entry.Class, code)
			require.Equal(t, code, entry.Code)
			require.NotEqual(t, "unknown code", entry.Meaning, code)
			require.NotEmpty(t, entry.Meaning, code)
			require.NotEmpty(t, entry.Action, code)
		}
	}
	require.Equal(t, 24*time.Hour, catalogue.Lookup(63049).Wait)
	require.Zero(t, catalogue.Lookup(21211).Wait)
}

func TestCatalogueTakesUnknownCodesAsLater(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, -1, 1, 63999} {
		entry := messaging.DefaultCatalogue().Lookup(code)
		require.Equal(t, messaging.Later, entry.Class)
		require.Equal(t, "unknown code", entry.Meaning)
		require.Equal(t, code, entry.Code)
	}
}

func TestCatalogueOverrides(t *testing.T) {
	t.Parallel()
	base := messaging.DefaultCatalogue()
	changed := base.With(
		messaging.Entry{Code: 63024, Class: messaging.Later},
		messaging.Entry{Code: 70000, Class: messaging.Window},
		messaging.Entry{Code: 70001, Class: "no such class"},
	)
	require.Equal(t, messaging.Later, changed.Lookup(63024).Class)
	require.Equal(t, messaging.Window, changed.Lookup(70000).Class)
	require.Equal(t, messaging.Later, changed.Lookup(70001).Class)
	require.Equal(t, messaging.Limit, changed.Lookup(63018).Class)
	require.Equal(t, messaging.Permanent, base.Lookup(63024).Class, "the original must not change")
}

func TestReadEntries(t *testing.T) {
	t.Parallel()
	const header = "code,class,wait,meaning,action\n"
	entries, err := messaging.ReadEntries(strings.NewReader(header + "1,later,90s,m,\"a, b\"\n"))
	require.NoError(t, err)
	require.Equal(t, []messaging.Entry{{Code: 1, Class: messaging.Later, Wait: 90 * time.Second, Meaning: "m", Action: "a, b"}}, entries)

	for text, want := range map[string]string{
		"":                                      "header",
		"code,class\n":                          "must start with",
		header + "x,later,,m,a\n":               "line 2",
		header + "1,later,,m,a\n2,soon,,m,a\n":  `line 3: "soon" is not a class`,
		header + "1,later,tomorrow,m,a\n":       "not a duration",
		header + "1,later,-1s,m,a\n":            "not a duration",
		header + "1,later,,m\n":                 "number of fields",
		header + "1,later,,m,a\n1,retry,,m,a\n": "there twice",
	} {
		_, err := messaging.ReadEntries(strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzReadEntries(f *testing.F) {
	f.Add("code,class,wait,meaning,action\n1,later,1s,m,a\n")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := messaging.ReadEntries(strings.NewReader(text))
		if err != nil {
			require.Empty(t, entries)
		}
		for _, entry := range entries {
			require.Positive(t, entry.Code)
			require.Equal(t, entry, messaging.DefaultCatalogue().With(entry).Lookup(entry.Code))
		}
	})
}
