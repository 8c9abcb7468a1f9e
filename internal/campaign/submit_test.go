package campaign_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/campaign"
)

// scripted answers one batch after the other.
type scripted struct {
	batches [][]string // ids of each batch handed in
	answer  func(n int, jobs []delivery.Job) ([]campaign.Result, error)
}

func (s *scripted) Submit(_ context.Context, jobs []delivery.Job) ([]campaign.Result, error) {
	var ids []string
	for _, job := range jobs {
		ids = append(ids, job.ID)
	}
	s.batches = append(s.batches, ids)
	if s.answer != nil {
		if results, err := s.answer(len(s.batches), jobs); results != nil || err != nil {
			return results, err
		}
	}
	return taken(jobs), nil
}

func taken(jobs []delivery.Job) []campaign.Result {
	results := make([]campaign.Result, len(jobs))
	for i, job := range jobs {
		results[i] = campaign.Result{ID: job.ID, Status: delivery.StatusAccepted}
	}
	return results
}

func file(rows int) string {
	var b strings.Builder
	b.WriteString("id,to\n")
	for i := range rows {
		fmt.Fprintf(&b, "%d,+1556%07d\n", i+1, i+1)
	}
	return b.String()
}

func send(t *testing.T, api campaign.API, text string) ([]campaign.Outcome, error) {
	t.Helper()
	rows, err := campaign.NewCSV(strings.NewReader(text), spring)
	require.NoError(t, err)
	var told []campaign.Outcome
	err = campaign.Sender{API: api, Told: func(o campaign.Outcome) error {
		told = append(told, o)
		return nil
	}}.Send(t.Context(), rows)
	return told, err
}

func TestBatches(t *testing.T) {
	t.Parallel()
	api := &scripted{}
	told, err := send(t, api, file(2500)+"x,\n")
	require.NoError(t, err)
	require.Len(t, told, 2501)
	require.Equal(t, []int{1000, 1000, 500}, []int{len(api.batches[0]), len(api.batches[1]), len(api.batches[2])})
	bad := 0
	for _, o := range told {
		if o.Bad() {
			bad++
			require.True(t, o.Unread)
			require.Equal(t, "to", o.Field)
			require.Equal(t, 2502, o.Line)
			require.EqualError(t, o.Fault(), "to: is required")
		}
	}
	require.Equal(t, 1, bad)
}

// TestTriedAgain goes through every way a batch may not be taken at first.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(jobs []delivery.Job) ([]campaign.Result, error){
		"queue full": func([]delivery.Job) ([]campaign.Result, error) {
			return nil, &campaign.Later{After: 7 * time.Second, Err: errors.New("the queue is full")}
		},
		"no answer": func([]delivery.Job) ([]campaign.Result, error) {
			return nil, &campaign.Later{Err: errors.New("connection reset")}
		},
		"full in the middle": func(jobs []delivery.Job) ([]campaign.Result, error) {
			results := taken(jobs)
			for i := 2; i < len(results); i++ {
				results[i] = campaign.Result{Code: "queue_full", Message: "the queue is full"}
			}
			return results, nil
		},
		"engine away": func(jobs []delivery.Job) ([]campaign.Result, error) {
			results := taken(jobs)
			results[0] = campaign.Result{Code: "unavailable", Message: "repeat it"}
			return results, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				api := &scripted{answer: func(n int, jobs []delivery.Job) ([]campaign.Result, error) {
					if n == 1 {
						return first(jobs)
					}
					return nil, nil
				}}
				told, err := send(t, api, file(5))
				require.NoError(t, err)
				require.Len(t, told, 5)
				for i, o := range told {
					require.Equal(t, "accepted", o.Status)
					require.Equal(t, i+2, o.Line, "in order")
				}
				require.Len(t, api.batches, 2)
				require.Subset(t, api.batches[0], api.batches[1], "with the same ids")
				if name == "queue full" {
					require.GreaterOrEqual(t, time.Since(begun), 7*time.Second, "not before the server said")
				}
			})
		})
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		api := &scripted{answer: func(int, []delivery.Job) ([]campaign.Result, error) {
			return nil, &campaign.Later{Err: errors.New("the queue is full")}
		}}
		_, err := send(t, api, file(3))
		require.ErrorContains(t, err, "the queue is full")
		require.ErrorContains(t, err, "line 2")
		require.InDelta(t, 10, time.Since(begun).Minutes(), 1)
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	api := &scripted{answer: func(_ int, jobs []delivery.Job) ([]campaign.Result, error) {
		results := taken(jobs)
		results[1] = campaign.Result{Code: "conflict", Field: "id", Message: "the id belongs to another job"}
		return results, nil
	}}
	told, err := send(t, api, file(3))
	require.NoError(t, err)
	require.Equal(t, campaign.Outcome{Line: 3, ID: "spring:2", Status: campaign.Refused, Field: "id", Message: "the id belongs to another job"}, told[1])

	denied := errors.New("no key")
	_, err = send(t, &scripted{answer: func(int, []delivery.Job) ([]campaign.Result, error) { return nil, denied }}, file(3))
	require.ErrorIs(t, err, denied)

	_, err = send(t, &scripted{answer: func(_ int, jobs []delivery.Job) ([]campaign.Result, error) { return taken(jobs[:1]), nil }}, file(3))
	require.ErrorContains(t, err, "1 results for 3 jobs")
}

func TestReportReadsBack(t *testing.T) {
	t.Parallel()
	outcomes := []campaign.Outcome{
		{Line: 2, ID: "spring:1", Status: "accepted"},
		{Line: 3, Status: campaign.Refused, Field: "to", Message: "must be \"so\", and\nso"},
	}
	var text bytes.Buffer
	report, err := campaign.NewReport(&text)
	require.NoError(t, err)
	for _, o := range outcomes {
		require.NoError(t, report.Add(o))
	}
	require.NoError(t, report.Flush())
	require.True(t, strings.HasPrefix(text.String(), "line,id,status,field,message\n2,spring:1,accepted,,\n"), text.String())
	var back []campaign.Outcome
	require.NoError(t, campaign.ReadReport(&text, func(o campaign.Outcome) error {
		back = append(back, o)
		return nil
	}))
	require.Equal(t, outcomes, back)
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	rows, err := campaign.NewCSV(strings.NewReader("to,from,category\n"+
		"+15552220001,,\n+15552220002,,marketing\n+15552220003,+15550002222,\n+15552220004,,\nx,,\n"), spring)
	require.NoError(t, err)
	var bad []int
	s, err := campaign.Look(rows, func(row campaign.Row) { bad = append(bad, row.Line) })
	require.NoError(t, err)
	require.Equal(t, []int{6}, bad)
	require.Equal(t, campaign.Survey{Good: 4, Bad: 1, Planned: 4, Groups: []*campaign.Group{
		{From: "whatsapp:+15550001111", Category: "utility", Rows: 2, To: []string{"whatsapp:+15552220001", "whatsapp:+15552220004"}},
		{From: "whatsapp:+15550001111", Category: "marketing", Rows: 1, To: []string{"whatsapp:+15552220002"}},
		{From: "whatsapp:+15550002222", Category: "utility", Rows: 1, To: []string{"whatsapp:+15552220003"}},
	}}, s)
}
