package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/internal/campaign"
)

// planAnswer is what POST /v1/plan tells.
type planAnswer struct {
	New        int         `json:"new"`
	Known      int         `json:"known"`
	InWindow   int         `json:"in_window"`
	OptedOut   int         `json:"opted_out"`
	FreeNow    limitNumber `json:"free_now"`
	FinishesAt *time.Time  `json:"finishes_at"`
}

func (c *apiClient) plan(ctx context.Context, g *campaign.Group) (answer planAnswer, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/plan", map[string]any{"from": g.From, "to": g.To, "category": g.Category}, &answer)
	return answer, err
}

// planRow is the plan of one sender and category.
type planRow struct {
	From     string `json:"from"`
	Category string `json:"category"`
	Rows     int    `json:"rows"`
	planAnswer
}

// plans asks for the plan of every sender and category of a file.
func (p *program) plans(ctx context.Context, s campaign.Survey) ([]planRow, error) {
	api := p.api()
	var rows []planRow
	for _, g := range s.Groups {
		if len(g.To) == 0 {
			continue
		}
		answer, err := api.plan(ctx, g)
		if err != nil {
			return nil, err
		}
		rows = append(rows, planRow{From: g.From, Category: string(g.Category), Rows: g.Rows, planAnswer: answer})
	}
	return rows, nil
}

// showPlan prints what would become of the file, on stderr: the answer proper
// is what became of it.
func (p *program) showPlan(ctx context.Context, s campaign.Survey) error {
	rows, err := p.plans(ctx, s)
	var told *apiProblem
	if err != nil && !errors.As(err, &told) {
		return err
	}
	fmt.Fprintf(p.err, "%d jobs, %d bad lines\n", s.Good, s.Bad)
	if err != nil {
		// As with a key that may only publish: the jobs can go all the same.
		fmt.Fprintf(p.err, "no plan: the API says %s\n", oneLine(err))
		return nil
	}
	if s.Planned < s.Good {
		fmt.Fprintf(p.err, "the plan is for the first %d of them\n", s.Planned)
	}
	return writeTable(p.err, planTable(rows))
}

func planTable(rows []planRow) [][]string {
	table := [][]string{{"FROM", "CATEGORY", "JOBS", "NEW", "COUNTED", "IN WINDOW", "OPTED OUT", "FREE NOW", "LAST ONE OUT"}}
	for _, r := range rows {
		table = append(table, []string{r.From, r.Category, strconv.Itoa(r.Rows), strconv.Itoa(r.New), strconv.Itoa(r.Known),
			strconv.Itoa(r.InWindow), strconv.Itoa(r.OptedOut), string(r.FreeNow), localTime(r.FinishesAt)})
	}
	return table
}
