package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/campaign"
)

func (c *apiClient) plan(ctx context.Context, g *campaign.Group) (answer planned, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/plan", planRequest{From: g.From, To: g.To, Category: string(g.Category)}, &answer)
	return answer, err
}

// planRow is the plan of one sender and category.
type planRow struct {
	From     string `json:"from"`
	Category string `json:"category"`
	Rows     int    `json:"rows"`
	planned
}

// neverOut is when a job is out that nothing will let out.
const neverOut = "never, as things are"

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
		rows = append(rows, planRow{From: g.From, Category: string(g.Category), Rows: g.Rows, planned: answer})
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
			strconv.Itoa(r.InWindow), strconv.Itoa(r.OptedOut), string(r.FreeNow), cmp.Or(localTime(r.FinishesAt), neverOut)})
	}
	return table
}

// planFile is `sluice plan` with a file: what `sluice send` would print first.
func (p *program) planFile(ctx context.Context, c campaignFlags, defaults delivery.Job, asJSON bool) error {
	m, err := p.openMailing(c, defaults)
	if err != nil {
		return err
	}
	defer m.source.Close()
	survey, err := m.survey()
	if err != nil {
		return err
	}
	rows, err := p.plans(ctx, survey)
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(p.out).Encode(struct {
			Jobs  int       `json:"jobs"`
			Bad   int       `json:"bad"`
			Plans []planRow `json:"plans"`
		}{survey.Good, survey.Bad, rows})
	} else {
		err = p.table(planTable(rows))
	}
	if err == nil && survey.Bad > 0 {
		err = fmt.Errorf("%d of %d rows are bad", survey.Bad, survey.Good+survey.Bad)
	}
	return err
}
