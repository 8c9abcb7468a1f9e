package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

var update = flag.Bool("update", false, "write the pages that are made from the code")

// TestPagesMadeFromCode holds docs/settings.md, docs/sluice.yaml and docs/errors.md
// to what the binary does. `go test ./cmd/sluice -run PagesMadeFromCode -update` writes them.
func TestPagesMadeFromCode(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"../../docs/settings.md": settingsPage(), "../../docs/sluice.yaml": samplePage(), "../../docs/errors.md": errorsPage(t),
	} {
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%s is not up to date: run the test with -update", path)
	}
}

func settingsPage() string {
	var page strings.Builder
	page.WriteString(`# Every setting

Flag ` + "`--nats-url`, variable `SLUICE_NATS_URL` and key `nats_url` of the file given with\n`--config`" + ` are one setting, in that order of precedence. Unknown flags and keys are
errors, unknown variables warn. Any secret may be given as the path of a file that
holds it, under its name with ` + "`_FILE`" + ` added. ` + "`sluice config`" + ` prints what holds and where
it comes from; ` + "[sluice.yaml](sluice.yaml)" + ` is a file to start from. Empty variables
and empty keys of the file are not set. As an address, ` + "`:0` is any free port of\n127.0.0.1" + `.

The commands that ask the API take ` + "`SLUICE_API_URL` (default `http://127.0.0.1:8080`) and\n`SLUICE_API_KEY`, or `SLUICE_API_KEY_FILE`" + `, from the environment.

| variable | default | meaning |
|---|---|---|
`)
	cfg := defaultConfig()
	for _, s := range cfg.settings() {
		value := cmp.Or(s.text(), "")
		if value != "" {
			value = "`" + value + "`"
		}
		meaning := strings.ReplaceAll(s.usage, "|", `\|`)
		if s.secret {
			meaning += " (secret)"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", s.env(), value, meaning)
	}
	return page.String()
}

// classes is what an error of a class means for a job, in the order of how much
// a person has to do.
var classes = []struct {
	class messaging.Class
	means string
}{
	{messaging.Throttled, "not processed; sent again after a pause, with fewer calls at once"},
	{messaging.Retry, "sent again in seconds to minutes, as a new attempt"},
	{messaging.Later, "sent again in minutes to hours, a few times; codes that are not listed are of this class"},
	{messaging.Limit, "the job waits until the limit has room"},
	{messaging.Unknown, "the message may exist: `unknown`, settled by evidence before anything is sent again"},
	{messaging.Window, "free form outside the customer service window: the template goes instead, or the job fails"},
	{messaging.Permanent, "the job fails: correct it and send it under a new id, or redrive it"},
	{messaging.Template, "the job fails, and so would any other with this template: change the template"},
	{messaging.OptedOut, "the customer's opt-out is recorded and the job is `suppressed`"},
	{messaging.SenderBroken, "the sender rests with the reason and its jobs wait; it is tried again by itself"},
	{messaging.AccountBroken, "the same for every sender of the account"},
}

func errorsPage(t *testing.T) string {
	var page strings.Builder
	page.WriteString(`# Error codes

What the provider's codes mean here, and what to do. The codes are data
(` + "`internal/messaging/errors.csv`" + `), since the provider may change them.

| class | what becomes of the job |
|---|---|
`)
	for _, c := range classes {
		fmt.Fprintf(&page, "| %s | %s |\n", c.class, c.means)
	}
	page.WriteString(`
The classes hold for a refusal in the answer to a request. The same code in a status
callback ends the job as ` + "`undelivered` or `failed`" + `, with three exceptions: 63018 (waits
again, up to five times), 63016 (goes as the template, if the job has one) and 21610 (the
opt-out is recorded too). What ended so can be redriven.
`)
	page.WriteString("\n| code | class | meaning | what to do |\n|---|---|---|---|\n")
	file, err := os.Open("../../internal/messaging/errors.csv")
	require.NoError(t, err)
	defer file.Close()
	entries, err := messaging.ReadEntries(file)
	require.NoError(t, err)
	slices.SortFunc(entries, func(a, b messaging.Entry) int { return cmp.Compare(a.Code, b.Code) })
	for _, e := range entries {
		fmt.Fprintf(&page, "| %d | %s | %s | %s |\n", e.Code, e.Class, e.Meaning, e.Action)
	}
	return page.String()
}
