package ledger_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
)

// listed is the ids of all pages.
func listed(t *testing.T, l *ledger.Ledger, q ledger.Query) []string {
	t.Helper()
	ids := []string{}
	for pages := 0; ; pages++ {
		require.Less(t, pages, 2000, "the list does not end")
		records, next, err := l.List(t.Context(), q)
		require.NoError(t, err)
		for _, r := range records {
			require.Nil(t, r.Timeline)
			ids = append(ids, r.ID)
		}
		if next == "" {
			return ids
		}
		q.Cursor = next
	}
}

// population fills a ledger with 1,000 jobs and returns their records, newest
// first. Jobs come ten to a microsecond, as from one request.
func population(t *testing.T, l *ledger.Ledger) []delivery.Record {
	t.Helper()
	types := []delivery.EventType{
		delivery.EventAccepted, delivery.EventParked, delivery.EventSent, delivery.EventDelivered, delivery.EventFailed,
	}
	var events []delivery.Event
	var records []delivery.Record
	for i := range 1000 {
		e := happened(fmt.Sprintf("job-%03d", i), types[i%len(types)], 1, i/10)
		e.From = fmt.Sprint("whatsapp:+1555000100", i%3)
		e.To = fmt.Sprint("whatsapp:+4917000000", 10+i%50)
		if i%2 == 0 {
			e.SID = fmt.Sprint("SM", i)
		}
		events = append(events, e)
		records = append(records, delivery.Record{}.Apply(e))
	}
	for batch := range slices.Chunk(events, 300) {
		require.NoError(t, l.Apply(t.Context(), batch))
	}
	slices.SortFunc(records, func(a, b delivery.Record) int {
		if by := b.CreatedAt.Compare(a.CreatedAt); by != 0 {
			return by
		}
		return slices.Compare([]byte(b.ID), []byte(a.ID))
	})
	return records
}

func TestListFilters(t *testing.T) {
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	from := func(r delivery.Record) bool { return r.From == "whatsapp:+15550001001" }
	failed := func(r delivery.Record) bool { return r.Status == delivery.StatusFailed }
	cases := []struct {
		name  string
		query ledger.Query
		want  func(delivery.Record) bool
	}{
		{"all", ledger.Query{}, func(delivery.Record) bool { return true }},
		{"all on one page", ledger.Query{Limit: 5000}, func(delivery.Record) bool { return true }},
		{"small pages", ledger.Query{Limit: 3}, func(delivery.Record) bool { return true }},
		{"sender", ledger.Query{From: "whatsapp:+15550001001"}, from},
		{"customer", ledger.Query{To: "whatsapp:+491700000012"},
			func(r delivery.Record) bool { return r.To == "whatsapp:+491700000012" }},
		{"status", ledger.Query{Status: []delivery.Status{delivery.StatusFailed}}, failed},
		{"any of some", ledger.Query{Limit: 7, Status: []delivery.Status{delivery.StatusFailed, delivery.StatusParked, delivery.StatusFailed}},
			func(r delivery.Record) bool { return failed(r) || r.Status == delivery.StatusParked }},
		{"since", ledger.Query{Since: at(42)}, func(r delivery.Record) bool { return !r.CreatedAt.Before(at(42)) }},
		{"until", ledger.Query{Until: at(42)}, func(r delivery.Record) bool { return r.CreatedAt.Before(at(42)) }},
		{"all at once", ledger.Query{
			From: "whatsapp:+15550001001", To: "whatsapp:+491700000014", Limit: 2,
			Status: []delivery.Status{delivery.StatusFailed}, Since: at(20), Until: at(80),
		}, func(r delivery.Record) bool {
			return from(r) && failed(r) && r.To == "whatsapp:+491700000014" &&
				!r.CreatedAt.Before(at(20)) && r.CreatedAt.Before(at(80))
		}},
		{"sid", ledger.Query{SID: "SM500"}, func(r delivery.Record) bool { return r.SID == "SM500" }},
		{"sid of another sender", ledger.Query{SID: "SM500", From: "whatsapp:+15550001001"}, nil},
		{"unknown sid", ledger.Query{SID: "SM501"}, nil},
		{"unknown sender", ledger.Query{From: "whatsapp:+15559999999"}, nil},
		{"no address", ledger.Query{From: "nonsense"}, nil},
		{"empty span", ledger.Query{Since: at(42), Until: at(42)}, nil},
	}
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		records := population(t, l)
		for _, c := range cases {
			want := []string{}
			for _, r := range records {
				if c.want != nil && c.want(r) {
					want = append(want, r.ID)
				}
			}
			require.Equal(t, c.want == nil, len(want) == 0, c.name)
			require.Equal(t, want, listed(t, l, c.query), c.name)
		}
	})
}

