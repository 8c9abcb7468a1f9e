package campaign

import (
	"cmp"
	"io"

	"github.com/sluicehq/sluice/delivery"
)

// Group is what one plan is made for: the customers of one sender in one
// category.
type Group struct {
	From     string // sender, or messaging service
	Category delivery.Category
	Rows     int
	To       []string // of the first rows, at most MaxPlanned in all groups
}

// MaxPlanned bounds how many customers are kept for the plan; the rows beyond
// are counted alone.
const MaxPlanned = 100_000

// Survey is a file looked at before anything is sent.
type Survey struct {
	Good, Bad int
	Groups    []*Group // in the order of their first rows
	Planned   int      // rows whose customers are in the groups
}

// Look reads to the end and tells bad, if set, of every row that is no job.
func Look(rows Reader, bad func(Row)) (Survey, error) {
	var s Survey
	groups := map[[2]string]*Group{}
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		if row.Fault != nil {
			s.Bad++
			if bad != nil {
				bad(row)
			}
			continue
		}
		s.Good++
		job := row.Job.WithDefaults("")
		job.Category = cmp.Or(job.Category, delivery.Utility) // a template's own is known to the provider alone
		key := [2]string{job.Origin(), string(job.Category)}
		g := groups[key]
		if g == nil {
			g = &Group{From: job.Origin(), Category: job.Category}
			groups[key] = g
			s.Groups = append(s.Groups, g)
		}
		g.Rows++
		if s.Planned < MaxPlanned {
			s.Planned++
			g.To = append(g.To, job.To)
		}
	}
}
