package sandbox_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/sandbox"
)

// mark is what was true when the journal had a size.
type mark struct {
	size int64
	now  time.Time
	view sandbox.View
}

// mortal is a sandbox that dies now and then.
type mortal struct {
	cfg   sandbox.Config
	clock *clock
	box   *sandbox.Sandbox
	fired []sandbox.Fired // webhooks under way
	marks []mark          // since the last reset
}

func (m *mortal) size(t require.TestingT) int64 {
	info, err := os.Stat(m.cfg.File)
	require.NoError(t, err)
	return info.Size()
}

func (m *mortal) mark(t require.TestingT) {
	m.marks = append(m.marks, mark{m.size(t), m.clock.Now(), sandbox.Look(m.box, m.fired...)})
}

// crash leaves size bytes of the journal, and compares what is rebuilt from
// them with what was true when they had been written.
func (m *mortal) crash(t require.TestingT, size int64) {
	require.NoError(t, m.box.Close())
	require.NoError(t, os.Truncate(m.cfg.File, size))
	for m.marks[len(m.marks)-1].size > size {
		m.marks = m.marks[:len(m.marks)-1]
	}
	last := m.marks[len(m.marks)-1]
	m.clock.Add(last.now.Sub(m.clock.Now()))
	var err error
	m.box, err = sandbox.Open(m.cfg)
	require.NoError(t, err)
	require.Equal(t, last.view, sandbox.Look(m.box))
	require.Equal(t, last.size, m.size(t), "what was torn is gone")
	m.fired = nil
}

func (m *mortal) send(t *rapid.T) {
	body := form(
		"From="+rapid.SampledFrom([]string{from, "whatsapp:+15550002222", ""}).Draw(t, "from"),
		"To="+anyone(t), "MessagingServiceSid="+service,
		"StatusCallback="+rapid.SampledFrom([]string{"", "http://h/s?x=a%20b#rc=5&rp=all"}).Draw(t, "callback"),
	)
	if rapid.IntRange(0, 3).Draw(t, "free form") == 0 {
		body.Del("ContentSid")
		body.Set("Body", "x"+rapid.StringN(0, 20, -1).Draw(t, "body"))
	}
	if rapid.Bool().Draw(t, "with validity") {
		body.Set("ValidityPeriod", rapid.SampledFrom([]string{"60", "4096"}).Draw(t, "validity"))
	}
	if got := post(m.box.Handler(), body.Encode()); got.Code != 201 {
		require.Regexp(t, `"code":2161[01],`, got.Body.String(), "the customer opted out, or the queue is full")
	}
}

func (m *mortal) putSender(t *rapid.T) {
	patch := sandbox.SenderPatch{}
	if rapid.Bool().Draw(t, "with limit") {
		limit := sandbox.Limit(rapid.IntRange(-1, 3).Draw(t, "limit"))
		patch.Limit = &limit
	}
	if rapid.Bool().Draw(t, "with pool") {
		pool := rapid.SampledFrom([]string{"p", "q"}).Draw(t, "pool")
		patch.Pool = &pool
	}
	if rapid.Bool().Draw(t, "with rate") {
		rate := rapid.SampledFrom([]sandbox.Rate{sandbox.Unpaced, 0.00075, 3}).Draw(t, "rate")
		patch.MPS = &rate
	}
	quality := rapid.SampledFrom([]string{"LOW", "HIGH"}).Draw(t, "quality")
	patch.Quality = &quality
	id := rapid.SampledFrom([]string{sender, "15550002222", service}).Draw(t, "sender")
	_, err := m.box.PutSender(id, patch)
	require.NoError(t, err)
}

func (m *mortal) putPool(t *rapid.T) {
	name := rapid.SampledFrom([]string{"p", "q", account}).Draw(t, "pool")
	require.NoError(t, m.box.PutPool(name, sandbox.Limit(rapid.IntRange(-1, 5).Draw(t, "limit"))))
}

func (m *mortal) receive(t *rapid.T) {
	to := rapid.SampledFrom([]string{from, service}).Draw(t, "to")
	body := rapid.SampledFrom([]string{"hi", "STOP", "START"}).Draw(t, "body")
	_, err := m.box.Receive(sandbox.Inbound{From: anyone(t), To: to, Body: body})
	require.NoError(t, err)
}

func (m *mortal) customers(t *rapid.T) {
	share := func(name string) float64 { return rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(t, name) }
	require.NoError(t, m.box.SetCustomers(sandbox.Customers{
		Read: share("read"), Reply: share("reply"), Stop: share("stop"),
	}))
}