func TestListGivesWholeHeads(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		records := population(t, l)
		page, next, err := l.List(t.Context(), ledger.Query{})
		require.NoError(t, err)
		require.NotEmpty(t, next)
		require.Len(t, page, ledger.DefaultLimit)
		for i, r := range page {
			records[i].Timeline = nil
			require.Equal(t, records[i], r)
		}
		page, next, err = l.List(t.Context(), ledger.Query{Limit: 1 << 20})
		require.NoError(t, err)
		require.Len(t, page, ledger.MaxLimit)
		require.Empty(t, next, "the last page says so")
	})
}

func TestPagesStayWhileJobsArrive(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		records := population(t, l)
		var got []string
		q := ledger.Query{Limit: 37}
		for i := 0; ; i++ {
			page, next, err := l.List(t.Context(), q)
			require.NoError(t, err)
			for _, r := range page {
				got = append(got, r.ID)
			}
			if q.Cursor = next; next == "" {
				break
			}
			require.NoError(t, l.Apply(t.Context(), []delivery.Event{
				happened(fmt.Sprint("new", i), delivery.EventAccepted, 1, 100+i),
				happened(records[i].ID, delivery.EventRead, 1, 100+i), // another state, not another place
			}))
		}
		want := make([]string, len(records))
		for i, r := range records {
			want[i] = r.ID
		}
		require.Equal(t, want, got)
	})
}

func TestOlderEvidenceMovesAJobInItsIndexes(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{
			happened("a", delivery.EventSent, 1, 20),
			happened("b", delivery.EventAccepted, 1, 10),
		}))
		require.Equal(t, []string{"a", "b"}, listed(t, l, ledger.Query{}))
		accepted := happened("a", delivery.EventAccepted, 1, 5)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{accepted}))
		require.Equal(t, []string{"b", "a"}, listed(t, l, ledger.Query{}))
		require.Equal(t, []string{"a"}, listed(t, l, ledger.Query{Status: []delivery.Status{delivery.StatusSent}, Until: start.Add(6 * time.Second)}))
	})
}

func TestBadCursor(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		text := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
		for _, cursor := range []string{
			"x", "####", "job-001", text("a"), text("a:"), text(":a"), text("-1:a"), text("0a:a"), text("!:a"),
			text("zzzzzzzzzzzzzzzzzzz:a"), text("a:b") + "=", text("A:b"), "YTpi\n",
		} {
			_, _, err := l.List(t.Context(), ledger.Query{Cursor: cursor})
			require.ErrorIs(t, err, ledger.ErrBadCursor, "%q", cursor)
			_, _, err = l.List(t.Context(), ledger.Query{Cursor: cursor, SID: "SM1"})
			require.ErrorIs(t, err, ledger.ErrBadCursor, "%q", cursor)
		}
		_, _, err := l.List(t.Context(), ledger.Query{Cursor: text("a:b")})
		require.NoError(t, err)
	})
}

func TestPagesAreBoundedInWork(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		const other = "whatsapp:+491700000002"
		wanted := happened("wanted", delivery.EventAccepted, 1, 0)
		wanted.To = other
		events := []delivery.Event{wanted}
		for i := range 10_500 {
			from, to := happened(fmt.Sprint("from", i), delivery.EventAccepted, 1, 1+i), happened(fmt.Sprint("to", i), delivery.EventAccepted, 1, 1+i)
			to.From, to.To = "whatsapp:+15550001001", other
			events = append(events, from, to)
		}
		for batch := range slices.Chunk(events, 1000) {
			require.NoError(t, l.Apply(t.Context(), batch))
		}
		q := ledger.Query{From: sender, To: other, Limit: ledger.MaxLimit}
		records, next, err := l.List(t.Context(), q)
		require.NoError(t, err)
		require.Empty(t, records)
		require.NotEmpty(t, next, "a short page says that it is not the last")
		require.Equal(t, []string{"wanted"}, listed(t, l, q))
	})
}
