package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrong is a call that must be refused: exit status, and what the one line on
// stderr names.
type wrong struct {
	args  string // separated by blanks
	code  int
	names string
}

// wrongs has calls of every command with bad input; "" is sluice itself. What
// the senders' commands refuse besides is in TestBadSendersCommands.
var wrongs = map[string][]wrong{
	"":           {{"fly", 2, `"fly"`}},
	"demo":       {{"--jobs 0", 2, "--jobs"}, {"--jobs many", 2, `--jobs: "many" is not a whole number`}, {"now", 2, `"now"`}},
	"up":         {{"--window soon", 2, "--window"}, {"--default-mps 0", 1, "SLUICE_DEFAULT_MPS"}, {"--nats-url nats://127.0.0.1:1", 1, "SLUICE_REDIS_URL"}, {"now", 2, `"now"`}},
	"dispatcher": {{"", 1, "SLUICE_NATS_URL"}, {"--concurrency -1", 1, "SLUICE_CONCURRENCY"}},
	"callbacks":  {{"", 1, "SLUICE_NATS_URL"}, {"--ack-wait 1s", 1, "SLUICE_ACK_WAIT"}},
	"api":        {{"", 1, "SLUICE_NATS_URL"}, {"--window soon", 2, "--window"}},
	"tracker":    {{"", 1, "SLUICE_NATS_URL"}, {"--retention -1h", 1, "SLUICE_RETENTION"}},
	"sandbox":    {{"--mps fast", 2, `--mps: "fast" is not a number`}, {"--window soon", 2, "--window"}, {"--sandbox-addr nowhere", 1, "SLUICE_SANDBOX_ADDR"}},
	"send": {
		{"--csv /nowhere --campaign spring", 1, "/nowhere"},
		{"--from @alpha --to me --body Hi", 1, "to"},
		{"--from @alpha --to @new --body Hi --priority urgent", 1, "priority"},
		{"--from @alpha --to @new --content-sid HX1", 1, "content_sid"},
		{"--from @alpha --to @new --body Hi --send-at tomorrow", 2, "--send-at"},
		{"letters.csv", 2, "letters.csv"},
	},
	"plan":             {{"", 2, "--from"}, {"--from me --to @new", 1, "from"}, {"--from @alpha --to me", 1, "to"}},
	"jobs":             {{"fly", 2, `"fly"`}},
	"jobs get":         {{"", 2, "arg"}, {"nobody", 1, "no job"}},
	"jobs list":        {{"--status lost", 1, "status"}, {"--limit 0", 1, "limit"}, {"--limit many", 2, "--limit"}, {"--since yesterday", 1, "since"}},
	"jobs cancel":      {{"", 2, "arg"}, {"nobody", 1, "no job"}},
	"jobs redrive":     {{"", 2, "--status"}, {"--status sent", 1, "status"}, {"--code x", 1, "code"}, {"--since yesterday", 1, "since"}},
	"limits":           {{"a b", 2, "arg"}, {"nowhere", 1, "pool"}},
	"senders":          {{"fly", 2, `"fly"`}},
	"senders list":     {{"me", 2, `"me"`}},
	"senders get":      {{"", 2, "arg"}, {"me", 1, "sender"}},
	"senders set":      {{"@alpha", 2, "nothing to set"}, {"@alpha --limit many", 1, "limit"}, {"@alpha --mps 0", 1, "mps"}, {"me --mps 1", 1, "sender"}},
	"senders pause":    {{"", 2, "arg"}, {"me", 1, "sender"}},
	"senders resume":   {{"", 2, "arg"}, {"me", 1, "sender"}},
	"senders register": {{"", 2, "--file"}, {"--file /nowhere", 1, "/nowhere"}},
	"senders verify":   {{"", 2, "arg"}, {"me 123456", 2, "SENDER"}, {"@alpha", 2, "CODE"}},
	"pools":            {{"fly", 2, `"fly"`}},
	"pools list":       {{"me", 2, `"me"`}},
	"pools get":        {{"", 2, "arg"}, {"nowhere", 1, "nowhere"}},
	"pools set":        {{"shop", 2, "nothing to set"}, {"shop --limit -5", 1, "limit"}, {"shop --reserve 2", 1, "reserve"}, {"a/b --limit 1", 1, "pool"}},
	"consents":         {{"fly", 2, `"fly"`}},
	"consents get":     {{"", 2, "arg"}, {"me", 1, "address"}},
	"consents set": {
		{"@new", 2, "nothing to set"}, {"@new --state maybe", 1, "state"}, {"me --state out", 1, "address"},
		{"@new --state out --from you", 1, "from"},
	},
	"pause":      {{"", 2, "--all"}, {"@alpha", 2, ""}},
	"resume":     {{"", 2, "--all"}, {"@alpha", 2, ""}},
	"doctor":     {{"now", 2, `"now"`}},
	"config":     {{"window", 2, `"window"`}, {"--config /nowhere", 1, "/nowhere"}},
	"bench":      {{"--jobs many", 2, "--jobs"}, {"--fsync never", 2, "--fsync"}},
	"rebuild":    {{"now", 2, `"now"`}, {"", 1, "SLUICE_NATS_URL"}},
	"completion": {{"tcsh", 2, `"tcsh"`}},
	"version":    {{"please", 2, `"please"`}},

	"completion bash": {{"x", 2, `"x"`}}, "completion zsh": {{"x", 2, `"x"`}},
	"completion fish": {{"x", 2, `"x"`}}, "completion powershell": {{"x", 2, `"x"`}},
}