func (m *mortal) fire(*rapid.T) {
	left, _ := sandbox.Fire(m.box)
	m.fired = append(m.fired, left...)
}

func (m *mortal) tell(t *rapid.T) {
	if len(m.fired) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.fired)-1).Draw(t, "webhook")
	sandbox.Tell(m.box, m.fired[i])
	m.fired = append(m.fired[:i:i], m.fired[i+1:]...)
}

func (m *mortal) misbehave(t *rapid.T) {
	share := func(name string) float64 { return rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(t, name) }
	require.NoError(t, m.box.SetFaults(sandbox.Faults{
		CallbackLost: share("lost"), CallbackDoubled: share("doubled"), CallbackShuffled: share("shuffled"),
	}))
}

func anyone(t *rapid.T) string {
	return fmt.Sprintf("whatsapp:+4915100000%d", rapid.IntRange(0, 3).Draw(t, "customer"))
}

func TestSandboxComesBackAsItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var runs int
	rapid.Check(t, func(t *rapid.T) {
		runs++
		m := &mortal{clock: newClock()}
		m.cfg = sandbox.Config{
			File:   filepath.Join(dir, fmt.Sprint(runs)),
			Window: time.Hour, ServiceWindow: 30 * time.Minute, DefaultLimit: 1, Now: m.clock.Now,
			InboundURL: "http://h/inbound", InboundAccount: account, InboundToken: "x",
		}
		var err error
		m.box, err = sandbox.Open(m.cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, m.box.Close()) }()
		t.Repeat(map[string]func(*rapid.T){
			"send": m.send, "send more": m.send, "and more": m.send, "sender": m.putSender, "pool": m.putPool, "receive": m.receive,
			"fire": m.fire, "tell": m.tell, "faults": m.misbehave, "customers": m.customers, "fire more": m.fire,
			"pass": func(t *rapid.T) {
				m.clock.Add(time.Duration(rapid.IntRange(0, 45).Draw(t, "minutes")) * time.Minute)
			},
			"reset": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "one in ten") == 0 {
					require.NoError(t, m.box.Reset())
					m.fired, m.marks = nil, nil
				}
			},
			"crash": func(t *rapid.T) { m.crash(t, rapid.Int64Range(0, m.size(t)).Draw(t, "bytes")) },
			"":      func(t *rapid.T) { m.mark(t) },
		})
	})
}

func FuzzJournal(f *testing.F) {
	file := filepath.Join(f.TempDir(), "journal")
	box, err := sandbox.Open(sandbox.Config{File: file, MPS: 0.1, ReplyShare: 1, StopShare: 1})
	require.NoError(f, err)
	require.NoError(f, box.SetFaults(sandbox.Faults{CallbackDoubled: 1}))
	create(f, box.Handler(), form("StatusCallback=http://h/x").Encode())
	create(f, box.Handler(), form("From=", "MessagingServiceSid="+service).Encode())
	create(f, box.Handler(), form("ValidityPeriod=5").Encode())
	limit := sandbox.Unlimited
	_, err = box.PutSender(sender, sandbox.SenderPatch{Limit: &limit})
	require.NoError(f, err)
	require.NoError(f, box.PutPool("p", 1))
	_, err = box.Receive(sandbox.Inbound{From: to, To: from, Body: "hi"})
	require.NoError(f, err)
	for range 8 {
		left, _ := sandbox.Fire(box)
		for _, hook := range left {
			sandbox.Tell(box, hook)
		}
	}
	require.NoError(f, box.Close())
	seed, err := os.ReadFile(file)
	require.NoError(f, err)
	f.Add(seed)
	for line := range bytes.Lines(seed) {
		f.Add(line)
	}
	cfg := sandbox.Config{Now: newClock().Now, InboundURL: "http://h/inbound"}
	f.Fuzz(func(t *testing.T, data []byte) {
		box, kept, err := sandbox.Replay(cfg, data)
		require.EqualValues(t, bytes.LastIndexByte(data[:kept], '\n')+1, kept, "whole lines")
		if err != nil {
			require.ErrorContains(t, err, fmt.Sprintf("line %d ", bytes.Count(data[:kept], []byte("\n"))+1))
			return
		}
		require.NotContains(t, string(data[kept:]), "\n", "all of them")
		again, _, err := sandbox.Replay(cfg, data[:kept])
		require.NoError(t, err)
		require.Equal(t, sandbox.Look(box), sandbox.Look(again))
		for more := true; more; {
			_, more = sandbox.Fire(box)
		}
		box.Ledger()
	})
}
