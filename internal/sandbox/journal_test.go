package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

// open opens a journal and closes it when the test ends.
func open(t *testing.T, cfg sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	box, err := sandbox.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, box.Close()) })
	return box
}

func journal(t *testing.T) string {
	return filepath.Join(t.TempDir(), "sandbox.ndjson")
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(data)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

// killed copies a journal as it stands: what a process that dies now leaves.
// Of each pair of texts the first is replaced by the second.
func killed(t *testing.T, file string, changes ...string) string {
	t.Helper()
	left := journal(t)
	write(t, left, strings.NewReplacer(changes...).Replace(read(t, file)))
	return left
}

func TestCallbacksArriveAfterTheRestart(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	callback := e.url + "/status/job-1/1"
	cfg := sandbox.Config{File: journal(t), ReadShare: 1}
	box := open(t, cfg)
	create(t, box.Handler(), form("StatusCallback="+callback+"#rc=5&rp=all").Encode())
	before := box.Ledger()

	cfg.File = killed(t, cfg.File)
	box = open(t, cfg)
	require.Equal(t, before, box.Ledger())
	r := run(t, box)
	var came []string
	for range 3 {
		h := e.next(t)
		came = append(came, h.form.Get("MessageStatus"))
		require.Equal(t, before[0].SID, h.form.Get("MessageSid"))
		require.Equal(t, sandbox.Sign(token, callback, h.form), h.header.Get("X-Twilio-Signature"))
	}
	require.ElementsMatch(t, []string{"sent", "delivered", "read"}, came)
	r.entry(before[0].SID, "read")
}

func TestCallbacksThatArrivedAreNotRepeated(t *testing.T) {
	t.Parallel()
	dead := make(chan struct{})
	var calls atomic.Int32
	e := listen(t, func(w http.ResponseWriter, _ url.Values) {
		if calls.Add(1) > 1 {
			<-dead // still under way when the process dies
		}
		w.WriteHeader(http.StatusNoContent)
	})
	cfg := sandbox.Config{File: journal(t), ReadShare: 1}
	r := run(t, open(t, cfg))
	t.Cleanup(func() { close(dead) })
	r.sent("StatusCallback=" + e.url)
	all := e.statuses(t, 3)
	require.Eventually(t, func() bool {
		return strings.Contains(read(t, cfg.File), `"told"`)
	}, patience, time.Millisecond)

	again := listen(t, nil)
	cfg.File = killed(t, cfg.File, e.url, again.url)
	box := open(t, cfg)
	require.Equal(t, "read", box.Ledger()[0].Status, "before anything is sent again")
	r = run(t, box)
	rest := again.statuses(t, 2)
	require.Subset(t, all, rest)
	require.NotEqual(t, rest[0], rest[1])
	next := r.sent("StatusCallback=" + again.url)
	require.Equal(t, next, again.next(t).form.Get("MessageSid"), "nothing else came")
}

func TestInboundArrivesAfterTheRestart(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	cfg := sandbox.Config{File: journal(t), InboundURL: e.url, InboundAccount: "AC7", InboundToken: "bytes\xff"}
	sid, err := open(t, cfg).Receive(sandbox.Inbound{From: to, To: from, Body: "hi"})
	require.NoError(t, err)

	cfg.File, cfg.InboundToken = killed(t, cfg.File), "another"
	r := run(t, open(t, cfg))
	h := e.next(t)
	require.Equal(t, sid, h.form.Get("MessageSid"))
	require.Equal(t, sandbox.Sign("bytes\xff", e.url, h.form), h.header.Get("X-Twilio-Signature"))
	r.sent("ContentSid=", "Body=free form")
	require.True(t, r.box.Ledger()[0].InWindow)
}

func TestJournalIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	file := journal(t)
	for _, when := range []string{"made", "found"} {
		box := open(t, sandbox.Config{File: file})
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), when)
		require.NoError(t, box.PutPool("p", 1))
		require.NoError(t, os.Chmod(file, 0o644))
	}
	_, err := sandbox.Open(sandbox.Config{File: filepath.Join(file, "x")})
	require.ErrorContains(t, err, file)
}

func TestTornLineIsCutOff(t *testing.T) {
	t.Parallel()
	cfg := sandbox.Config{File: journal(t)}
	box := open(t, cfg)
	create(t, box.Handler(), form().Encode())
	want := box.Ledger()
	whole := read(t, cfg.File)

	torn := whole[:len(whole)-1] // even where nothing but the newline is missing
	write(t, cfg.File, whole+torn)
	box = open(t, cfg)
	require.Equal(t, want, box.Ledger())
	create(t, box.Handler(), form().Encode())
	require.Len(t, open(t, cfg).Ledger(), 2, "the next line begins where the torn one did")
}

