package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/internal/redistest"
)

// stateful is the types that the model draws from.
var stateful = []delivery.EventType{
	delivery.EventAccepted, delivery.EventParked, delivery.EventReleased, delivery.EventSending, delivery.EventUnknown,
	delivery.EventQueued, delivery.EventSent, delivery.EventDelivered, delivery.EventRead, delivery.EventUndelivered,
	delivery.EventFailed, delivery.EventCanceled, delivery.EventRejected, delivery.EventDuplicate,
}

// drawEvent makes an event of one of five jobs of two senders. Its id fixes all
// but its time, and a SID belongs to one attempt of one job; some callbacks
// know only that.
func drawEvent(t *rapid.T) delivery.Event {
	job := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "job")
	attempt := rapid.IntRange(1, 2).Draw(t, "attempt")
	e := happened(job, rapid.SampledFrom(stateful).Draw(t, "type"), attempt, rapid.IntRange(0, 9).Draw(t, "second"))
	e.To = "whatsapp:+49170000000" + string('1'+job[0]-'a')
	if job > "c" {
		e.From = otherSender
	}
	switch e.Type {
	case delivery.EventFailed:
		e.Error = &delivery.Error{Code: 63016, Message: job}
	case delivery.EventParked:
		e.Error = &delivery.Error{Code: 63016 + 2*(attempt-1)} // a refused attempt plans the next one
	case delivery.EventRejected:
		e.Error = &delivery.Error{Message: "not valid"}
	case delivery.EventAccepted:
		e.Metadata = map[string]string{"job": job}
		e.Category = delivery.Utility
	case delivery.EventUndelivered:
		e.SID = fmt.Sprintf("SM%s%d", job, attempt)
		e.Error = &delivery.Error{Code: 63018}
	case delivery.EventQueued:
		e.SID = fmt.Sprintf("SM%s%d", job, attempt)
		e.Category = delivery.Categories()[attempt] // Meta changes its mind
	case delivery.EventSent, delivery.EventDelivered, delivery.EventRead:
		e.SID = fmt.Sprintf("SM%s%d", job, attempt)
		e.Job, e.Attempt = "", 0
	}
	return e
}

// folded is what the ledger must hold: the plain fold of the events, those of
// a SID among them that some job has named.
func folded(events []delivery.Event) map[string]delivery.Record {
	owners := make(map[string]delivery.Event)
	for _, e := range events {
		if e.Job != "" && e.SID != "" {
			owners[e.SID] = e
		}
	}
	records := make(map[string]delivery.Record)
	for _, e := range events {
		if owner, named := owners[e.SID]; named && e.Job == "" {
			e.Job, e.Attempt = owner.Job, owner.Attempt
		}
		if e.Job != "" {
			records[e.Job] = records[e.Job].Apply(e)
		}
	}
	for id, r := range records {
		if r.Status == "" {
			delete(records, id)
		}
	}
	return records
}

func TestModel(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		weather := &storm{}
		rdb.AddHook(weather)
		rapid.Check(t, func(rt *rapid.T) {
			weather.set(nil)
			require.NoError(rt, redistest.Flush(t.Context(), rdb))
			l, c := newLedger(rdb)
			events := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 60).Draw(rt, "events")
			batches := make([][][]delivery.Event, 4) // per applier
			for i := range batches {
				told := rapid.Permutation(events).Draw(rt, "order")
				batches[i] = slices.Collect(slices.Chunk(told, rapid.IntRange(1, 30).Draw(rt, "batch")))
			}
			weather.set(rapid.SliceOfN(rapid.SampledFrom([]fate{fine, lost, fine, unanswered, fine}), 0, 40).Draw(rt, "weather"))
			applyAll(rt, l, batches)
			weather.set(nil)

			want := folded(events)
			check(rt, rdb, l, want)

			c.Advance(ledger.DefaultRetention + time.Hour)
			_, err := l.Trim(t.Context())
			require.NoError(rt, err)
			for id, r := range want {
				if r.Status.Ended() || r.Status.AwaitsNews() {
					delete(want, id)
				}
			}
			check(rt, rdb, l, want)
		})
		require.Positive(t, weather.hits.Load(), "no round trip was spoilt")
	})
}

