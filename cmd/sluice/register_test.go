package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tenSenders is a file of ten; the fourth and the eighth number are not the
// provider's.
func tenSenders(t *testing.T) (file string, numbers []string) {
	t.Helper()
	text := "waba_id: \"12\"\nsenders:\n"
	for i := range 10 {
		numbers = append(numbers, fmt.Sprintf("1555100%04d", i))
		if i == 3 || i == 7 {
			numbers[i] = fmt.Sprintf("491511234567%d", i)
		}
		text += fmt.Sprintf("  - sender: \"+%s\"\n    profile: {name: Corner Shop}\n", numbers[i])
	}
	file = filepath.Join(t.TempDir(), "senders.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file, numbers
}

// stage is a sender as the sandbox tells it.
type stage struct {
	Sender, Status string
	Code           string `json:"verification_code"`
}

func (p provider) stages() []stage {
	p.t.Helper()
	var all struct{ Senders []stage }
	p.must(http.MethodGet, "/sandbox/senders", nil, &all)
	return all.Senders
}

// watched polls the senders until ctx ends, and reports whether there ever were
// two on their way at a time.
func (p provider) watched(ctx context.Context, said *output) (stop func()) {
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	tick := time.NewTicker(10 * time.Millisecond)
	go func() {
		defer close(done)
		defer tick.Stop()
		for ctx.Err() == nil {
			underway := []string{}
			for _, s := range p.stages() {
				if s.Status != "ONLINE" {
					underway = append(underway, s.Sender+" "+s.Status)
				}
			}
			if len(underway) > 1 {
				fmt.Fprintln(said, underway)
			}
			<-tick.C
		}
	}()
	return func() { cancel(); <-done }
}

// code waits for the code that a number received.
func (p provider) code(number string) string {
	p.t.Helper()
	var s stage
	eventually(p.t, func() bool {
		a := p.do(http.MethodGet, "/sandbox/senders/"+number, nil)
		if a.status != http.StatusOK {
			return false
		}
		s = stage{}
		p.must(http.MethodGet, "/sandbox/senders/"+number, nil, &s)
		return s.Code != ""
	}, func() string { return fmt.Sprintf("no code for %s: %+v", number, s) })
	return s.Code
}

// TestTenSendersAreOnboarded, with an interruption and two codes, and are known
// to a running system without anybody telling it.
func TestTenSendersAreOnboarded(t *testing.T) {
	t.Parallel()
	h := followed(t)
	file, numbers := tenSenders(t)
	var twoAtOnce output
	defer h.provider.watched(t.Context(), &twoAtOnce)()

	shell := env{"SLUICE_SENDERS_URL": h.Sandbox, "SLUICE_PUBLIC_URL": "https://hooks.example.com/"}
	args := []string{"senders", "register", "--file", file, "--settle", "200ms", "--poll", "20ms"}
	first := start(t, shell, args...)
	code := h.provider.code(numbers[3])
	verified := run(t, shell, "senders", "verify", "+"+numbers[3], code)
	require.Zero(t, verified.code, verified.stderr)
	eventually(t, func() bool { return len(h.provider.stages()) >= 6 }, func() string { return first.stdout.String() })
	first.kill()

	cmd := exec.Command(binary, append(args, "--ask", "--json")...)
	cmd.Env = shell.pairs()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	var out, errs output
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Start())
	_, err = fmt.Fprintf(in, "voice\n")
	require.NoError(t, err)
	eventually(t, func() bool { return strings.Count(errs.String(), "code that") == 2 }, errs.String)
	_, err = fmt.Fprintf(in, "%s\n", h.provider.code(numbers[7]))
	require.NoError(t, err)
	require.NoError(t, cmd.Wait(), errs.String())
	require.Contains(t, errs.String(), "received by voice")
	require.Contains(t, errs.String(), "10 numbers")
	require.Contains(t, errs.String(), "display names")

	require.Len(t, h.provider.stages(), 10)
	for _, s := range h.provider.stages() {
		require.Equal(t, "ONLINE", s.Status, s.Sender)
	}
	require.Empty(t, twoAtOnce.String(), "two on their way at a time")
	for _, number := range numbers {
		k := h.api.sender(number, func(k known) bool { return k.Status == "ONLINE" })
		require.Equal(t, "active", k.State)
	}
	var told struct{ Webhook string }
	h.api.must(http.MethodGet, "/v1/senders/"+numbers[9], nil, &told)
	require.Equal(t, "https://hooks.example.com/twilio/inbound", told.Webhook)
}

