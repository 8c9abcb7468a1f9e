package campaign_test

import (
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/campaign"
)

const template = "HX00000000000000000000000000000001"

// spring is a campaign whose flags leave only the customer to the file.
var spring = campaign.Settings{Name: "spring", Defaults: delivery.Job{From: "whatsapp:+15550001111", ContentSID: template}}

func readAll(t testing.TB, rows campaign.Reader) []campaign.Row {
	t.Helper()
	var all []campaign.Row
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		all = append(all, row)
	}
}

func readCSV(t testing.TB, text string) []campaign.Row {
	t.Helper()
	rows, err := campaign.NewCSV(strings.NewReader(text), spring)
	require.NoError(t, err)
	return readAll(t, rows)
}

// TestOneFileInEveryForm reads the same two customers however they were saved.
func TestOneFileInEveryForm(t *testing.T) {
	t.Parallel()
	plain := readCSV(t, "to,var.1,var.2\n+15552220001,Ana,\"a, b; c\"\nwhatsapp:+15552220002,Ben,\n")
	require.Len(t, plain, 2)
	for _, row := range plain {
		require.Nil(t, row.Fault)
		require.Regexp(t, `^spring:[0-9a-f]{32}$`, row.Job.ID)
	}
	require.Equal(t, "whatsapp:+15552220001", plain[0].Job.To)
	require.Equal(t, delivery.Variables{"1": "Ana", "2": "a, b; c"}, plain[0].Job.ContentVariables)
	require.Equal(t, delivery.Variables{"1": "Ben"}, plain[1].Job.ContentVariables)
	require.Equal(t, []int{2, 3}, []int{plain[0].Line, plain[1].Line})

	for name, text := range map[string]string{
		"byte order mark":  "\ufeffto,var.1,var.2\n+15552220001,Ana,\"a, b; c\"\nwhatsapp:+15552220002,Ben,\n",
		"semicolon":        "to;var.1;var.2\n+15552220001;Ana;\"a, b; c\"\nwhatsapp:+15552220002;Ben;\n",
		"tab":              "to\tvar.1\tvar.2\n+15552220001\tAna\ta, b; c\nwhatsapp:+15552220002\tBen\t\n",
		"other line ends":  "to,var.1,var.2\r\n+15552220001,Ana,\"a, b; c\"\r\nwhatsapp:+15552220002,Ben,\r\n",
		"no last line end": "to,var.1,var.2\n+15552220001,Ana,\"a, b; c\"\nwhatsapp:+15552220002,Ben,",
		"capitals, spaces": "To , var.1,var.2\n +15552220001 ,Ana,\"a, b; c\"\nwhatsapp:+15552220002,Ben,\n",
		"other order":      "var.2,var.1,to\n\"a, b; c\",Ana,+15552220001\n,Ben,whatsapp:+15552220002\n",
		"nameless column":  "to,var.1,var.2,\n+15552220001,Ana,\"a, b; c\",\nwhatsapp:+15552220002,Ben,,\n",
		"rows of nothing":  "to,var.1,var.2\n+15552220001,Ana,\"a, b; c\"\nwhatsapp:+15552220002,Ben,\n,,\n\n",
	} {
		same := readCSV(t, text)
		require.Len(t, same, len(plain), name)
		for i := range plain {
			require.Equal(t, plain[i].Job, same[i].Job, name)
		}
	}
}

func TestEveryColumn(t *testing.T) {
	t.Parallel()
	row := readCSV(t, "id,messaging_service_sid,to,content_variables,body,media_url,category,priority,send_at,expires_at,on_unknown,metadata.order\n"+
		`17,MG00000000000000000000000000000001,whatsapp:DE.abc,"{""1"":""x""}",Hi,https://a.example/1 https://a.example/2,marketing,high,2030-01-01T00:00:00Z,2030-01-02T00:00:00Z,hold,o-17`)[0]
	require.Nil(t, row.Fault)
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, delivery.Job{
		ID: "spring:17", MessagingServiceSID: "MG00000000000000000000000000000001", To: "whatsapp:DE.abc",
		ContentSID: template, ContentVariables: delivery.Variables{"1": "x"},
		Body: "Hi", MediaURL: []string{"https://a.example/1", "https://a.example/2"},
		Category: "marketing", Priority: "high", SendAt: at, ExpiresAt: at.AddDate(0, 0, 1), OnUnknown: "hold",
		Metadata: map[string]string{"order": "o-17"},
	}, row.Job)
}