func TestTimeDoesNotGoBack(t *testing.T) {
	t.Parallel()
	now := newClock()
	cfg := sandbox.Config{File: journal(t), Now: now.Now}
	create(t, open(t, cfg).Handler(), form().Encode())
	now.Add(-time.Hour) // the windows rely on the order of what they hold
	box := open(t, cfg)
	create(t, box.Handler(), form().Encode())
	require.Equal(t, box.Ledger()[0].AcceptedAt, box.Ledger()[1].AcceptedAt)
}

func TestUnreadableLineIsNamed(t *testing.T) {
	t.Parallel()
	const good = `{"pool":{"pool":"p","limit":1}}` + "\n"
	message := `{"accepted":{"sid":"SM1","at":"2026-03-01T12:00:00Z","from":"` + from + `","plan":[{"step":0}]}}`
	for _, bad := range []string{
		"", "null", "{}", "nonsense", "\x00\x00", good[:9], `{"pool":{"pool":"p","limit":1}} {}`,
		`{"pools":{"pool":"p","limit":1}}`, `{"pool":{"pool":"p","limit":-1}}`, `{"pool":{"pool":"-","limit":1}}`,
		`{"sender":{"sender":"x","patch":{}}}`, `{"received":{"from":"x"}}`,
		strings.Replace(message, "SM1", "", 1), strings.Replace(message, "2026", "", 1),
		strings.Replace(message, "2026-03-01T12", "0001-01-01T00", 1),
		strings.Replace(message, from, "", 1), strings.Replace(message, `"step":0`, `"step":3`, 1),
		strings.Replace(message, `"step":0`, `"step":-1`, 1), message + "\n" + message,
		strings.Replace(message, `"step":0`, `"says":"STOP"`, 1), // without a To, to whom?
		strings.Replace(message, `"plan"`, `"validity":60,"plan"`, 1),
	} {
		file := journal(t)
		journal := good + bad + "\n" + good
		write(t, file, journal)
		_, err := sandbox.Open(sandbox.Config{File: file})
		require.ErrorContains(t, err, file, bad)
		line := "line 2 "
		if strings.Contains(bad, "\n") {
			line = "line 3 "
		}
		require.ErrorContains(t, err, line, bad)
		require.Equal(t, journal, read(t, file), "the file stays as it was")
	}
	file := journal(t)
	write(t, file, good+message+"\n")
	require.Len(t, open(t, sandbox.Config{File: file}).Ledger(), 1, "without the changes it can be read")
}

func TestResetEmptiesTheJournal(t *testing.T) {
	t.Parallel()
	cfg := sandbox.Config{File: journal(t), Now: newClock().Now}
	box := open(t, cfg)
	create(t, box.Handler(), form("StatusCallback=http://h/x").Encode())
	require.NoError(t, box.PutPool("p", 1))
	left, _ := sandbox.Fire(box)
	require.NotEmpty(t, left)
	require.NoError(t, box.Reset())
	require.Empty(t, read(t, cfg.File))

	for _, hook := range left { // on its way during the reset
		sandbox.Tell(box, hook)
	}
	create(t, box.Handler(), form().Encode())
	require.Equal(t, sandbox.Look(box), sandbox.Look(open(t, cfg)))
}

func TestNothingIsAcceptedThatTheJournalMisses(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Open(sandbox.Config{File: journal(t), CallbackDelay: time.Hour, Now: newClock().Now})
	require.NoError(t, err)
	r := run(t, box)
	r.sent()
	want := sandbox.Look(box)
	require.NoError(t, box.Close())

	requireProblem(t, r.send(), http.StatusInternalServerError, 20500)
	for _, call := range []struct{ method, path, body string }{
		{"PUT", "/sandbox/senders/" + sender, `{"limit":1}`},
		{"PUT", "/sandbox/pools/p", `{"limit":1}`},
		{"POST", "/sandbox/inbound", `{"from":"` + to + `","to":"` + from + `","body":"x"}`},
		{"POST", "/sandbox/reset", ``},
	} {
		got := r.control(call.method, call.path, call.body)
		require.Equal(t, http.StatusInternalServerError, got.status, call.path)
		require.Equal(t, "internal", got.body["error"].(map[string]any)["code"])
	}
	require.Equal(t, want, sandbox.Look(box))
}

func TestWithoutAFileNothingIsKept(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Open(sandbox.Config{})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	box.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/sandbox/reset", nil))
	require.Equal(t, http.StatusNoContent, w.Code)
	require.NoError(t, box.Close())
}