// TestBadSendersCommands say in one line what is wrong, and change nothing.
func TestBadSendersCommands(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_SENDERS_SYNC", "1h"))
	shell := env{"SLUICE_SENDERS_URL": h.Sandbox, "SLUICE_API_URL": h.API}
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "senders.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	good := write("senders: [{sender: \"+15550001111\", profile: {name: Shop}}]")
	live := shell.with("TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", token)
	for name, c := range map[string]struct {
		shell env
		args  []string
		code  int
		names string
	}{
		"register: no file":        {shell, []string{"register"}, 2, "--file"},
		"register: missing file":   {shell, []string{"register", "--file", "/nowhere"}, 1, "/nowhere"},
		"register: argument":       {shell, []string{"register", "x", "--file", good}, 2, "x"},
		"register: no yaml":        {shell, []string{"register", "--file", write("senders: [")}, 1, "not readable"},
		"register: Argentina":      {shell, []string{"register", "--file", write("senders: [{sender: \"+541123456789\", profile: {name: a}}]")}, 1, "senders[0].sender"},
		"register: no name":        {shell, []string{"register", "--file", write("senders: [{sender: \"+15550001111\"}]")}, 1, "profile.name"},
		"register: account":        {shell, []string{"register", "--file", good, "--account", stranger}, 1, stranger},
		"register: wait":           {shell, []string{"register", "--file", good, "--settle", "-1s"}, 2, "--settle"},
		"register: no duration":    {shell, []string{"register", "--file", good, "--poll", "x"}, 2, "--poll"},
		"register: no public URL":  {live, []string{"register", "--file", good}, 1, "SLUICE_PUBLIC_URL"},
		"register: URL":            {shell.with("SLUICE_SENDERS_URL", "nowhere"), []string{"register", "--file", good}, 1, "SLUICE_SENDERS_URL"},
		"register: credentials":    {live.with("TWILIO_AUTH_TOKEN", "invalid", "SLUICE_PUBLIC_URL", "https://x"), []string{"register", "--file", good}, 1, "20003"},
		"register: no credentials": {live.with("TWILIO_AUTH_TOKEN", ""), []string{"register", "--file", good}, 1, "TWILIO_AUTH_TOKEN"},
		"register: half a key":     {live.with("TWILIO_API_KEY", "SK1"), []string{"register", "--file", good}, 1, "TWILIO_API_SECRET"},
		"register: nobody there":   {shell.with("SLUICE_SENDERS_URL", "http://"+fixedAddr(t)), []string{"register", "--file", good}, 1, "senders"},
		"verify: no sender":        {shell, []string{"verify"}, 2, "arg"},
		"verify: no code":          {shell, []string{"verify", "+15550001111"}, 2, "CODE"},
		"verify: bad code":         {shell, []string{"verify", "+15550001111", "abc"}, 2, "CODE"},
		"verify: bad number":       {shell, []string{"verify", "me", "123456"}, 2, "SENDER"},
		"verify: code and request": {shell, []string{"verify", "+15550001111", "123456", "--request", "sms"}, 2, "--request"},
		"verify: bad request":      {shell, []string{"verify", "+15550001111", "--request", "fax"}, 2, "--request"},
		"verify: unknown":          {shell, []string{"verify", "+15550001111", "123456"}, 1, "register it first"},
		"get: unknown":             {shell, []string{"get", "15550001111"}, 1, "registered"},
		"get: bad":                 {shell, []string{"get", "me"}, 1, "sender"},
		"set: nothing":             {shell, []string{"set", "15550001111"}, 2, "nothing to set"},
		"set: limit":               {shell, []string{"set", "15550001111", "--limit", "many"}, 1, "limit"},
		"set: negative limit":      {shell, []string{"set", "15550001111", "--limit", "-5"}, 1, "limit"},
		"set: mps":                 {shell, []string{"set", "15550001111", "--mps", "0"}, 1, "mps"},
		"set: mps no number":       {shell, []string{"set", "15550001111", "--mps", "fast"}, 2, "--mps"},
		"set: pool":                {shell, []string{"set", "15550001111", "--pool", "a b"}, 1, "pool"},
		"set: account":             {shell, []string{"set", "15550001111", "--account", "a/b"}, 1, "account"},
		"set: bad sender":          {shell, []string{"set", "MG1", "--limit", "1"}, 1, "sender"},
		"pause: bad sender":        {shell, []string{"pause", "me"}, 1, "sender"},
		"resume: no sender":        {shell, []string{"resume"}, 2, "arg"},
		"unknown flag":             {shell, []string{"list", "--all"}, 2, "--all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireComplaint(t, run(t, c.shell, append([]string{"senders"}, c.args...)...), c.code, c.names)
			require.Empty(t, h.provider.stages(), "nothing was registered")
		})
	}
}

// TestMessagingServices have the states and settings of senders.
func TestMessagingServices(t *testing.T) {
	t.Parallel()
	const service = "MG00000000000000000000000000000001"
	h := startHouse(t, quick(t).with("SLUICE_SENDERS_SYNC", "200ms"))
	shell := env{"SLUICE_API_URL": h.API}
	require.Zero(t, run(t, shell, "senders", "set", service, "--limit", "2", "--pool", "brand", "--mps", "50").code)
	require.Zero(t, run(t, shell, "pools", "set", "brand", "--limit", "1").code)
	require.Zero(t, run(t, shell, "senders", "pause", service).code)
	job := func(id string, n int) fields {
		return fields{"id": id, "messaging_service_sid": service, "to": customer(n), "content_sid": template}
	}
	require.Equal(t, http.StatusAccepted, h.api.post(job("order-1", 1)).status)
	require.Equal(t, http.StatusAccepted, h.api.post(job("order-2", 2)).status)
	h.api.await("order-1", "parked")
	require.Zero(t, run(t, shell, "senders", "resume", service).code)
	one := h.api.sender(service, func(k known) bool { return k.State == "active" })
	require.Equal(t, []any{2.0, "hand"}, []any{one.Limit, one.LimitFrom})
	eventually(t, func() bool { return h.api.count("parked") == 1 && h.provider.accepted() == 1 },
		func() string { return "the pool's one customer goes, the other waits" })
	shown := run(t, shell, "pools", "get", "brand")
	require.Contains(t, shown.stdout, service)
	require.Zero(t, run(t, shell, "pools", "set", "brand", "--limit", "2").code)
	h.api.awaitEnd([]string{"order-1", "order-2"})
	h.provider.requireOnce([]string{"order-1", "order-2"})
}