func TestFlagsFillGaps(t *testing.T) {
	t.Parallel()
	s := campaign.Settings{Name: "spring", Defaults: delivery.Job{
		From: "whatsapp:+15550001111", ContentSID: template, Category: "marketing",
		ContentVariables: delivery.Variables{"1": "friend", "2": "soon"},
	}}
	rows, err := campaign.NewCSV(strings.NewReader("to,from,category,var.1\n+15552220001,,,\n+15552220002,+15550002222,utility,Ben\n"), s)
	require.NoError(t, err)
	all := readAll(t, rows)
	require.Equal(t, "whatsapp:+15550001111", all[0].Job.From)
	require.Equal(t, delivery.Marketing, all[0].Job.Category)
	require.Equal(t, delivery.Variables{"1": "friend", "2": "soon"}, all[0].Job.ContentVariables)
	require.Equal(t, "whatsapp:+15550002222", all[1].Job.From)
	require.Equal(t, delivery.Utility, all[1].Job.Category)
	require.Equal(t, delivery.Variables{"1": "Ben", "2": "soon"}, all[1].Job.ContentVariables)
	require.Nil(t, all[0].Fault)
	require.Nil(t, all[1].Fault)
	// The flags are no part of the id: with others, a second run conflicts.
	require.Equal(t, readCSV(t, "to\n+15552220001\n")[0].Job.ID, all[0].Job.ID)
}

func TestBadRowsNameLineAndField(t *testing.T) {
	t.Parallel()
	rows := readCSV(t, "id,to,var.1,send_at,media_url\n"+
		"1,+15552220001,Ana,,\n"+ // 2
		"2,,Ana,,\n"+ // 3: no customer
		"3,015552220001,Ana,,\n"+ // 4: no address
		"\"4\",+15552220004,\"two\nlines\",,\n"+ // 5 and 6
		"5,+15552220005,Ana,tomorrow,\n"+ // 7: no time
		"6,+15552220006,Ana\n"+ // 8: too short
		"7,+15552220007,a \"b\" c,,\n"+ // 9: bare quotes
		"8,+15552220008,\xff,,\n"+ // 10: no UTF-8
		"a b,+15552220009,Ana,,\n"+ // 11: no id
		"9,+15552220010,Ana,,ftp://x\n"+ // 12: no media
		"10,+15552220011,Ana,,\n") // 13
	type told struct {
		line  int
		field string
	}
	var bad []told
	good := 0
	for _, row := range rows {
		if row.Fault == nil {
			good++
			continue
		}
		require.NotEmpty(t, row.Fault.Message)
		bad = append(bad, told{row.Line, row.Fault.Field})
	}
	require.Equal(t, 3, good)
	require.Equal(t, []told{{3, "to"}, {4, "to"}, {7, "send_at"}, {8, ""}, {9, ""}, {10, "var.1"}, {11, "id"}, {12, "media_url"}}, bad)
	require.Equal(t, 13, rows[len(rows)-1].Line)
}

func TestBadHeaders(t *testing.T) {
	t.Parallel()
	for text, names := range map[string]string{
		"":                           "empty",
		"to,name\n":                  `"name"`,
		"to,to\n":                    `"to"`,
		"to,var.1,var.1\n":           `"var.1"`,
		"to,content_variables,var.1": "content_variables",
		"to,metadata,metadata.a":     "metadata",
		"to,var.":                    `"var."`,
		"\xff\xfet\x00o\x00":         "UTF-8",
		"\"to":                       "quotes",
	} {
		_, err := campaign.NewCSV(strings.NewReader(text), spring)
		require.ErrorContains(t, err, names, "%q", text)
	}
}