// TestEveryCommandRefusesBadInput in one line that names it, and nothing is
// changed by it. The commands are those that have a manual page: a new one is
// missed here until it has a row.
func TestEveryCommandRefusesBadInput(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_SENDERS_SYNC", "1h"))
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 7}, nil)
	h.api.must(http.MethodPut, "/v1/pools/shop", fields{"limit": 9}, nil)
	shell := env{"SLUICE_SENDERS_URL": h.Sandbox, "SLUICE_API_URL": h.API}
	words := strings.NewReplacer("@alpha", "+"+alpha, "@new", strings.TrimPrefix(customer(1), "whatsapp:"))
	state := func() (all string) {
		for _, path := range []string{
			"/v1/senders", "/v1/pools", "/v1/jobs", "/v1/stats", "/v1/backlog", "/v1/consents/" + customer(1),
		} {
			all += string(h.api.do(http.MethodGet, path, nil).body)
		}
		return all + string(h.provider.do(http.MethodGet, "/sandbox/senders", nil).body)
	}
	before := state()
	for _, command := range commandsOf(t) {
		rows := append([]wrong{{"--no-such-flag", 2, "--no-such-flag"}}, wrongs[command]...)
		require.Greater(t, len(rows), 1, "`sluice %s` has no row in wrongs", command)
		for _, w := range rows {
			args := strings.Fields(command + " " + w.args)
			for i, arg := range args {
				args[i] = words.Replace(arg)
				if command == "senders set" || command == "senders pause" {
					args[i] = strings.TrimPrefix(args[i], "+")
				}
			}
			t.Run(strings.Join(args, "_"), func(t *testing.T) {
				requireComplaint(t, run(t, shell, args...), w.code, w.names)
			})
		}
	}
	require.Equal(t, before, state())
}

// commandsOf are all commands, as words after sluice.
func commandsOf(t *testing.T) (commands []string) {
	t.Helper()
	folder := t.TempDir()
	require.Zero(t, run(t, env{}, "man", folder).code)
	pages, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		name := strings.TrimSuffix(strings.TrimPrefix(page.Name(), "sluice"), filepath.Ext(page.Name()))
		commands = append(commands, strings.ReplaceAll(strings.TrimPrefix(name, "-"), "-", " "))
	}
	return commands
}