func applyAll(rt *rapid.T, l *ledger.Ledger, batches [][][]delivery.Event) {
	var appliers errgroup.Group
	for _, mine := range batches {
		appliers.Go(func() error {
			for _, events := range mine {
				err := errStorm
				for errors.Is(err, errStorm) { // as a tracker does: again, the same events
					err = l.Apply(context.Background(), events)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(rt, appliers.Wait())
}

// check compares everything the ledger says with the records it should hold.
func check(rt *rapid.T, rdb redis.UniversalClient, l *ledger.Ledger, want map[string]delivery.Record) {
	ctx := context.Background()
	counts := make(map[delivery.Status]int64)
	indexes := make(map[string]int)
	ends := 0
	for id, r := range want {
		if r.Status.Ended() || r.Status.AwaitsNews() {
			ends++
		}
		got, ok, err := l.Get(ctx, id)
		require.NoError(rt, err)
		require.True(rt, ok, id)
		require.Equal(rt, r, got)
		counts[r.Status]++
		for _, index := range standsIn(r) {
			indexes["{sluice:ledger}:"+index]++
		}
		for _, e := range r.Timeline {
			if e.SID != "" {
				job, attempt, ok, err := l.BySID(ctx, e.SID)
				require.NoError(rt, err)
				require.True(rt, ok)
				require.Equal(rt, [2]any{id, e.Attempt}, [2]any{job, attempt})
			}
		}
	}
	gotCounts, err := l.Counts(ctx)
	require.NoError(rt, err)
	require.Equal(rt, counts, gotCounts)
	checkTallies(rt, l, want)
	records, next, err := l.List(ctx, ledger.Query{})
	require.NoError(rt, err)
	require.Empty(rt, next)
	require.Len(rt, records, len(want))

	keys, err := redistest.Keys(ctx, rdb)
	require.NoError(rt, err)
	for _, key := range keys {
		name := strings.TrimPrefix(key, "{sluice:ledger}:")
		kind, rest, _ := strings.Cut(name, ":")
		switch kind {
		case "created", "status", "from", "to", "category", "code":
			require.EqualValues(rt, indexes[key], rdb.ZCard(ctx, key).Val(), key)
			delete(indexes, key)
		case "codes":
			require.ElementsMatch(rt, codesOf(want), rdb.SMembers(ctx, key).Val())
		case "job":
			if _, known := want[rest]; !known {
				ends++ // a record without a status, which may go as well
			}
		case "orphans":
			require.Zero(rt, rdb.Exists(ctx, "{sluice:ledger}:sid:"+rest).Val(), "sid %s has an owner and orphans", rest)
		}
	}
	require.Empty(rt, indexes, "indexes that are not there")
	require.EqualValues(rt, ends, rdb.ZCard(ctx, "{sluice:ledger}:ends").Val())
}

// standsIn names the indexes that a record must stand in.
func standsIn(r delivery.Record) []string {
	from := "from:" + delivery.SenderToken(r.From)
	names := []string{
		"created", "status:" + string(r.Status), from, from + ":status:" + string(r.Status), "to:" + delivery.CustomerToken(r.To),
	}
	if r.Category != "" {
		names = append(names, "category:"+string(r.Category), from+":category:"+string(r.Category))
	}
	if r.Error != nil {
		code := fmt.Sprint("code:", r.Error.Code)
		names = append(names, code, from+":"+code)
	}
	return names
}

func codesOf(records map[string]delivery.Record) []string {
	codes := []string{}
	for _, r := range records {
		if r.Error != nil && !slices.Contains(codes, strconv.Itoa(r.Error.Code)) {
			codes = append(codes, strconv.Itoa(r.Error.Code))
		}
	}
	return codes
}

// fate is what becomes of one round trip of scripts.
type fate int

const (
	fine       fate = iota
	lost            // never reaches Redis
	unanswered      // is done, and the answer is lost
)

var errStorm = errors.New("connection lost")

// storm is a hook that spoils round trips, one fate each, and then is over.
type storm struct {
	mu    sync.Mutex
	fates []fate
	hits  atomic.Int64 // round trips spoilt
}

func (s *storm) set(fates []fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fates = fates
}

func (s *storm) next() fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fates) == 0 {
		return fine
	}
	f := s.fates[0]
	s.fates = s.fates[1:]
	return f
}

func (s *storm) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *storm) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (s *storm) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "evalsha" {
			return next(ctx, cmds)
		}
		var err error
		switch s.next() {
		case fine:
			return next(ctx, cmds)
		case unanswered:
			err = next(ctx, cmds)
		}
		s.hits.Add(1)
		if err == nil {
			err = errStorm
		}
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

// TestOneWinnerPerVersion has many appliers tell one job's events at once: all
// of them must be in its record, whoever's write was refused.
func TestOneWinnerPerVersion(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		var appliers errgroup.Group
		const n = 32
		for i := range n {
			appliers.Go(func() error {
				e := happened("a", delivery.EventParked, 1, i)
				e.ID = fmt.Sprint("parked:", i)
				return l.Apply(t.Context(), []delivery.Event{e})
			})
		}
		require.NoError(t, appliers.Wait())
		record, _, err := l.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Len(t, record.Timeline, n)
		counts, err := l.Counts(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[delivery.Status]int64{delivery.StatusParked: 1}, counts)
	})
}