// TestAnOpenQuoteEndsTheFile without taking all of it into memory.
func TestAnOpenQuoteEndsTheFile(t *testing.T) {
	t.Parallel()
	text := io.MultiReader(strings.NewReader("to,var.1\n+15552220001,Ana\n+15552220002,\"Ben\n"), endless{})
	rows, err := campaign.NewCSV(text, spring)
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	all := readAll(t, rows)
	runtime.ReadMemStats(&after)
	require.Len(t, all, 2)
	require.Nil(t, all[0].Fault)
	require.Equal(t, 3, all[1].Line)
	require.Contains(t, all[1].Fault.Message, "quote")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), "the text has no end")
}

// endless is a text without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "+15552220003,Cleo\n"[i%18]
	}
	return len(p), nil
}

func TestNDJSON(t *testing.T) {
	t.Parallel()
	text := `{"id":"1","to":"+15552220001"}` + "\n\n" +
		`{"to":"+15552220002","name":"x"}` + "\n" +
		`{"to":"+15552220003"` + "\n" +
		`{"to":"+15552220004","body":"` + strings.Repeat("x", 2<<20) + `"}` + "\n" +
		`{"to":"+15552220005"}`
	rows := readAll(t, campaign.NewNDJSON(strings.NewReader(text), spring))
	require.Len(t, rows, 5)
	require.Equal(t, "spring:1", rows[0].Job.ID)
	require.Nil(t, rows[0].Fault)
	require.Equal(t, "name", rows[1].Fault.Field)
	for i, line := range []int{1, 3, 4, 5, 6} {
		require.Equal(t, line, rows[i].Line)
		require.Equal(t, i != 0 && i != 4, rows[i].Fault != nil, line)
	}

	// Without a campaign an id is a job's own, and required.
	own := campaign.Settings{Defaults: spring.Defaults}
	rows = readAll(t, campaign.NewNDJSON(strings.NewReader(text), own))
	require.Equal(t, "1", rows[0].Job.ID)
	require.Equal(t, "id", rows[4].Fault.Field)
}

func TestCampaignNames(t *testing.T) {
	t.Parallel()
	for name, right := range map[string]bool{
		"": true, "spring-2026": true, strings.Repeat("x", 95): true,
		strings.Repeat("x", 96): false, "spring 2026": false, "-spring": false, "a..b": false,
	} {
		require.Equal(t, right, campaign.Settings{Name: name}.Check() == nil, name)
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"to,var.1\n+15552220001,Ana\n", "\ufeffto;id\n+15552220001;1\n;\n", "to\tmetadata\n+15552220001\t{\"a\":\"b\"}\n",
		"to\n\"+1555", "to,\n\"a\"\"b\",x\n\r\n", "id,content_variables\n1,{\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := campaign.NewCSV(strings.NewReader(string(data)), spring)
		if err != nil {
			return
		}
		requireSound(t, rows, strings.Count(string(data), "\n")+1)
	})
}

func FuzzNDJSON(f *testing.F) {
	for _, seed := range []string{`{"to":"+15552220001"}`, "{}\n\n[]\nnull", `{"id":"1","to":"whatsapp:DE.x","content_variables":"{}"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		requireSound(t, campaign.NewNDJSON(strings.NewReader(string(data)), spring), strings.Count(string(data), "\n")+1)
	})
}

// requireSound reads to the end: a row is a valid job of the campaign or names
// its fault, lines rise, and there are no more of them than the file has.
func requireSound(t *testing.T, rows campaign.Reader, most int) {
	last := 0
	for _, row := range readAll(t, rows) {
		require.Greater(t, row.Line, last)
		require.LessOrEqual(t, row.Line, most)
		last = row.Line
		if row.Fault != nil {
			require.NotEmpty(t, row.Fault.Message)
			continue
		}
		require.NoError(t, row.Job.WithDefaults("").Validate())
		require.True(t, strings.HasPrefix(row.Job.ID, "spring:"), row.Job.ID)
	}
}
